import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Field, Input, Select, TextArea } from "@/components/field";
import { Switch } from "@/components/switch";
import { words } from "@/lib/words";
import { useBuilder } from "../store";
import { previewOf } from "./data";
import { DataPicker } from "./data-picker";
import { controlOf, type FieldSchema } from "./schema";
import { SmsCount } from "./sms-count";

const ScriptEditor = lazy(() => import("./script-editor").then((module) => ({ default: module.ScriptEditor })));
const ExpressionInput = lazy(() => import("./expression-input").then((module) => ({ default: module.ExpressionInput })));

interface ParamFieldProps {
  name: string;
  kind: string;
  schema: FieldSchema;
  value: unknown;
  isRequired?: boolean;
  error?: string;
  onChange: (value: unknown) => void;
}

/** One param of a step, with the control its schema asks for. Emptying a field leaves it out. */
export function ParamField({ name, kind, schema, value, isRequired, error, onChange }: ParamFieldProps) {
  const label = schema.title ?? words(name);
  const control = controlOf(name, schema);
  const isReadOnly = useBuilder((state) => state.isReadOnly);
  const takesData = schema.format === "template" || control === "expression";
  const text = typeof value === "string" || typeof value === "number" ? String(value) : "";
  const isExpression = control === "expression";
  const insert = (path: string) => onChange(isExpression ? `${text}${text ? " " : ""}${path}` : `${text}{{ ${path} }}`);
  return (
    <>
      <Field label={label} hint={schema.description} error={error} isRequired={isRequired} aside={takesData && !isReadOnly && <DataPicker label={label} onPick={insert} />}>
        {(attributes) => <Control {...{ attributes, control, label, schema, value, text, onChange }} />}
      </Field>
      {takesData && <Preview name={name} text={text} isExpression={isExpression} />}
      {kind === "send_sms" && name === "body" && <SmsCount text={text} />}
    </>
  );
}

/** How a field reads once its data is filled in. */
function Preview({ name, text, isExpression }: { name: string; text: string; isExpression: boolean }) {
  const { t } = useTranslation();
  const id = useBuilder((state) => state.selected.at(-1));
  const trial = useBuilder((state) => state.trial);
  const isReal = useBuilder((state) => state.tryWith.lead_id !== undefined);
  const read = id === undefined ? null : previewOf({ id }, name, text, isExpression, trial);
  if (read === null) return null;
  const lead = (trial?.seen.lead as { name?: string } | undefined)?.name;
  return (
    <p data-preview={name} className="-mt-3 line-clamp-4 text-xs whitespace-pre-line text-muted">
      <span className="font-medium">{isReal && lead ? t("For {{lead}}:", { lead }) : t("With sample data:")}</span> {read}
    </p>
  );
}

interface ControlProps {
  attributes: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean };
  control: ReturnType<typeof controlOf>;
  label: string;
  schema: FieldSchema;
  value: unknown;
  text: string;
  onChange: (value: unknown) => void;
}

function Control({ attributes, control, label, schema, value, text, onChange }: ControlProps) {
  const { t } = useTranslation();
  const emptyIsGone = (written: string) => onChange(written === "" ? undefined : written);
  switch (control) {
    case "choice":
      return (
        <Select {...attributes} value={text} onChange={(event) => emptyIsGone(event.target.value)}>
          <option value="">{schema.default === undefined ? t("not set") : t("{{choice}} (usual)", { choice: words(String(schema.default)) })}</option>
          {schema.enum?.map((choice) => (
            <option key={choice} value={choice}>
              {words(choice)}
            </option>
          ))}
        </Select>
      );
    case "switch":
      return <Switch id={attributes.id} isOn={value === true} onChange={(isOn) => onChange(isOn || undefined)} />;
    case "number":
      return (
        <Input {...attributes} type="number" min={schema.minimum} max={schema.maximum} placeholder={placeholderOf(schema)} value={text} onChange={(event) => onChange(event.target.value === "" ? undefined : Number(event.target.value))} />
      );
    case "code":
      return <Script value={text} attributes={attributes} onChange={onChange} />;
    case "expression":
      return <Expression attributes={attributes} label={label} value={text} onChange={emptyIsGone} />;
    case "long":
      return <TextArea {...attributes} rows={5} value={text} onChange={(event) => emptyIsGone(event.target.value)} />;
    case "lines":
      return <Lines attributes={attributes} value={value} onChange={onChange} />;
    case "text":
      return Array.isArray(value) ? (
        <Lines attributes={attributes} value={value} onChange={onChange} />
      ) : (
        <Input {...attributes} placeholder={placeholderOf(schema)} value={text} onChange={(event) => emptyIsGone(event.target.value)} />
      );
    case "json":
      return <JsonInput attributes={attributes} value={value} onChange={onChange} />;
  }
}

function placeholderOf(schema: FieldSchema): string | undefined {
  return schema.default === undefined ? undefined : String(schema.default);
}

/** An expression: a plain field until somebody comes to it, because the editor with completion is large. */
function Expression(props: { attributes: ControlProps["attributes"]; label: string; value: string; onChange: (value: string) => void }) {
  const [isEditing, setIsEditing] = useState(false);
  const plain = <Input {...props.attributes} value={props.value} onFocus={() => setIsEditing(true)} onChange={(event) => props.onChange(event.target.value)} className="font-mono text-xs" />;
  if (!isEditing) return plain;
  return (
    <Suspense fallback={plain}>
      <ExpressionInput {...props} />
    </Suspense>
  );
}

/** A list of texts, one a line. */
function Lines({ attributes, value, onChange }: { attributes: object; value: unknown; onChange: (value: unknown) => void }) {
  const text = Array.isArray(value) ? value.map(String).join("\n") : "";
  return <TextArea {...attributes} rows={3} value={text} onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value.split("\n"))} />;
}

/** Anything that has no control of its own. What cannot be read as JSON is kept in the field and not given on. */
function JsonInput({ attributes, value, onChange }: { attributes: object; value: unknown; onChange: (value: unknown) => void }) {
  const { t } = useTranslation();
  const [draft, setDraft] = useState<string | null>(null);
  const shown = draft ?? (value === undefined ? "" : JSON.stringify(value, null, 2));
  const write = (text: string) => {
    try {
      onChange(text.trim() === "" ? undefined : JSON.parse(text));
      setDraft(null);
    } catch {
      setDraft(text);
    }
  };
  return (
    <>
      <TextArea {...attributes} rows={4} spellCheck={false} className="font-mono text-xs" value={shown} onChange={(event) => write(event.target.value)} />
      {draft !== null && <p className="text-xs text-danger">{t("This is not JSON yet: it is not saved.")}</p>}
    </>
  );
}

/** A script: short ones in a plain field, the editor after a click, because it is large. */
function Script({ attributes, value, onChange }: { attributes: object; value: string; onChange: (value: unknown) => void }) {
  const { t } = useTranslation();
  const [isOpen, setIsOpen] = useState(false);
  const isReadOnly = useBuilder((state) => state.isReadOnly);
  return (
    <>
      <TextArea {...attributes} rows={6} spellCheck={false} className="font-mono text-xs" value={value} onChange={(event) => onChange(event.target.value)} />
      {!isReadOnly && (
        <Button className="self-start" onClick={() => setIsOpen(true)}>
          {t("Open the editor")}
        </Button>
      )}
      {isOpen && (
        <Suspense fallback={<p role="status">{t("Loading the editor …")}</p>}>
          <ScriptEditor value={value} onChange={onChange} onClose={() => setIsOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
