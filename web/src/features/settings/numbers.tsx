// The account's telephone numbers, and where calls to each go.

import { useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { Pencil, Plus, Trash2 } from "lucide-react";
import { useId, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { DataTable } from "@/components/data-table";
import { Dialog } from "@/components/dialog";
import { Field, Input, Select } from "@/components/field";
import { Menu } from "@/components/menu";
import { Panel } from "@/components/page";
import { EditForm, SaveForm } from "@/components/save-form";
import { Answer, Empty } from "@/components/states";
import { api, asRead, body, type Schemas, wholeList } from "@/lib/api";
import { remove, useHidden } from "@/lib/deletion";
import { textOf } from "@/lib/fields";
import { useMay } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { dateTime } from "@/lib/words";
import { listAgents } from "./agents";

type PhoneNumber = Schemas["Number"];
type Routing = Schemas["NumberRouting"];

const ROUTINGS: { type: Routing["type"]; label: string }[] = [
  { type: "agents", label: "To whichever agent is free" },
  { type: "dial", label: "To one telephone" },
  { type: "record", label: "To a recorded message" },
];

const refresh = () => queryClient.invalidateQueries({ queryKey: keys.numbers });

export function Numbers() {
  const { t } = useTranslation();
  const mayEdit = useMay("admin");
  const hidden = useHidden();
  const [edited, setEdited] = useState<PhoneNumber | "new" | null>(null);
  const query = useQuery({ queryKey: keys.numbers, queryFn: () => wholeList((query) => body(api.GET("/api/numbers", { params: { query } }))) });
  const columns = useColumns(mayEdit, setEdited);
  const close = () => setEdited(null);
  const saved = () => {
    close();
    void refresh();
  };
  return (
    <Panel className="flex flex-col gap-3 p-4" label={t("Numbers")}>
      <div className="flex flex-wrap items-start justify-between gap-3">
        <div>
          <h2 className="font-semibold">{t("Numbers")}</h2>
          <p className="text-muted">{t("Where calls to each number go. Calls to a number that is not listed go where the server's configuration says.")}</p>
        </div>
        {mayEdit && (
          <Button look="primary" onClick={() => setEdited("new")}>
            <Plus size={16} aria-hidden />
            {t("Add a number")}
          </Button>
        )}
      </div>
      <Answer query={query}>
        {(items) => {
          const rows = items.filter((one) => !hidden.has(one.id));
          if (rows.length === 0) return <Empty title={t("No numbers yet")} text={t("Add the numbers you have at your telephone provider to say who answers each.")} />;
          return <DataTable label={t("Numbers")} rows={rows} columns={columns} idOf={(row) => row.id} />;
        }}
      </Answer>
      <Dialog title={t("Add a number")} isOpen={edited === "new"} onClose={close}>
        <SaveForm submit={t("Add")} save={(fields) => body(api.POST("/api/numbers", { body: { phone: textOf(fields, "phone") ?? "", name: textOf(fields, "name") ?? "", routing: routingOf(fields), supervision: fields.has("supervision") } }))} onSaved={saved}>
          <Field label={t("Phone number")} hint={t("With its country, like +14155550123")} isRequired>
            {(control) => <Input {...control} name="phone" type="tel" required />}
          </Field>
          <NumberFields />
        </SaveForm>
      </Dialog>
      {edited !== null && edited !== "new" && (
        <Dialog title={t("Calls to {{phone}}", { phone: edited.phone })} isOpen onClose={close}>
          <EditForm
            record={edited}
            read={(id) => body(api.GET("/api/numbers/{id}", { params: { path: { id } } }))}
            save={(read, fields) => body(api.PATCH("/api/numbers/{id}", { ...asRead(read), body: { name: textOf(fields, "name") ?? "", routing: routingOf(fields), supervision: fields.has("supervision") } }))}
            onSaved={saved}
          >
            {(read) => <NumberFields number={read} />}
          </EditForm>
        </Dialog>
      )}
    </Panel>
  );
}

function useColumns(mayEdit: boolean, edit: (number: PhoneNumber) => void): ColumnDef<PhoneNumber>[] {
  const { t } = useTranslation();
  return useMemo(() => {
    const columns: ColumnDef<PhoneNumber>[] = [
      { accessorKey: "phone", header: t("Number"), cell: ({ row }) => <span className="font-medium whitespace-nowrap">{row.original.phone}</span> },
      { accessorKey: "name", header: t("Name") },
      { id: "routing", header: t("Calls go"), enableSorting: false, cell: ({ row }) => <Where routing={row.original.routing} /> },
      { accessorKey: "updated_at", header: t("Changed"), cell: ({ row }) => dateTime(row.original.updated_at) },
    ];
    const actions: ColumnDef<PhoneNumber> = {
      id: "actions",
      header: () => <span className="sr-only">{t("Actions")}</span>,
      enableSorting: false,
      cell: ({ row: { original: one } }) => (
        <Menu
          label={t("Actions for {{name}}", { name: one.phone })}
          items={[
            { label: t("Edit"), icon: <Pencil size={14} aria-hidden />, run: () => edit(one) },
            {
              label: t("Remove"),
              icon: <Trash2 size={14} aria-hidden />,
              isDanger: true,
              run: () => remove({ id: one.id, name: one.phone, list: keys.numbers, send: (init) => api.DELETE("/api/numbers/{id}", { params: { path: { id: one.id } }, ...init }) }, t),
            },
          ]}
        />
      ),
    };
    return mayEdit ? [...columns, actions] : columns;
  }, [t, mayEdit, edit]);
}

function Where({ routing }: { routing: Routing }) {
  const { t } = useTranslation();
  switch (routing.type) {
    case "dial":
      return t("to {{to}}", { to: routing.to });
    case "record":
      return t("to a recorded message");
    case "agents":
      return routing.skill ? t("to a free agent who has “{{skill}}”", { skill: routing.skill }) : t("to a free agent");
  }
}

function routingOf(fields: FormData): Routing {
  switch (fields.get("type")) {
    case "dial":
      return { type: "dial", to: textOf(fields, "to") ?? "" };
    case "record":
      return { type: "record" };
    default:
      return { type: "agents", skill: textOf(fields, "skill")?.toLowerCase() ?? null, choice: fields.get("choice") === "longest_idle" ? "longest_idle" : "round_robin" };
  }
}

/** Name and routing; which fields there are follows from where calls go. */
function NumberFields({ number }: { number?: PhoneNumber }) {
  const { t } = useTranslation();
  const routing = number?.routing;
  const [type, setType] = useState<string>(routing?.type ?? "agents");
  return (
    <>
      <Field label={t("Name")} hint={t("What you call it: sales, support")}>
        {(control) => <Input {...control} name="name" defaultValue={number?.name} maxLength={200} />}
      </Field>
      <Field label={t("Where calls go")}>
        {(control) => (
          <Select {...control} name="type" value={type} onChange={(event) => setType(event.target.value)}>
            {ROUTINGS.map((one) => (
              <option key={one.type} value={one.type}>
                {t(one.label)}
              </option>
            ))}
          </Select>
        )}
      </Field>
      {type === "dial" && (
        <Field label={t("Telephone")} hint={t("With its country, like +14155550123")} isRequired>
          {(control) => <Input {...control} name="to" type="tel" required defaultValue={routing?.type === "dial" ? routing.to : ""} />}
        </Field>
      )}
      {type === "record" && <p className="text-muted">{t("The caller hears a greeting and leaves a message.")}</p>}
      {type === "agents" && <AgentFields routing={routing?.type === "agents" ? routing : undefined} />}
      <label className="flex items-center gap-2">
        <input type="checkbox" name="supervision" defaultChecked={number?.supervision ?? false} />
        {t("Supervisors can listen, whisper and barge in")}
      </label>
    </>
  );
}

function AgentFields({ routing }: { routing?: Extract<Routing, { type: "agents" }> }) {
  const { t } = useTranslation();
  const list = useId();
  const agents = useQuery({ queryKey: keys.agents, queryFn: listAgents });
  const skills = [...new Set(agents.data?.flatMap((one) => one.skills))].sort();
  return (
    <>
      <Field label={t("Skill")} hint={t("Only agents who have it; empty: any agent")}>
        {(control) => <Input {...control} name="skill" list={list} maxLength={50} defaultValue={routing?.skill ?? ""} autoComplete="off" />}
      </Field>
      <datalist id={list}>
        {skills.map((skill) => (
          <option key={skill} value={skill} />
        ))}
      </datalist>
      <Field label={t("Who of several")}>
        {(control) => (
          <Select {...control} name="choice" defaultValue={routing?.choice ?? "round_robin"}>
            <option value="round_robin">{t("One after the other")}</option>
            <option value="longest_idle">{t("Whoever has been without a call the longest")}</option>
          </Select>
        )}
      </Field>
      {agents.data?.length === 0 && <p className="text-warn">{t("There are no agents yet: until there are, callers leave a message.")}</p>}
    </>
  );
}
