// How a step behaves whatever it does: whom it is for, how often it is tried, and what its failure means (docs/workflows.md, "Errors").

import { useTranslation } from "react-i18next";
import { Field, Input, Select } from "@/components/field";
import type { Kind } from "@/lib/blocks";
import { PORT_ERROR, type Step } from "@/lib/graph/definition";
import { fieldOf, type Problem } from "@/lib/graph/problems";
import { useBuilder } from "../store";
import { said } from "./step-form";

/** What the server takes when a step does not say. */
const USUAL = { max_attempts: 3, initial_interval: "1s", backoff: 2, max_interval: "5m" };

interface StepBehaviourProps {
  step: Step;
  kind: Kind;
  problems: Problem[];
}

export function StepBehaviour({ step, kind, problems }: StepBehaviourProps) {
  const { t } = useTranslation();
  const changeStep = useBuilder((state) => state.changeStep);
  if (!kind.ports.includes(PORT_ERROR)) return null;
  return (
    <>
      {kind.audience === "lead" && (
        <Field label={t("Who it is for")} hint={t("For a lead, opt-outs, consent, quiet hours and caps hold; for your own people they do not.")}>
          {(control) => (
            <Select {...control} value={step.audience ?? "lead"} onChange={(event) => changeStep(step.id, { audience: event.target.value === "staff" ? "staff" : undefined }, "audience")}>
              <option value="lead">{t("a lead")}</option>
              <option value="staff">{t("our own people")}</option>
            </Select>
          )}
        </Field>
      )}
      <Attempts step={step} problems={problems} />
      <Field label={t("When it fails")} hint={t("A way from its error port comes before this.")}>
        {(control) => (
          <Select {...control} value={step.on_error ?? "fail"} onChange={(event) => changeStep(step.id, { on_error: event.target.value as "fail" | "continue" }, "on_error")}>
            <option value="fail">{t("the run fails")}</option>
            <option value="continue">{t("the run goes on")}</option>
          </Select>
        )}
      </Field>
    </>
  );
}

function Attempts({ step, problems }: Pick<StepBehaviourProps, "step" | "problems">) {
  const { t } = useTranslation();
  const changeStep = useBuilder((state) => state.changeStep);
  const retry = step.retry ?? {};
  const set = (name: string, value: unknown) => {
    const { [name]: _old, ...others } = retry;
    const next = value === undefined ? others : { ...others, [name]: value };
    changeStep(step.id, { retry: Object.keys(next).length > 0 ? next : undefined }, `retry.${name}`);
  };
  const errorOf = (name: string) => problems.filter((one) => fieldOf(one) === `retry.${name}`).map(said).join("\n") || undefined;
  const number = (text: string) => (text === "" ? undefined : Number(text));
  const attempts = retry.max_attempts ?? USUAL.max_attempts;
  return (
    <>
      <Field label={t("Attempts")} hint={t("When what it asks is busy or away for a moment; the first one counts.")} error={errorOf("max_attempts")}>
        {(control) => (
          <Input {...control} type="number" min={1} max={20} placeholder={String(USUAL.max_attempts)} value={shown(retry.max_attempts)} onChange={(event) => set("max_attempts", number(event.target.value))} />
        )}
      </Field>
      {attempts !== 1 && (
        <div className="grid grid-cols-3 gap-3">
          <Field label={t("First wait")} error={errorOf("initial_interval")}>
            {(control) => <Input {...control} placeholder={USUAL.initial_interval} value={shown(retry.initial_interval)} onChange={(event) => set("initial_interval", event.target.value || undefined)} />}
          </Field>
          <Field label={t("then times")} error={errorOf("backoff")}>
            {(control) => <Input {...control} type="number" min={1} max={10} step="any" placeholder={String(USUAL.backoff)} value={shown(retry.backoff)} onChange={(event) => set("backoff", number(event.target.value))} />}
          </Field>
          <Field label={t("at most")} error={errorOf("max_interval")}>
            {(control) => <Input {...control} placeholder={USUAL.max_interval} value={shown(retry.max_interval)} onChange={(event) => set("max_interval", event.target.value || undefined)} />}
          </Field>
        </div>
      )}
    </>
  );
}

function shown(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
