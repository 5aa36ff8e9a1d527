import { useMutation, useQuery } from "@tanstack/react-query";
import { Play } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { StatusBadge } from "@/components/badge";
import { Button } from "@/components/button";
import { Field, Select, TextArea } from "@/components/field";
import { LeadSelect } from "@/components/lead-select";
import { api, body, type Schemas } from "@/lib/api";
import { type Kind, titleOf } from "@/lib/blocks";
import { type Definition, TRIGGER, waysOf } from "@/lib/graph/definition";
import { keys } from "@/lib/query";
import { span } from "@/lib/words";
import { useBuilder } from "./store";

/** Between two steps of the played path. */
const STEP_MS = 450;

interface DryRunProps {
  workflowId: string;
  definition: Definition;
  kinds: ReadonlyMap<string, Kind>;
}

/** Plays the edited graph through on a virtual clock. Nothing is sent. */
export function DryRun({ workflowId, definition, kinds }: DryRunProps) {
  const { t } = useTranslation();
  const [leadId, setLeadId] = useState("");
  const [callId, setCallId] = useState("");
  const [written, setWritten] = useState("");
  const calls = useQuery({ queryKey: [...keys.calls, "choice"], queryFn: () => body(api.GET("/api/calls", { params: { query: { limit: 50 } } })) });
  const isAboutCall = definition.trigger.type.startsWith("call.");
  const data = dataOf(written);
  const chosen = { ...(leadId ? { lead_id: leadId } : {}), ...(isAboutCall && callId ? { call_id: callId } : {}), ...(!isAboutCall && data ? { data } : {}) };
  const run = useMutation({
    mutationFn: () => body(api.POST("/api/workflows/{id}/dry-run", { params: { path: { id: workflowId } }, body: { definition: { ...definition }, ...chosen } })),
    // Fields show from then on how they read for the same lead.
    onSuccess: () => useBuilder.setState({ tryWith: chosen }),
  });
  usePlayed(run.data);
  return (
    <div className="flex flex-col gap-3 p-3">
      <Field label={t("With")}>
        {(control) => (
          <LeadSelect {...control} nobody={t("a sample lead")} value={leadId} onChange={(event) => setLeadId(event.target.value)} />
        )}
      </Field>
      {isAboutCall && (
        <Field label={t("As after the call")}>
          {(control) => (
            <Select {...control} value={callId} onChange={(event) => setCallId(event.target.value)}>
              <option value="">{t("a sample call")}</option>
              {calls.data?.items.map((call) => (
                <option key={call.id} value={call.id}>
                  {`${call.direction === "inbound" ? call.from : call.to} · ${new Date(call.started_at).toLocaleString()}`}
                </option>
              ))}
            </Select>
          )}
        </Field>
      )}
      {!isAboutCall && (
        <Field label={t("What it brings")} hint={t("JSON, laid over a sample: the run sees it as trigger.data.")} error={data === null ? t("This is not a JSON object yet.") : undefined}>
          {(control) => <TextArea {...control} rows={2} spellCheck={false} className="font-mono text-xs" placeholder={'{"amount": 5000}'} value={written} onChange={(event) => setWritten(event.target.value)} />}
        </Field>
      )}
      <Button look="primary" disabled={run.isPending || data === null} onClick={() => run.mutate()}>
        <Play size={14} aria-hidden />
        {t("Run it dry")}
      </Button>
      <p className="text-xs text-muted">{t("Nothing is sent: waits are skipped, messages are only shown.")}</p>
      {run.error && (
        <p role="alert" className="whitespace-pre-line text-danger">
          {run.error.message}
        </p>
      )}
      {run.data && <Told result={run.data} kinds={kinds} />}
    </div>
  );
}

/** What was written as JSON: undefined when nothing was, null when it is none. */
function dataOf(written: string): Record<string, unknown> | null | undefined {
  if (written.trim() === "") return undefined;
  try {
    const value: unknown = JSON.parse(written);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Lights the path up, step after step; all at once for people who want no motion. */
function usePlayed(result: Schemas["DryRunView"] | undefined): void {
  useEffect(() => {
    if (result === undefined) return;
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let count = isStill ? result.path.length : 0;
    const show = () => {
      const path = result.path.slice(0, count);
      const played = new Map([[TRIGGER, "done"], ...path.map((step): [string, string] => [step.node, step.status])]);
      useBuilder.setState({ played, walked: waysOf(path) });
    };
    show();
    const timer = setInterval(() => {
      count += 1;
      if (count > result.path.length) return clearInterval(timer);
      show();
    }, STEP_MS);
    return () => {
      clearInterval(timer);
      useBuilder.setState({ played: null });
    };
  }, [result]);
}

function Told({ result, kinds }: { result: Schemas["DryRunView"]; kinds: ReadonlyMap<string, Kind> }) {
  const { t } = useTranslation();
  return (
    <section aria-label={t("What would happen")} className="flex flex-col gap-2">
      <p className="flex flex-wrap items-center gap-2">
        <StatusBadge status={result.status} />
        <span className="text-muted">
          {t("over {{span}}, {{tokens}} tokens", { span: span(result.started_at, result.ended_at), tokens: result.tokens })}
        </span>
      </p>
      {!result.would_start && <p className="text-warn">{result.filter_error ?? t("The filter of the trigger does not hold: a real run would not begin.")}</p>}
      {result.error && <p className="text-danger">{result.error}</p>}
      <ol className="flex flex-col gap-2">
        {result.path.map((step) => {
          const effects = result.effects.filter((effect) => effect.node === step.node && effect.visit === step.visit);
          const waits = result.waits.filter((one) => one.node === step.node);
          return (
            <li key={`${step.node}-${step.visit}-${step.item ?? ""}`} className="rounded-md border p-2">
              <p className="flex items-center gap-2">
                <span className="min-w-0 flex-1 truncate font-medium">{titleOf(step.kind, kinds)}</span>
                {step.port && step.port !== "ok" && <span className="text-xs text-muted">{step.port}</span>}
                <StatusBadge status={step.status} />
              </p>
              {waits.map((wait) => (
                <p key={wait.from} className="text-xs text-muted">
                  {t("waits {{span}}", { span: span(wait.from, wait.until) })}
                  {wait.reason !== "wait" && ` · ${wait.reason}`}
                </p>
              ))}
              {effects.map((effect) => (
                <Effect key={effect.at + effect.kind} effect={effect} />
              ))}
              {step.error && <p className="text-danger">{step.error.message}</p>}
            </li>
          );
        })}
      </ol>
    </section>
  );
}

function Effect({ effect }: { effect: Schemas["DryEffect"] }) {
  const { t } = useTranslation();
  return (
    <div className="mt-1 text-xs">
      {effect.to && <p className="text-muted">{t("to {{to}}", { to: effect.to })}</p>}
      {effect.text && <p className="rounded bg-panel p-2 whitespace-pre-line">{effect.text}</p>}
      {effect.reason && <p className="text-warn">{effect.reason}</p>}
    </div>
  );
}
