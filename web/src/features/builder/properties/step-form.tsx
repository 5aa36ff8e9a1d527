import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import type { Step } from "@/lib/graph/definition";
import { fieldOf, type Problem } from "@/lib/graph/problems";
import { useBuilder } from "../store";
import { ParamField } from "./param-field";
import { type FieldSchema, fieldsOf } from "./schema";

/** What a step is given: a form drawn from the server's schema of its kind. Fields in use and required ones come first. */
export function StepForm({ step, schema, problems }: { step: Step; schema: unknown; problems: Problem[] }) {
  const { t } = useTranslation();
  const [isWhole, setIsWhole] = useState(false);
  const changeStep = useBuilder((state) => state.changeStep);
  const isReadOnly = useBuilder((state) => state.isReadOnly);
  const required = (schema as FieldSchema).required ?? [];
  const isShown = ([name]: [string, FieldSchema]) => isWhole || required.includes(name) || step.params[name] !== undefined || problems.some((one) => fieldOf(one).startsWith(name));
  const fields = fieldsOf(schema);
  const shown = fields.filter(isShown);
  const set = (name: string, value: unknown) => {
    const { [name]: _old, ...others } = step.params;
    changeStep(step.id, { params: value === undefined ? others : { ...others, [name]: value } }, name);
  };
  // The order of the schema, whatever order the params were written in.
  return (
    <div className="flex flex-col gap-4">
      {shown.map(([name, field]) => (
        <ParamField
          key={`${step.id}.${name}`}
          name={name}
          kind={step.type}
          schema={field}
          value={step.params[name]}
          isRequired={required.includes(name)}
          error={problems.filter((one) => matches(fieldOf(one), name)).map(said).join("\n") || undefined}
          onChange={(value) => set(name, value)}
        />
      ))}
      {!isReadOnly && (isWhole || shown.length < fields.length) && (
        <Button look="quiet" className="self-start" aria-expanded={isWhole} onClick={() => setIsWhole(!isWhole)}>
          {isWhole ? t("Fewer fields") : t("More fields")}
        </Button>
      )}
    </div>
  );
}

function matches(field: string, name: string): boolean {
  return field === name || field.startsWith(`${name}.`) || field.startsWith(`${name}[`);
}

export function said(problem: Problem): string {
  return problem.fix ? `${problem.message}: ${problem.fix}` : problem.message;
}
