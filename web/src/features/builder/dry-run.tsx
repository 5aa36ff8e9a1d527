import { useMutation, useQuery } from "@tanstack/react-query";
import { Play } from "lucide-react";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { StatusBadge } from "@/components/badge";
import { Button } from "@/components/button";
import { Field, Select } from "@/components/field";
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
  const leads = useQuery({ queryKey: [...keys.leads, "choice"], queryFn: () => body(api.GET("/api/leads", { params: { query: { limit: 100 } } })) });
  const calls = useQuery({ queryKey: [...keys.calls, "choice"], queryFn: () => body(api.GET("/api/calls", { params: { query: { limit: 50 } } })) });
  const isAboutCall = definition.trigger.type.startsWith("call.");
  const run = useMutation({
    mutationFn: () =>
      body(
        api.POST("/api/workflows/{id}/dry-run", {
          params: { path: { id: workflowId } },
          body: { definition: { ...definition }, lead_id: leadId || null, call_id: isAboutCall && callId ? callId : null },
        }),
      ),
  });
  usePlayed(run.data);
  return (
    <div className="flex flex-col gap-3 p-3">
      <Field label={t("With")}>
        {(control) => (
          <Select {...control} value={leadId} onChange={(event) => setLeadId(event.target.value)}>
            <option value="">{t("a sample lead")}</option>
            {leads.data?.items.map((lead) => (
              <option key={lead.id} value={lead.id}>
                {lead.name || lead.phone || lead.email || lead.id}
              </option>
            ))}
          </Select>
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
      <Button look="primary" disabled={run.isPending} onClick={() => run.mutate()}>
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
          const wait = result.waits.find((one) => one.node === step.node);
          return (
            <li key={`${step.node}-${step.visit}-${step.item ?? ""}`} className="rounded-md border p-2">
              <p className="flex items-center gap-2">
                <span className="min-w-0 flex-1 truncate font-medium">{titleOf(step.kind, kinds)}</span>
                {step.port && step.port !== "ok" && <span className="text-xs text-muted">{step.port}</span>}
                <StatusBadge status={step.status} />
              </p>
              {wait && <p className="text-xs text-muted">{t("waits {{span}}", { span: span(wait.from, wait.until) })}</p>}
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
