import { useTranslation } from "react-i18next";
import { Field, Input, Select } from "@/components/field";
import type { Blocks } from "@/lib/blocks";
import type { Trigger } from "@/lib/graph/definition";
import { fieldOf, type Problem } from "@/lib/graph/problems";
import { sentence } from "@/lib/words";
import { useBuilder } from "../store";
import { ParamField } from "./param-field";
import type { FieldSchema } from "./schema";
import { said } from "./step-form";

/** How the params of triggers are written; the server says which trigger takes which. */
const PARAMS: Record<string, FieldSchema> = {
  name: { type: "string", title: "Name of the webhook" },
  cron: { type: "string", title: "When (cron)", description: "For example 0 9 * * mon-fri" },
  timezone: { type: "string", title: "Time zone", description: "For example America/New_York" },
  catch_up: { type: "string", title: "After downtime", enum: ["once", "skip"], default: "once" },
  after: { type: "string", title: "After", description: "For example 24h or 7d" },
  keywords: { type: "array", title: "Words or phrases, one a line", items: { type: "string" } },
  speaker: { type: "string", title: "Said by", enum: ["customer", "agent", "any"], default: "customer" },
};

const FILTER: FieldSchema = { type: "string", title: "Only when", format: "expression", description: "For example call.direction == 'inbound'" };

/** What starts a run. */
export function TriggerForm({ trigger, blocks, problems }: { trigger: Trigger; blocks: Blocks; problems: Problem[] }) {
  const { t } = useTranslation();
  const change = useBuilder((state) => state.changeTrigger);
  const known = blocks.triggers.find((one) => one.type === trigger.type);
  const names = [...(known?.required ?? []), ...(known?.optional ?? [])];
  const errorOf = (name: string) => problems.filter((one) => fieldOf(one) === name).map(said).join("\n") || undefined;
  const set = (name: string, value: unknown) => {
    const { [name]: _old, ...others } = trigger;
    change((value === undefined ? others : { ...others, [name]: value }) as Trigger, name);
  };
  return (
    <div className="flex flex-col gap-4">
      <Field label={t("Starts when")} error={errorOf("type")}>
        {(control) =>
          known === undefined ? (
            <Input {...control} value={trigger.type} onChange={(event) => change({ ...trigger, type: event.target.value }, "type")} />
          ) : (
            <Select {...control} value={trigger.type} onChange={(event) => change({ type: event.target.value, ...(trigger.filter ? { filter: trigger.filter } : {}) }, "type")}>
              {blocks.triggers.map((one) => (
                <option key={one.type} value={one.type}>
                  {sentence(one.type)}
                </option>
              ))}
            </Select>
          )
        }
      </Field>
      {names.map((name) => (
        <ParamField key={name} name={name} kind="trigger" schema={PARAMS[name] ?? { type: "string" }} value={trigger[name]} isRequired={known?.required.includes(name)} error={errorOf(name)} onChange={(value) => set(name, value)} />
      ))}
      <ParamField name="filter" kind="trigger" schema={FILTER} value={trigger.filter} error={errorOf("filter")} onChange={(value) => set("filter", value)} />
    </div>
  );
}
