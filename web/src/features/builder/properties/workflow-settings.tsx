import { useTranslation } from "react-i18next";
import { Field, Input, Select, TextArea } from "@/components/field";
import type { Problem } from "@/lib/graph/problems";
import { isSame } from "@/lib/graph/difference";
import { useBuilder } from "../store";
import { said } from "./step-form";

/** Who gets a run when the trigger matches (docs/workflows.md, "Triggers"). */
const ENROLMENTS: { label: string; value: unknown }[] = [
  { label: "Every time", value: "every_time" },
  { label: "Once for each lead", value: "once_per_lead" },
  { label: "One at a time: the next is left out", value: { one_active_per_lead: "ignore" } },
  { label: "One at a time: the next waits", value: { one_active_per_lead: "queue" } },
  { label: "One at a time: the next takes its place", value: { one_active_per_lead: "replace" } },
];

/** How the workflow behaves as a whole. */
export function WorkflowSettings({ settings, problems }: { settings: Record<string, unknown>; problems: Problem[] }) {
  const { t } = useTranslation();
  const changeSettings = useBuilder((state) => state.changeSettings);
  const set = (name: string, value: unknown) => {
    const { [name]: _old, ...others } = settings;
    changeSettings(value === undefined ? others : { ...others, [name]: value }, name);
  };
  const errorOf = (name: string) => problems.filter((one) => one.path.startsWith(`settings.${name}`)).map(said).join("\n") || undefined;
  const enrolment = settings.enrolment === "one_active_per_lead" ? { one_active_per_lead: "ignore" } : (settings.enrolment ?? "every_time");
  const quiet = Array.isArray(settings.quiet_hours) ? settings.quiet_hours.map(String) : ["", ""];
  const setQuiet = (at: number, time: string) => {
    const next = quiet.with(at, time);
    // Half of it would not be a span: the other end gets the law's hour.
    set("quiet_hours", time === "" ? undefined : [next[0] || "21:00", next[1] || "08:00"]);
  };
  return (
    <section aria-label={t("The whole workflow")} className="mt-6 flex flex-col gap-4 border-t pt-4">
      <h3 className="font-semibold">{t("The whole workflow")}</h3>
      <Field label={t("How often it runs")} hint={t("Counted for each lead.")} error={errorOf("enrolment")}>
        {(control) => (
          <Select {...control} value={ENROLMENTS.findIndex((one) => isSame(one.value, enrolment))} onChange={(event) => set("enrolment", ENROLMENTS[Number(event.target.value)]?.value)}>
            {ENROLMENTS.map((one, at) => (
              <option key={one.label} value={at}>
                {t(one.label)}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Events label={t("Ends early when, one a line")} hint={t("For example lead.opted_out or payment.received")} value={settings.exit_on} error={errorOf("exit_on")} onChange={(value) => set("exit_on", value)} />
      <Events label={t("Its goal, one a line")} hint={t("A run that sees this is completed at once")} value={settings.goal} error={errorOf("goal")} onChange={(value) => set("goal", value)} />
      <Field label={t("Time zone where the lead's is not known")} error={errorOf("timezone")}>
        {(control) => <Input {...control} placeholder="America/New_York" value={String(settings.timezone ?? "")} onChange={(event) => set("timezone", event.target.value || undefined)} />}
      </Field>
      <div className="grid grid-cols-2 gap-3">
        <Field label={t("No messages from")} error={errorOf("quiet_hours")}>
          {(control) => <Input {...control} type="time" value={quiet[0]} onChange={(event) => setQuiet(0, event.target.value)} />}
        </Field>
        <Field label={t("until")}>{(control) => <Input {...control} type="time" value={quiet[1]} onChange={(event) => setQuiet(1, event.target.value)} />}</Field>
      </div>
    </section>
  );
}

function Events({ label, hint, value, error, onChange }: { label: string; hint: string; value: unknown; error?: string; onChange: (value: unknown) => void }) {
  const text = Array.isArray(value) ? value.map(String).join("\n") : String(value ?? "");
  return (
    <Field label={label} hint={hint} error={error}>
      {(control) => <TextArea {...control} rows={2} value={text} onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value.split("\n"))} />}
    </Field>
  );
}
