import { useEffect, useMemo, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Badge, StatusBadge } from "@/components/badge";
import { LeadLink } from "@/components/lead-link";
import { Failed } from "@/components/states";
import type { Schemas } from "@/lib/api";
import { cn } from "@/lib/cn";
import type { LiveCall } from "@/lib/live/floor";
import { clockTime, offset } from "@/lib/words";
import { otherNumber, shownStatus } from "./call-card";
import { useTranscript } from "./look-back";
import { SentimentLine } from "./sentiment-line";
import { Supervise } from "./supervise";

/** How near to the end a reader is still taken to follow. */
const AT_END_PX = 60;

export function CallDetail({ call, alerts, asked }: { call: LiveCall; alerts: Schemas["Alert"][]; asked: number }) {
  const { t } = useTranslation();
  const error = useTranscript(call.id);
  const record = call.record;
  const cause = useMemo(() => causeOf(call, alerts), [call, alerts]);
  return (
    <section aria-label={t("Call with {{number}}", { number: otherNumber(call) })} className="flex flex-col rounded-lg border">
      <header className="flex flex-wrap items-center gap-3 border-b p-3">
        <h2 className="text-base font-semibold">{otherNumber(call) || t("A call")}</h2>
        {record && <StatusBadge status={shownStatus(call)} />}
        {record && <span className="text-muted">{clockTime(record.started_at)}</span>}
        {record?.lead_id && <LeadLink id={record.lead_id} />}
        {record !== null && record.gaps > 0 && <Badge tone="warn">{t("{{gaps}} gaps in the audio", { gaps: record.gaps })}</Badge>}
        {call.shed_ms > 0 && <Badge tone="warn">{t("{{seconds}} s not heard: the machine is busy", { seconds: Math.round(call.shed_ms / 1000) })}</Badge>}
        <span className="ml-auto flex min-w-12 flex-1 justify-end">
          <SentimentLine call={call} />
        </span>
      </header>
      {record && <Supervise call={record} />}
      {error && <Failed error={error} />}
      <Talk call={call} />
      <Transcript call={call} cause={cause} asked={asked} />
    </section>
  );
}

/** Who talked how much so far. */
function Talk({ call }: { call: LiveCall }) {
  const { t } = useTranslation();
  const spoken = (speaker: string) => call.lines.filter((line) => line.speaker === speaker).reduce((sum, line) => sum + line.end_ms - line.start_ms, 0);
  const [customer, agent] = [spoken("customer"), spoken("agent")];
  const length = Math.max(...call.lines.map((line) => line.end_ms), 0);
  if (length === 0) return null;
  const percent = (ms: number) => Math.round((ms / length) * 100);
  const silence = Math.max(0, 100 - percent(customer) - percent(agent));
  return (
    <p className="border-b px-3 py-1.5 text-xs text-muted">
      {t("Customer {{customer}} % · agent {{agent}} % · silence {{silence}} %", { customer: percent(customer), agent: percent(agent), silence })}
    </p>
  );
}

interface TranscriptProps {
  call: LiveCall;
  cause: string | null;
  /** Counts how often somebody asked for the words behind an alert. */
  asked: number;
}

function Transcript({ call, cause, asked }: TranscriptProps) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const isFollowing = useRef(true);
  const hasLines = call.lines.length > 0;
  useEffect(() => {
    // The view follows the newest line unless the reader has scrolled up.
    if (box.current && isFollowing.current) box.current.scrollTop = box.current.scrollHeight;
  }, [call.lines, call.partials]);
  useEffect(() => {
    const line = asked > 0 ? box.current?.querySelector("[data-cause]") : null;
    if (!line) return;
    isFollowing.current = false;
    line.scrollIntoView({ block: "center" });
  }, [asked, hasLines]);
  return (
    <div
      ref={box}
      role="log"
      tabIndex={0}
      aria-label={t("Transcript")}
      onScroll={(event) => {
        const at = event.currentTarget;
        isFollowing.current = at.scrollHeight - at.scrollTop - at.clientHeight < AT_END_PX;
      }}
      className="flex h-[55vh] flex-col gap-2 overflow-y-auto p-3"
    >
      {call.lines.length === 0 && call.partials.length === 0 && <p className="text-muted">{call.record?.ended_at ? t("Nothing was said.") : t("Nothing has been said yet.")}</p>}
      {call.lines.map((line) => (
        <Line key={line.ordinal} speaker={line.speaker} start={line.start_ms} text={line.text} sentiment={line.sentiment?.label} isCause={cause !== null && line.text.includes(cause)} />
      ))}
      {call.partials.map((partial) => (
        <Line key={partial.speaker} speaker={partial.speaker} start={partial.start_ms} text={`${partial.text} …`} isPartial />
      ))}
    </div>
  );
}

interface LineProps {
  speaker: string;
  start: number;
  text: string;
  sentiment?: string;
  isCause?: boolean;
  isPartial?: boolean;
}

function Line({ speaker, start, text, sentiment, isCause, isPartial }: LineProps) {
  const { t } = useTranslation();
  const isCustomer = speaker === "customer";
  return (
    <div data-cause={isCause || undefined} className={cn("max-w-[85%] rounded-lg border px-3 py-1.5", isCustomer ? "self-start bg-panel" : "self-end bg-info-soft", sentiment === "negative" && "border-danger", isCause && "ring-2 ring-danger")}>
      <p className="flex gap-2 text-xs text-muted">
        <span>{isCustomer ? t("Customer") : t("Agent")}</span>
        <time>{offset(start)}</time>
        {sentiment && sentiment !== "neutral" && <span className={sentiment === "negative" ? "text-danger" : "text-ok"}>{t(sentiment)}</span>}
      </p>
      <p className={isPartial ? "text-muted italic" : undefined}>{text}</p>
    </div>
  );
}

/** The words that caused the newest alert of the call. */
function causeOf(call: LiveCall, alerts: Schemas["Alert"][]): string | null {
  const alert = alerts.find((one) => one.call_id === call.id && !one.acked_at);
  const evidence = alert?.evidence as { excerpt?: unknown } | null | undefined;
  return typeof evidence?.excerpt === "string" && evidence.excerpt !== "" ? evidence.excerpt : null;
}
