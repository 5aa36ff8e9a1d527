// Who answers calls: their skills, and whether they are there.

import { useMutation, useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { Pencil, Plus, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { DataTable } from "@/components/data-table";
import { Dialog } from "@/components/dialog";
import { Field, Input, Select } from "@/components/field";
import { Menu } from "@/components/menu";
import { Panel } from "@/components/page";
import { EditForm, SaveForm } from "@/components/save-form";
import { Answer, Empty } from "@/components/states";
import { Switch } from "@/components/switch";
import { api, asRead, body, type Schemas, wholeList } from "@/lib/api";
import { remove, useHidden } from "@/lib/deletion";
import { textOf } from "@/lib/fields";
import { useMay } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { dateTime } from "@/lib/words";

type Agent = Schemas["Agent"];

export const listAgents = () => wholeList((query) => body(api.GET("/api/agents", { params: { query } })));

const refresh = () => queryClient.invalidateQueries({ queryKey: keys.agents });

export function Agents() {
  const { t } = useTranslation();
  const [mayEdit, mayRemove] = [useMay("supervisor"), useMay("admin")];
  const hidden = useHidden();
  const [edited, setEdited] = useState<Agent | "new" | null>(null);
  const query = useQuery({ queryKey: keys.agents, queryFn: listAgents });
  const columns = useColumns({ mayEdit, mayRemove, edit: setEdited });
  const close = () => setEdited(null);
  const saved = () => {
    close();
    void refresh();
  };
  return (
    <Panel className="flex flex-col gap-3 p-4" label={t("Agents")}>
      <div className="flex flex-wrap items-start justify-between gap-3">
        <div>
          <h2 className="font-semibold">{t("Agents")}</h2>
          <p className="text-muted">{t("Who answers calls to numbers that go to a free agent. Whoever is away is given none.")}</p>
        </div>
        {mayEdit && (
          <Button look="primary" onClick={() => setEdited("new")}>
            <Plus size={16} aria-hidden />
            {t("Add an agent")}
          </Button>
        )}
      </div>
      <Answer query={query}>
        {(items) => {
          const rows = items.filter((one) => !hidden.has(one.id));
          if (rows.length === 0) return <Empty title={t("No agents yet")} text={t("Add the people who answer the telephone, then let a number's calls go to them.")} />;
          return <DataTable label={t("Agents")} rows={rows} columns={columns} idOf={(row) => row.id} />;
        }}
      </Answer>
      <Dialog title={t("Add an agent")} isOpen={edited === "new"} onClose={close}>
        <SaveForm submit={t("Add")} save={(fields) => body(api.POST("/api/agents", { body: written(fields) }))} onSaved={saved}>
          <AgentFields />
        </SaveForm>
      </Dialog>
      {edited !== null && edited !== "new" && (
        <Dialog title={t("Edit {{name}}", { name: edited.name })} isOpen onClose={close}>
          <EditForm
            record={edited}
            read={(id) => body(api.GET("/api/agents/{id}", { params: { path: { id } } }))}
            save={(read, fields) => body(api.PATCH("/api/agents/{id}", { ...asRead(read), body: written(fields) }))}
            onSaved={saved}
          >
            {(read) => <AgentFields agent={read} />}
          </EditForm>
        </Dialog>
      )}
    </Panel>
  );
}

/** What is written in the form; who may not see the account's people leaves the person as it is. */
function written(fields: FormData) {
  const skills = (textOf(fields, "skills") ?? "").toLowerCase().split(",").map((one) => one.trim());
  const person = fields.has("user_id") ? { user_id: textOf(fields, "user_id") ?? null } : {};
  return { name: textOf(fields, "name") ?? "", phone: textOf(fields, "phone") ?? "", skills: skills.filter((one) => one !== ""), ...person };
}

interface ColumnsOf {
  mayEdit: boolean;
  mayRemove: boolean;
  edit: (agent: Agent) => void;
}

function useColumns({ mayEdit, mayRemove, edit }: ColumnsOf): ColumnDef<Agent>[] {
  const { t } = useTranslation();
  return useMemo(() => {
    const columns: ColumnDef<Agent>[] = [
      { accessorKey: "status", header: t("Takes calls"), cell: ({ row }) => <Availability agent={row.original} mayEdit={mayEdit} /> },
      { accessorKey: "name", header: t("Name"), cell: ({ row }) => <span className="font-medium">{row.original.name}</span> },
      { accessorKey: "phone", header: t("Telephone") },
      { id: "skills", header: t("Skills"), enableSorting: false, cell: ({ row }) => <Skills of={row.original} /> },
      { accessorKey: "last_routed_at", header: t("Last call"), cell: ({ row }) => (row.original.on_call ? <Badge tone="info">{t("on a call")}</Badge> : dateTime(row.original.last_routed_at)) },
    ];
    const actions: ColumnDef<Agent> = {
      id: "actions",
      header: () => <span className="sr-only">{t("Actions")}</span>,
      enableSorting: false,
      cell: ({ row: { original: one } }) => {
        const removal = {
          label: t("Remove"),
          icon: <Trash2 size={14} aria-hidden />,
          isDanger: true,
          run: () => remove({ id: one.id, name: one.name, list: keys.agents, send: (init) => api.DELETE("/api/agents/{id}", { params: { path: { id: one.id } }, ...init }) }, t),
        };
        return <Menu label={t("Actions for {{name}}", { name: one.name })} items={[{ label: t("Edit"), icon: <Pencil size={14} aria-hidden />, run: () => edit(one) }, ...(mayRemove ? [removal] : [])]} />;
      },
    };
    return mayEdit ? [...columns, actions] : columns;
  }, [t, mayEdit, mayRemove, edit]);
}

function Availability({ agent, mayEdit }: { agent: Agent; mayEdit: boolean }) {
  const { t } = useTranslation();
  const change = useMutation({
    mutationFn: (isOn: boolean) => body(api.PATCH("/api/agents/{id}", { ...asRead(agent), body: { status: isOn ? "available" : "away" } })),
    onError: toastError,
    onSettled: refresh,
  });
  const isOn = change.isPending ? change.variables : agent.status === "available";
  return (
    <span className="flex items-center gap-2">
      <Switch label={t("{{name}} takes calls", { name: agent.name })} isOn={isOn} isDisabled={!mayEdit || change.isPending} onChange={change.mutate} />
      <span className="text-xs text-muted">{isOn ? t("available") : t("away")}</span>
    </span>
  );
}

function Skills({ of: { skills } }: { of: Agent }) {
  if (skills.length === 0) return "–";
  return (
    <span className="flex flex-wrap gap-1">
      {skills.map((skill) => (
        <Badge key={skill}>{skill}</Badge>
      ))}
    </span>
  );
}

function AgentFields({ agent }: { agent?: Agent }) {
  const { t } = useTranslation();
  const maySeePeople = useMay("admin");
  const people = useQuery({ queryKey: keys.users, enabled: maySeePeople, queryFn: () => body(api.GET("/api/users")) });
  return (
    <>
      <Field label={t("Name")} isRequired>{(control) => <Input {...control} name="name" required maxLength={200} defaultValue={agent?.name} />}</Field>
      <Field label={t("Telephone")} hint={t("Where the calls go, with its country, like +14155550123")} isRequired>
        {(control) => <Input {...control} name="phone" type="tel" required defaultValue={agent?.phone} />}
      </Field>
      <Field label={t("Skills")} hint={t("What calls may be routed by, with commas between: spanish, billing")}>
        {(control) => <Input {...control} name="skills" defaultValue={agent?.skills.join(", ")} />}
      </Field>
      {people.data && (
        <Field label={t("Who signs in as")} hint={t("The person of the account that this is, if any")}>
          {(control) => (
            <Select {...control} name="user_id" defaultValue={agent?.user_id ?? ""}>
              <option value="">{t("Nobody")}</option>
              {people.data.items.map((user) => (
                <option key={user.id} value={user.id}>
                  {user.name || user.email}
                </option>
              ))}
            </Select>
          )}
        </Field>
      )}
    </>
  );
}
