import { useQuery } from "@tanstack/react-query";
import { CheckCircle2, CircleAlert, CircleMinus, CircleX } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Panel } from "@/components/page";
import { Answer } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { useMay } from "@/lib/me";
import { dateTime, withTimes } from "@/lib/words";

const NAMES: Record<string, { title: string; fix: string }> = {
  store: { title: "The store", fix: "Set store.url; nothing works without it." },
  speech_model: { title: "The speech model", fix: "Run `patchcord model fetch`, then start the server again: calls are transcribed from then on." },
  telephony: { title: "Twilio", fix: "Set twilio.account_sid and twilio.auth_token, or their environment variables, and start the server again." },
  redis: { title: "Redis", fix: "See that the Redis of redis.url answers." },
};

const ICONS = { ok: CheckCircle2, degraded: CircleAlert, down: CircleX };
const COLOURS = { ok: "text-ok", degraded: "text-warn", down: "text-danger" };

/** The steps of going live, as the server names them. */
const STEPS: Record<Schemas["SetupStep"], string> = {
  effects: "Messages and calls reach people",
  public_address: "A public https address",
  twilio_account: "Twilio takes the credentials",
  voice_webhook: "Calls to your numbers come here",
  status_callback: "How calls end is told here",
  message_webhook: "Messages to your numbers come here",
  sms_sender: "A sender for messages",
  media_stream: "The audio of calls comes here",
  speech_model: "Calls are transcribed",
  workflow: "A published workflow",
  first_call: "A first call",
  master_key: "The master key is safe",
  backups: "Backups",
};

const STEP_LOOKS = {
  ok: { Icon: CheckCircle2, colour: "text-ok", word: "done" },
  failed: { Icon: CircleX, colour: "text-danger", word: "to do" },
  skipped: { Icon: CircleMinus, colour: "text-muted", word: "not checked" },
};

/** What has to stand before real calls come in: checked by the server, and what is done on Twilio's side. */
export function GoingLive() {
  return (
    <>
      {useMay("admin") && <Steps />}
      <Dependencies />
      <TwilioSteps />
    </>
  );
}

/** Every step with its check. Twilio and our public address are asked each time: never by itself. */
function Steps() {
  const { t } = useTranslation();
  const query = useQuery({
    queryKey: ["setup-checks"],
    queryFn: () => body(api.GET("/api/setup/checks")),
    staleTime: Number.POSITIVE_INFINITY,
    refetchOnWindowFocus: false,
    retry: false,
  });
  return (
    <Panel className="flex flex-col gap-3 p-4" label={t("Step by step")}>
      <div className="flex items-center justify-between gap-4">
        <h2 className="font-semibold">{t("Step by step")}</h2>
        <Button disabled={query.isFetching} onClick={() => void query.refetch()}>
          {query.isFetching ? t("Checking …") : t("Check every step")}
        </Button>
      </div>
      <Answer query={query}>
        {({ ready, checks, checked_at }) => (
          <>
            <p role="status" className="text-muted">
              {ready ? t("Nothing is missing.") : t("{{done}} of {{all}} steps are done.", { done: checks.filter((check) => check.status === "ok").length, all: checks.length })}{" "}
              {t("Checked {{at}}.", { at: dateTime(checked_at) })}
            </p>
            <ol className="flex flex-col gap-3">
              {checks.map((check) => (
                <Step key={check.step} check={check} />
              ))}
            </ol>
          </>
        )}
      </Answer>
    </Panel>
  );
}

function Step({ check }: { check: Schemas["SetupCheck"] }) {
  const { t } = useTranslation();
  const { Icon, colour, word } = STEP_LOOKS[check.status];
  return (
    <li data-step={check.step} data-status={check.status} className="flex gap-2">
      <Icon size={16} aria-hidden className={`mt-0.5 shrink-0 ${colour}`} />
      <div className="min-w-0">
        <p className="flex flex-wrap gap-x-2">
          <span className="font-medium">{t(STEPS[check.step])}</span>
          <span className={colour}>{t(word)}</span>
        </p>
        <p className="break-words text-muted">{withTimes(check.said)}</p>
        {check.fix && (
          <p className="break-words">
            <span className="font-medium">{t("What to do:")}</span> {check.fix}
          </p>
        )}
      </div>
    </li>
  );
}

/** How each thing the server depends on stands. */
function Dependencies() {
  const { t } = useTranslation();
  const query = useQuery({ queryKey: ["health"], queryFn: readHealth, staleTime: 0 });
  return (
    <Panel className="flex flex-col gap-3 p-4" label={t("What stands")}>
      <div className="flex items-center justify-between gap-4">
        <h2 className="font-semibold">{t("What stands")}</h2>
        <Button disabled={query.isFetching} onClick={() => void query.refetch()}>
          {t("Check again")}
        </Button>
      </div>
      <Answer query={query}>{(report) => <Standing report={report} />}</Answer>
    </Panel>
  );
}

/** The report is in the answer whether everything stands or not. */
async function readHealth(): Promise<Schemas["HealthReport"]> {
  const response = await fetch("/healthz");
  return (await response.json()) as Schemas["HealthReport"];
}

function Standing({ report }: { report: Schemas["HealthReport"] }) {
  const { t } = useTranslation();
  return (
    <ul className="flex flex-col gap-2">
      {Object.entries(report.dependencies).map(([name, { status, detail }]) => {
        const Icon = ICONS[status];
        const known = NAMES[name];
        return (
          <li key={name} className="flex gap-2">
            <Icon size={16} aria-hidden className={`mt-0.5 shrink-0 ${COLOURS[status]}`} />
            <div>
              <p>
                <span className="font-medium">{t(known?.title ?? name)}</span> <span className={COLOURS[status]}>{detail}</span>
              </p>
              {status !== "ok" && known && <p className="text-muted">{t(known.fix)}</p>}
            </div>
          </li>
        );
      })}
      <li className="text-xs text-muted">{t("patchcord {{version}}", { version: report.version })}</li>
    </ul>
  );
}

function TwilioSteps() {
  const { t } = useTranslation();
  const doors = [
    { what: t("A call comes in"), path: "/twilio/voice" },
    { what: t("Call status changes"), path: "/twilio/status" },
    { what: t("A message comes in"), path: "/twilio/sms" },
  ];
  return (
    <Panel className="flex flex-col gap-3 p-4" label={t("At Twilio")}>
      <h2 className="font-semibold">{t("At Twilio")}</h2>
      <ol className="flex list-decimal flex-col gap-2 pl-5">
        <li>{t("Make this server reachable by https, and set server.public_url to that address: signatures are checked against it.")}</li>
        <li>
          {t("In the settings of your phone number, enter:")}
          <dl className="mt-1 grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
            {doors.map(({ what, path }) => (
              <div key={path} className="contents">
                <dt className="text-muted">{what}</dt>
                <dd>
                  <code className="break-all">{location.origin + path}</code> (POST)
                </dd>
              </div>
            ))}
          </dl>
        </li>
        <li>{t("Call the number: the call appears on the live page while it rings.")}</li>
      </ol>
    </Panel>
  );
}
