import { useQuery } from "@tanstack/react-query";
import { CheckCircle2, CircleAlert, CircleX } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Panel } from "@/components/page";
import { Answer } from "@/components/states";
import type { Schemas } from "@/lib/api";

const NAMES: Record<string, { title: string; fix: string }> = {
  store: { title: "The store", fix: "Set store.url; nothing works without it." },
  speech_model: { title: "The speech model", fix: "Run `patchcord model fetch`, then start the server again: calls are transcribed from then on." },
  telephony: { title: "Twilio", fix: "Set twilio.account_sid and twilio.auth_token, or their environment variables, and start the server again." },
  redis: { title: "Redis", fix: "See that the Redis of redis.url answers." },
};

const ICONS = { ok: CheckCircle2, degraded: CircleAlert, down: CircleX };
const COLOURS = { ok: "text-ok", degraded: "text-warn", down: "text-danger" };

/** What has to stand before real calls come in: checked by the server, and what is done on Twilio's side. */
export function GoingLive() {
  const { t } = useTranslation();
  const query = useQuery({ queryKey: ["health"], queryFn: readHealth, staleTime: 0 });
  return (
    <>
      <Panel className="flex flex-col gap-3 p-4" label={t("What stands")}>
        <div className="flex items-center justify-between gap-4">
          <h2 className="font-semibold">{t("What stands")}</h2>
          <Button disabled={query.isFetching} onClick={() => void query.refetch()}>
            {t("Check again")}
          </Button>
        </div>
        <Answer query={query}>{(report) => <Standing report={report} />}</Answer>
      </Panel>
      <TwilioSteps />
    </>
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
