import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { StatusBadge } from "@/components/badge";
import { BlockIcon } from "@/components/block-icon";
import { Data } from "@/components/data";
import type { Schemas } from "@/lib/api";
import { type Kind, titleOf } from "@/lib/blocks";
import { clockTime, dateTime, words } from "@/lib/words";
import { gateWords } from "./gate-words";
import { RetryFrom } from "./run-actions";

type Step = Schemas["RunStep"];

interface StepDetailsProps {
  step: Step;
  runId: string;
  kinds: ReadonlyMap<string, Kind>;
  /** The run is over: any of its steps can be where it is taken up again. */
  hasEnded: boolean;
  isOpen: boolean;
  onOpen: (isOpen: boolean) => void;
}

/** One step of a run: what went in, what came out, every attempt and why it was let through or held. */
export function StepDetails({ step, runId, kinds, hasEnded, isOpen, onOpen }: StepDetailsProps) {
  const { t } = useTranslation();
  return (
    <li className="rounded-lg border">
      <button type="button" aria-expanded={isOpen} onClick={() => onOpen(!isOpen)} className="flex w-full items-center gap-2 p-3 text-left">
        <BlockIcon type={step.kind} />
        <span className="min-w-0 flex-1">
          <span className="block truncate font-medium">{titleOf(step.kind, kinds)}</span>
          <span className="block truncate text-xs text-muted">
            {step.node}
            {step.visit > 0 && ` · ${t("visit {{visit}}", { visit: step.visit + 1 })}`} · {clockTime(step.started_at)}
          </span>
        </span>
        <StatusBadge status={step.status} />
      </button>
      {step.error && <p className="px-3 pb-3 text-danger">{step.error.message}</p>}
      {step.waiting_until && !step.ended_at && <p className="px-3 pb-3 text-muted">{t("Waits until {{until}}", { until: dateTime(step.waiting_until) })}</p>}
      {isOpen && (
        <div className="flex flex-col gap-3 border-t p-3">
          <Part title={t("Input")} value={step.input} />
          <Part title={t("Output")} value={step.output} />
          {step.effect && <Attempts effect={step.effect} />}
          {step.passed_over?.map((event) => (
            <p key={event.at + event.event} className="text-xs text-warn">
              {t("“{{event}}” came at {{at}} and was passed over: {{reason}}", { event: words(event.event), at: clockTime(event.at), reason: event.reason })}
            </p>
          ))}
          {step.child && (
            <Link to="/runs/$runId" params={{ runId: step.child }} className="text-primary underline">
              {t("The run it started")}
            </Link>
          )}
          <div className="flex flex-wrap items-center justify-between gap-2">
            <span className="text-xs text-muted">{t("{{tokens}} tokens", { tokens: step.tokens })}</span>
            {hasEnded && <RetryFrom runId={runId} node={step.node} />}
          </div>
        </div>
      )}
    </li>
  );
}

function Part({ title, value }: { title: string; value: unknown }) {
  if (value === null || value === undefined) return null;
  return (
    <div>
      <h3 className="mb-1 text-xs font-semibold text-muted">{title}</h3>
      <Data value={value} label={title} />
    </div>
  );
}

function Attempts({ effect }: { effect: Schemas["StepEffect"] }) {
  const { t } = useTranslation();
  return (
    <div>
      <h3 className="mb-1 text-xs font-semibold text-muted">
        {t("Attempts")} · {effect.provider} {effect.provider_id}
      </h3>
      <ol className="flex flex-col gap-1 text-xs">
        {effect.attempts.map((attempt) => (
          <li key={attempt.attempt} className="flex flex-wrap gap-2">
            <span>{attempt.attempt}.</span>
            <span>{clockTime(attempt.started_at)}</span>
            <span>{t(words(attempt.outcome))}</span>
            {attempt.error && <span className="text-danger">{attempt.error.message}</span>}
            {gateWords(attempt.gate, t).length > 0 && <span className="w-full text-muted">{gateWords(attempt.gate, t).join(" · ")}</span>}
          </li>
        ))}
      </ol>
    </div>
  );
}
