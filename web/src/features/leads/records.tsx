// What is agreed with leads: one list for appointments, quotes and payments, each with its columns and its form.

import { type QueryKey, useInfiniteQuery, useMutation } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { Pencil, Plus, Trash2 } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { StatusBadge } from "@/components/badge";
import { Button } from "@/components/button";
import { DataTable } from "@/components/data-table";
import { Dialog } from "@/components/dialog";
import { Field, Select } from "@/components/field";
import { LeadLink } from "@/components/lead-link";
import { Menu } from "@/components/menu";
import { EditForm, SaveForm } from "@/components/save-form";
import { Empty, Failed, Slow } from "@/components/states";
import type { Schemas } from "@/lib/api";
import { remove, useHidden } from "@/lib/deletion";
import { useMay } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { words } from "@/lib/words";

interface Kept<S extends string> {
  id: string;
  lead_id?: string | null;
  revision: number;
  status: S;
}

interface Page<R> {
  items: R[];
  next_cursor?: string | null;
}

/** One kind of record: what it is called, how it is asked for and changed. */
export interface RecordKind<R extends Kept<S>, S extends string> {
  key: QueryKey;
  /** English, in the plural: the key of its translation. */
  label: string;
  empty: { title: string; text: string };
  create: string;
  statuses: S[];
  /** Who may create and change it. */
  least: Schemas["Role"];
  titleOf: (record: R) => string;
  list: (query: { lead_id?: string; status?: S; cursor?: string }) => Promise<Page<R>>;
  setStatus: (record: R, status: S) => Promise<R>;
  add: (fields: FormData, leadId: string | undefined) => Promise<R>;
  read: (id: string) => Promise<R>;
  /** Sends what is written in the form, with the revision that was read. */
  edit: (record: R, fields: FormData) => Promise<R>;
  /** Tells the server that it is removed. */
  remove: (id: string, init: { keepalive: true }) => Promise<unknown>;
  columns: (t: (text: string) => string) => ColumnDef<R>[];
  /** Without a record: of one to be. */
  form: (record?: R) => ReactNode;
}

interface RecordsProps<R extends Kept<S>, S extends string> {
  kind: RecordKind<R, S>;
  /** Only those of one lead, to whom new ones belong. */
  leadId?: string;
}

export function Records<R extends Kept<S>, S extends string>({ kind, leadId }: RecordsProps<R, S>) {
  const { t } = useTranslation();
  const may = { edit: useMay(kind.least), remove: useMay("admin") };
  const hidden = useHidden();
  const [status, setStatus] = useState<S | undefined>();
  const [isAdding, setIsAdding] = useState(false);
  const [edited, setEdited] = useState<R | null>(null);
  const query = useInfiniteQuery({
    queryKey: [...kind.key, leadId, status],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) => kind.list({ lead_id: leadId, status, cursor: pageParam }),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const rows = query.data?.pages.flatMap((page) => page.items).filter((record) => !hidden.has(record.id));
  const columns = useColumns(kind, { mayEdit: may.edit, mayRemove: may.remove, isLeadShown: leadId === undefined, edit: setEdited });
  return (
    <section aria-label={t(kind.label)} className="flex flex-col gap-3 py-3">
      <div className="flex flex-wrap items-end justify-between gap-3">
        <Field label={t("Status")}>
          {(control) => (
            <Select {...control} value={status ?? ""} onChange={(event) => setStatus(kind.statuses.find((one) => one === event.target.value))}>
              <option value="">{t("All")}</option>
              {kind.statuses.map((one) => (
                <option key={one} value={one}>
                  {t(words(one))}
                </option>
              ))}
            </Select>
          )}
        </Field>
        {may.edit && (
          <Button look="primary" onClick={() => setIsAdding(true)}>
            <Plus size={16} aria-hidden />
            {t(kind.create)}
          </Button>
        )}
      </div>
      {query.error && <Failed error={query.error} onRetry={() => void query.refetch()} />}
      {rows === undefined && !query.error && <Slow />}
      {rows?.length === 0 && (status === undefined ? <Empty title={t(kind.empty.title)} text={t(kind.empty.text)} /> : <p className="text-muted">{t("None has this status.")}</p>)}
      {rows !== undefined && rows.length > 0 && <DataTable label={t(kind.label)} rows={rows} columns={columns} idOf={(row) => row.id} />}
      {query.hasNextPage && (
        <Button className="self-center" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {t("Show more")}
        </Button>
      )}
      <Dialog title={t(kind.create)} isOpen={isAdding} onClose={() => setIsAdding(false)}>
        <Add kind={kind} leadId={leadId} onDone={() => setIsAdding(false)} />
      </Dialog>
      {edited !== null && (
        <Dialog title={t("Edit {{name}}", { name: kind.titleOf(edited) })} isOpen onClose={() => setEdited(null)}>
          <EditForm
            record={edited}
            read={kind.read}
            save={kind.edit}
            onSaved={() => {
              setEdited(null);
              void refresh(kind);
            }}
          >
            {(record) => kind.form(record)}
          </EditForm>
        </Dialog>
      )}
    </section>
  );
}

interface ColumnsOf<R> {
  mayEdit: boolean;
  mayRemove: boolean;
  isLeadShown: boolean;
  edit: (record: R) => void;
}

function useColumns<R extends Kept<S>, S extends string>(kind: RecordKind<R, S>, { mayEdit, mayRemove, isLeadShown, edit }: ColumnsOf<R>): ColumnDef<R>[] {
  const { t } = useTranslation();
  return useMemo(() => {
    const status: ColumnDef<R> = { id: "status", accessorFn: (record) => record.status, header: t("Status"), cell: ({ row }) => (mayEdit ? <Standing kind={kind} record={row.original} /> : <StatusBadge status={row.original.status} />) };
    const lead: ColumnDef<R> = { id: "lead", header: t("Lead"), enableSorting: false, cell: ({ row }) => <LeadLink id={row.original.lead_id} /> };
    const actions: ColumnDef<R> = {
      id: "actions",
      header: () => <span className="sr-only">{t("Actions")}</span>,
      enableSorting: false,
      cell: ({ row: { original: record } }) => {
        const name = kind.titleOf(record);
        const removal = { label: t("Remove"), icon: <Trash2 size={14} aria-hidden />, isDanger: true, run: () => remove({ id: record.id, name, list: kind.key, send: (init) => kind.remove(record.id, init) }, t) };
        return <Menu label={t("Actions for {{name}}", { name })} items={[{ label: t("Edit"), icon: <Pencil size={14} aria-hidden />, run: () => edit(record) }, ...(mayRemove ? [removal] : [])]} />;
      },
    };
    return [...kind.columns((text) => t(text)), status, ...(isLeadShown ? [lead] : []), ...(mayEdit ? [actions] : [])];
  }, [t, kind, mayEdit, mayRemove, isLeadShown, edit]);
}

/** Asked again after a change; it is in the lead's timeline too. */
async function refresh(kind: { key: QueryKey }): Promise<void> {
  await Promise.all([queryClient.invalidateQueries({ queryKey: kind.key }), queryClient.invalidateQueries({ queryKey: keys.leads })]);
}

function Standing<R extends Kept<S>, S extends string>({ kind, record }: { kind: RecordKind<R, S>; record: R }) {
  const { t } = useTranslation();
  const change = useMutation({ mutationFn: (status: S) => kind.setStatus(record, status), onError: toastError, onSettled: () => refresh(kind) });
  const set = (text: string) => {
    const status = kind.statuses.find((one) => one === text);
    if (status !== undefined) change.mutate(status);
  };
  return (
    <Select className="min-w-28" aria-label={t("Status of {{title}}", { title: kind.titleOf(record) })} value={change.isPending ? change.variables : record.status} disabled={change.isPending} onChange={(event) => set(event.target.value)}>
      {kind.statuses.map((one) => (
        <option key={one} value={one}>
          {t(words(one))}
        </option>
      ))}
    </Select>
  );
}

function Add<R extends Kept<S>, S extends string>({ kind, leadId, onDone }: RecordsProps<R, S> & { onDone: () => void }) {
  const { t } = useTranslation();
  const saved = () => {
    void refresh(kind);
    onDone();
  };
  return (
    <SaveForm submit={t("Add")} save={(fields) => kind.add(fields, leadId)} onSaved={saved}>
      {kind.form()}
      {leadId === undefined && <p className="text-xs text-muted">{t("It is about nobody in particular; for one that is about somebody, open the lead.")}</p>}
    </SaveForm>
  );
}
