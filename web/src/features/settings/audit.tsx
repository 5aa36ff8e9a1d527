import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CheckCircle2, CircleX } from "lucide-react";
import { type FormEvent, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Field, Input, Select } from "@/components/field";
import { Json } from "@/components/json";
import { Panel } from "@/components/page";
import { Failed, Slow } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { localTime, momentOf, textOf } from "@/lib/fields";
import { keys } from "@/lib/query";
import { dateTime } from "@/lib/words";

type Entry = Schemas["AuditEntry"];

interface Filters {
  action?: string;
  user_id?: string;
  about?: string;
  from?: string;
  to?: string;
}

const PAGE = 50;

/** What people look for most; any other operation can be chosen from an entry. */
const ACTIONS = [
  "createWorkflow", "updateWorkflow", "publishWorkflow", "deleteWorkflow", "createLead", "updateLead", "deleteLead", "importLeads", "createUser", "updateUser", "deleteUser",
  "createKey", "deleteKey", "createWebhook", "deleteWebhook", "createNumber", "updateNumber", "deleteNumber", "createAgent", "updateAgent", "deleteAgent", "updateAccount",
  "decideRun", "cancelRun", "confirmSecondFactor", "disableSecondFactor",
];

/** What people and keys have changed, newest first. */
export function Audit() {
  const { t } = useTranslation();
  const [filters, setFilters] = useState<Filters>({});
  const query = useInfiniteQuery({
    queryKey: [...keys.audit, filters],
    // Whatever is done anywhere adds an entry: what is looked at is asked for.
    staleTime: 0,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) => body(api.GET("/api/audit", { params: { query: { ...filters, limit: PAGE, cursor: pageParam } } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const names = useNames();
  const entries = query.data?.pages.flatMap((page) => page.items);
  const isFiltered = Object.values(filters).some((value) => value !== undefined);
  return (
    <Panel className="flex flex-col gap-4 p-4" label={t("Audit log")}>
      <div className="flex flex-wrap items-start justify-between gap-3">
        <div>
          <h2 className="font-semibold">{t("Audit log")}</h2>
          <p className="text-muted">{t("Who changed what, and when. Entries are chained: none can be changed or taken out unseen.")}</p>
        </div>
        <Check />
      </div>
      <Filter filters={filters} people={names.people} onChange={setFilters} />
      {query.error && <Failed error={query.error} onRetry={() => void query.refetch()} />}
      {entries === undefined && !query.error && <Slow />}
      {entries?.length === 0 && !query.hasNextPage && <p className="text-muted">{isFiltered ? t("No entry is like that.") : t("Nothing has been changed yet.")}</p>}
      <ol aria-label={t("Entries")} className="flex flex-col gap-2">
        {entries?.map((entry) => (
          <One key={entry.seq} entry={entry} names={names} onFilter={(more) => setFilters({ ...filters, ...more })} />
        ))}
      </ol>
      {query.hasNextPage && (
        <Button className="self-center" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {t("Show more")}
        </Button>
      )}
    </Panel>
  );
}

interface Names {
  people: Map<string, string>;
  keys: Map<string, string>;
  workflows: Map<string, string>;
}

/** What the ids of people, keys and workflows stand for. What was removed keeps its id. */
function useNames(): Names {
  const users = useQuery({ queryKey: keys.users, queryFn: () => body(api.GET("/api/users")) });
  const made = useQuery({ queryKey: keys.apiKeys, queryFn: () => body(api.GET("/api/keys")) });
  const workflows = useQuery({ queryKey: keys.workflows, queryFn: () => body(api.GET("/api/workflows", { params: { query: { limit: 200 } } })) });
  return useMemo(
    () => ({
      workflows: new Map(workflows.data?.items.map((workflow) => [workflow.id, workflow.name])),
      people: new Map(users.data?.items.map((user) => [user.id, user.name || user.email])),
      keys: new Map(made.data?.items.map((key) => [key.id, key.name])),
    }),
    [users.data, made.data, workflows.data],
  );
}

/** Follows the chain of hashes from the first entry to the last. */
function Check() {
  const { t } = useTranslation();
  const check = useMutation({ mutationFn: () => body(api.GET("/api/audit/verify")) });
  const found = check.data;
  return (
    <div className="flex flex-col items-end gap-1">
      <Button disabled={check.isPending} onClick={() => check.mutate()}>
        {check.isPending ? t("Checking …") : t("Check the chain")}
      </Button>
      <p role="status" className={`flex items-center gap-1 text-xs empty:hidden ${found?.whole ? "text-ok" : "text-danger"}`}>
        {found?.whole && (
          <>
            <CheckCircle2 size={14} aria-hidden />
            <span title={found.head}>{t("All {{entries}} entries are as they were written.", { entries: found.entries })}</span>
          </>
        )}
        {found && !found.whole && (
          <>
            <CircleX size={14} aria-hidden />
            {t("The chain breaks after entry {{entries}}: {{fault}}", { entries: found.entries, fault: found.fault ?? "" })}
          </>
        )}
        {check.error?.message}
      </p>
    </div>
  );
}

interface FilterProps {
  filters: Filters;
  people: Map<string, string>;
  onChange: (filters: Filters) => void;
}

function Filter({ filters, people, onChange }: FilterProps) {
  const { t } = useTranslation();
  const actions = filters.action && !ACTIONS.includes(filters.action) ? [filters.action, ...ACTIONS] : ACTIONS;
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    onChange({ action: textOf(fields, "action"), user_id: textOf(fields, "user_id"), about: textOf(fields, "about"), from: momentOf(fields, "from"), to: momentOf(fields, "to") });
  };
  return (
    // Drawn anew when an entry has set a filter.
    <form key={JSON.stringify(filters)} onSubmit={submit} className="grid items-end gap-3 sm:grid-cols-2 lg:grid-cols-[1fr_1fr_1.4fr_1fr_1fr_auto]">
      <Field label={t("What was done")}>
        {(control) => (
          <Select {...control} name="action" defaultValue={filters.action ?? ""}>
            <option value="">{t("All")}</option>
            {actions.map((action) => (
              <option key={action} value={action}>
                {t(actionWords(action))}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Field label={t("By whom")}>
        {(control) => (
          <Select {...control} name="user_id" defaultValue={filters.user_id ?? ""}>
            <option value="">{t("Everybody")}</option>
            {[...people].map(([id, name]) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Field label={t("About")}>{(control) => <Input {...control} name="about" placeholder={t("an id, like lead_…")} defaultValue={filters.about} />}</Field>
      <Field label={t("From")}>{(control) => <Input {...control} name="from" type="datetime-local" defaultValue={localTime(filters.from)} />}</Field>
      <Field label={t("Before")}>{(control) => <Input {...control} name="to" type="datetime-local" defaultValue={localTime(filters.to)} />}</Field>
      <div className="flex gap-2">
        <Button type="submit">{t("Filter")}</Button>
        {Object.values(filters).some((value) => value !== undefined) && (
          <Button look="quiet" onClick={() => onChange({})}>
            {t("Clear")}
          </Button>
        )}
      </div>
    </form>
  );
}

/** `createWorkflow` → `Create workflow`. */
function actionWords(action: string): string {
  const read = action.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  return read.charAt(0).toUpperCase() + read.slice(1);
}

interface OneProps {
  entry: Entry;
  names: Names;
  onFilter: (filters: Filters) => void;
}

function One({ entry, names, onFilter }: OneProps) {
  const { t } = useTranslation();
  const { subject, actor } = entry;
  const who = "user_id" in actor ? names.people.get(actor.user_id) ?? actor.user_id : t(actor.kind === "operator" ? "the operator of the server" : "the server");
  const key = "key_id" in actor ? names.keys.get(actor.key_id) ?? actor.key_id : null;
  return (
    <li className="rounded-md border p-2">
      <details>
        <summary className="cursor-pointer">
          <span className="font-medium">{t(actionWords(entry.action))}</span> {subject && <span>{nameOf(entry, names)}</span>}{" "}
          <span className="text-muted">{key ? t("by {{who}} with the key {{key}}", { who, key }) : t("by {{who}}", { who })}</span> <time className="text-xs text-muted">{dateTime(entry.at)}</time> {entry.erased && <Badge>{t("erased")}</Badge>}
        </summary>
        <div className="mt-2 flex flex-col gap-2">
          <div className="flex flex-wrap items-center gap-x-4 gap-y-1 text-xs">
            {subject && (
              <span>
                <Subject id={subject} />
              </span>
            )}
            {entry.address && <span className="text-muted">{t("from {{address}}", { address: entry.address })}</span>}
            <span className="text-muted">{t("entry {{seq}}", { seq: entry.seq })}</span>
            <Button look="quiet" onClick={() => onFilter({ action: entry.action })}>
              {t("All of this kind")}
            </Button>
            {subject && (
              <Button look="quiet" onClick={() => onFilter({ about: subject })}>
                {t("All about it")}
              </Button>
            )}
          </div>
          {entry.before && entry.after ? <Changes before={entry.before} after={entry.after} /> : null}
          <Whole name={t("Before")} thing={entry.before} />
          <Whole name={entry.before ? t("After") : t("What was made or answered")} thing={entry.after} />
        </div>
      </details>
    </li>
  );
}

type Thing = Record<string, unknown>;

/** Every change counts these on. */
const COUNTED = ["revision", "updated_at"];

/** What is not the same any more, field by field. */
function Changes({ before, after }: { before: Thing; after: Thing }) {
  const { t } = useTranslation();
  const names = Object.keys({ ...before, ...after }).filter((name) => !COUNTED.includes(name) && told(before[name]) !== told(after[name]));
  if (names.length === 0) return null;
  return (
    <table className="w-full text-left text-xs">
      <thead className="text-muted">
        <tr>
          {["Field", "Before", "After"].map((name) => (
            <th key={name} scope="col" className="py-1 pr-3 font-medium">
              {t(name)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {names.map((name) => (
          <tr key={name} className="border-t align-top">
            <th scope="row" className="py-1 pr-3 font-medium">
              {name}
            </th>
            <td className="py-1 pr-3 break-all text-danger">{told(before[name])}</td>
            <td className="py-1 break-all text-ok">{told(after[name])}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function told(value: unknown): string {
  if (value === undefined || value === null || value === "") return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function Whole({ name, thing }: { name: string; thing: Thing | null | undefined }) {
  if (!thing) return null;
  return (
    <details>
      <summary className="cursor-pointer text-xs text-muted">{name}</summary>
      <Json label={name} value={thing} />
    </details>
  );
}

/** What the thing is called, as far as the entry or the account's lists tell. */
function nameOf(entry: Entry, names: Names): string {
  const subject = entry.subject ?? "";
  const known = names.people.get(subject) ?? names.keys.get(subject) ?? names.workflows.get(subject);
  if (known !== undefined) return `“${known}”`;
  for (const thing of [entry.after, entry.before]) {
    const one = thing as Thing | null | undefined;
    const name = [one?.name, one?.title, one?.reference, one?.email, one?.phone].find((value) => typeof value === "string" && value !== "");
    if (name !== undefined) return `“${String(name)}”`;
  }
  return subject;
}

/** The id, as the way to its page where there is one. */
function Subject({ id }: { id: string }) {
  const text = <code className="break-all">{id}</code>;
  const look = "text-primary underline";
  if (id.startsWith("wf_")) return <Link to="/workflows/$workflowId" params={{ workflowId: id }} className={look}>{text}</Link>;
  if (id.startsWith("run_")) return <Link to="/runs/$runId" params={{ runId: id }} className={look}>{text}</Link>;
  if (id.startsWith("lead_")) return <Link to="/leads/$leadId" params={{ leadId: id }} className={look}>{text}</Link>;
  return text;
}
