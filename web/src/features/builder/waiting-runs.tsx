import { useTranslation } from "react-i18next";
import { Field, Select } from "@/components/field";
import type { Definition } from "@/lib/graph/definition";
import { type Choice, type Chosen, type Group, groupKey, type Waiting } from "./migration";

const CHOICES: { choice: Choice; label: string }[] = [
  { choice: "finish", label: "Finish on their version" },
  { choice: "move", label: "Move to this version" },
  { choice: "restart", label: "Start over with this version" },
];

interface WaitingRunsProps {
  waiting: Waiting;
  definition: Definition;
  chosen: Record<string, Chosen>;
  onChange: (chosen: Record<string, Chosen>) => void;
}

/** What becomes of the runs that wait on earlier versions: each group by its own choice. */
export function WaitingRuns({ waiting, definition, chosen, onChange }: WaitingRunsProps) {
  const { t } = useTranslation();
  if (waiting.groups.length === 0) return null;
  return (
    <section aria-label={t("Runs that wait")}>
      <h3 className="mb-1 font-semibold">{t("Runs that wait")}</h3>
      <ul className="flex flex-col gap-2">
        {waiting.groups.map((group) => {
          const key = groupKey(group);
          const own = chosen[key] ?? { choice: "finish", landing: {} };
          const set = (change: Partial<Chosen>) => onChange({ ...chosen, [key]: { ...own, ...change } });
          return <One key={key} group={group} homeless={waiting.homeless[key] ?? {}} definition={definition} chosen={own} onChange={set} />;
        })}
      </ul>
      {waiting.isCut && <p className="text-xs text-muted">{t("There are more than were looked at: what you choose holds for all that wait at these steps.")}</p>}
    </section>
  );
}

interface OneProps {
  group: Group;
  /** Where its runs cannot just go on, and why. */
  homeless: Record<string, string>;
  definition: Definition;
  chosen: Chosen;
  onChange: (change: Partial<Chosen>) => void;
}

function One({ group, homeless, definition, chosen, onChange }: OneProps) {
  const { t } = useTranslation();
  const where = t("{{count}} runs on v{{version}} at {{nodes}}", { count: group.runs, version: group.from_version, nodes: group.nodes.join(", ") });
  return (
    <li className="flex flex-col gap-2 rounded-md border p-2">
      <Field label={where}>
        {(control) => (
          <Select {...control} value={chosen.choice} onChange={(event) => onChange({ choice: event.target.value as Choice })}>
            {CHOICES.map(({ choice, label }) => (
              <option key={choice} value={choice}>
                {t(label)}
              </option>
            ))}
          </Select>
        )}
      </Field>
      {chosen.choice !== "move" &&
        Object.entries(homeless).map(([node, reason]) => (
          <p key={node} className="text-xs text-muted">
            {t("They cannot just go on in this version: {{reason}}", { reason })}
          </p>
        ))}
      {chosen.choice === "move" &&
        Object.entries(homeless).map(([node, reason]) => (
          <Field key={node} label={t("From “{{node}}” they go on at", { node })} hint={reason} isRequired>
            {(control) => (
              <Select {...control} value={chosen.landing[node] ?? ""} onChange={(event) => onChange({ landing: { ...chosen.landing, [node]: event.target.value } })}>
                <option value="">{t("choose a step")}</option>
                {definition.nodes.map((step) => (
                  <option key={step.id} value={step.id}>
                    {step.id}
                  </option>
                ))}
              </Select>
            )}
          </Field>
        ))}
    </li>
  );
}
