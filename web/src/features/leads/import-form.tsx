import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { PlainTable } from "@/components/data-table";
import { CONTROL, Field, Input, Select } from "@/components/field";
import { Switch } from "@/components/switch";
import { api, body, type Schemas } from "@/lib/api";
import { textOf } from "@/lib/fields";
import { type Column, columnsOf, guessed, HEAD_BYTES, LEAD_FIELDS, ownField } from "./import-file";

interface Chosen {
  file: File;
  columns: Column[];
}

interface Order {
  file: File;
  query: { on_duplicate: Schemas["OnDuplicate"]; start_workflows: boolean; calling_code?: string; mapping: string };
  signal: AbortSignal;
}

/** The body is the file itself: it is read from the disk while it is sent. */
function send({ file, query, signal }: Order): Promise<Schemas["ImportAccepted"]> {
  return body(api.POST("/api/leads/import", { params: { query }, body: file.name, bodySerializer: () => file, headers: { "Content-Type": "text/csv" }, signal }));
}

/** Chooses a file and what its columns fill, and sends it. */
export function ImportForm({ onSent }: { onSent: (importId: string) => void }) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const [mapping, setMapping] = useState<Record<string, string>>({});
  const [startsWorkflows, setStartsWorkflows] = useState(false);
  const stopping = useRef<AbortController | null>(null);
  const upload = useMutation({ mutationFn: send, onSuccess: (accepted) => onSent(accepted.import_id) });
  // Whoever closes the dialog while the file is sent has changed their mind.
  useEffect(() => () => stopping.current?.abort(), []);
  const choose = async (file: File | undefined) => {
    upload.reset();
    if (file === undefined) return setChosen(null);
    const columns = columnsOf(await file.slice(0, HEAD_BYTES).text());
    setChosen({ file, columns });
    setMapping(guessed(columns));
  };
  const map = (header: string, field: string) => {
    upload.reset();
    setMapping({ ...mapping, [header]: field });
  };
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    if (chosen === null) return;
    const fields = new FormData(event.currentTarget);
    stopping.current = new AbortController();
    const on_duplicate: Schemas["OnDuplicate"] = fields.get("on_duplicate") === "skip" ? "skip" : "update";
    const query = { on_duplicate, start_workflows: startsWorkflows, calling_code: textOf(fields, "calling_code"), mapping: JSON.stringify(mapping) };
    upload.mutate({ file: chosen.file, query, signal: stopping.current.signal });
  };
  const cancel = () => {
    stopping.current?.abort();
    upload.reset();
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <Field label={t("File")} isRequired>
        {(control) => (
          <input {...control} type="file" accept=".csv,.tsv,.txt,text/csv" required disabled={upload.isPending} className={`${CONTROL} py-1 file:mr-3 file:rounded file:border-0 file:bg-panel file:px-2 file:py-0.5 file:text-foreground`} onChange={(event) => void choose(event.currentTarget.files?.[0])} />
        )}
      </Field>
      {chosen !== null && chosen.columns.length === 0 && <p className="text-danger">{t("The file is empty.")}</p>}
      {chosen !== null && chosen.columns.length > 0 && (
        <>
          <Mapping columns={chosen.columns} mapping={mapping} onChange={map} />
          <div className="grid gap-4 sm:grid-cols-2">
            <Field label={t("Whoever is here already")} hint={t("By phone number, or else by e-mail address. Nobody's opt-out is lifted.")}>
              {(control) => (
                <Select {...control} name="on_duplicate" defaultValue="update">
                  <option value="update">{t("is updated with what the row says")}</option>
                  <option value="skip">{t("is left as they are")}</option>
                </Select>
              )}
            </Field>
            <Field label={t("Country calling code")} hint={t("For phone numbers that are written without a country: 1 for the USA, 44 for the United Kingdom.")}>
              {(control) => <Input {...control} name="calling_code" inputMode="numeric" pattern="[1-9][0-9]{0,2}" placeholder="1" />}
            </Field>
          </div>
          <div className="flex items-center justify-between gap-4">
            <div>
              <p className="font-medium">{t("Start workflows")}</p>
              <p className="text-muted">{t("When it is on, workflows that wait for new or changed leads start for every row: messages may go out.")}</p>
            </div>
            <Switch label={t("Start workflows")} isOn={startsWorkflows} onChange={setStartsWorkflows} isDisabled={upload.isPending} />
          </div>
        </>
      )}
      <p role="alert" className="whitespace-pre-line text-danger empty:hidden">
        {upload.error?.message}
      </p>
      {upload.isPending && <progress aria-label={t("The file is being sent")} className="h-2 w-full accent-primary" />}
      <div className="flex items-center justify-end gap-2">
        {upload.isPending && (
          <>
            <span role="status" className="mr-auto text-muted">
              {t("The file is being sent …")}
            </span>
            <Button onClick={cancel}>{t("Cancel")}</Button>
          </>
        )}
        <Button type="submit" look="primary" disabled={upload.isPending || chosen === null || chosen.columns.length === 0}>
          {t("Import")}
        </Button>
      </div>
    </form>
  );
}

interface MappingProps {
  columns: Column[];
  mapping: Record<string, string>;
  onChange: (header: string, field: string) => void;
}

/** Which column fills which field. */
function Mapping({ columns, mapping, onChange }: MappingProps) {
  const { t } = useTranslation();
  return (
    <PlainTable label={t("Columns")} heads={[t("Column of the file"), t("For example"), t("Fills")]} className="max-h-72">
      {columns.map(({ header, samples }, at) => (
        <tr key={`${at}-${header}`} className="border-t">
          <th scope="row" className="px-3 py-1.5 font-medium">
            {header || t("(no name)")}
          </th>
          <td className="max-w-52 truncate px-3 py-1.5 text-muted">{samples.join(" · ") || "–"}</td>
          <td className="px-3 py-1.5">
            <Select aria-label={t("What “{{header}}” fills", { header })} value={mapping[header] ?? ""} onChange={(event) => onChange(header, event.target.value)}>
              {LEAD_FIELDS.map(({ field, label }) => (
                <option key={field} value={field}>
                  {t(label)}
                </option>
              ))}
              {ownField(header) !== "" && <option value={ownField(header)}>{t("Own field “{{name}}”", { name: ownField(header).slice("fields.".length) })}</option>}
              <option value="">{t("Leave it out")}</option>
            </Select>
          </td>
        </tr>
      ))}
    </PlainTable>
  );
}
