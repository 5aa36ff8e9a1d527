import { keepPreviousData, useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { Plus } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { DataTable } from "@/components/data-table";
import { Dialog } from "@/components/dialog";
import { Field, Input } from "@/components/field";
import { Page } from "@/components/page";
import { Empty, Failed, Slow } from "@/components/states";
import { Tabs } from "@/components/tabs";
import { api, body, type Schemas } from "@/lib/api";
import { useHidden } from "@/lib/deletion";
import { useMay } from "@/lib/me";
import { keys } from "@/lib/query";
import { dateTime, words } from "@/lib/words";
import { APPOINTMENTS, PAYMENTS, QUOTES } from "./deals";
import { Imports } from "./imports";
import { Reach } from "./reach";
import { Records } from "./records";

type Lead = Schemas["Lead"];

const route = getRouteApi("/shell/leads");
/** After the last key, before the server is asked. */
const TYPED_MS = 250;

export function LeadsPage() {
  const { t } = useTranslation();
  const { tab = "leads" } = route.useSearch();
  const navigate = route.useNavigate();
  const tabs = [
    { id: "leads", label: t("People"), content: <People /> },
    { id: "appointments", label: t(APPOINTMENTS.label), content: <Records kind={APPOINTMENTS} /> },
    { id: "quotes", label: t(QUOTES.label), content: <Records kind={QUOTES} /> },
    { id: "payments", label: t(PAYMENTS.label), content: <Records kind={PAYMENTS} /> },
    { id: "imports", label: t("Imports"), content: <Imports /> },
  ];
  return (
    <Page title={t("Leads")} text={t("The people outside, and what is agreed with them.")}>
      <Tabs label={t("Leads")} tabs={tabs} value={tab} onChange={(next) => void navigate({ search: { tab: next }, replace: true })} />
    </Page>
  );
}

function People() {
  const { t } = useTranslation();
  const { q } = route.useSearch();
  const [isAdding, setIsAdding] = useState(false);
  const leads = useInfiniteQuery({
    queryKey: q ? [...keys.leads, "search", q] : keys.leads,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) => body(api.GET("/api/leads", { params: { query: { limit: 100, cursor: pageParam, q } } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    // What was found stays until what is looked for now is.
    placeholderData: keepPreviousData,
  });
  const hidden = useHidden();
  const rows = leads.data?.pages.flatMap((page) => page.items).filter((lead) => !hidden.has(lead.id));
  const columns = useColumns();
  const mayAdd = useMay("supervisor");
  const add = mayAdd && (
    <Button look="primary" onClick={() => setIsAdding(true)}>
      <Plus size={16} aria-hidden />
      {t("New lead")}
    </Button>
  );
  return (
    <section aria-label={t("People")} className="flex flex-col gap-3 py-3">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <Search />
        <div className="flex flex-wrap items-center gap-3">
          <Link to="/leads/duplicates" className="text-sm text-primary underline">
            {t("Duplicates")}
          </Link>
          {add}
        </div>
      </div>
      {q && <Found count={rows?.length} isBusy={leads.isFetching} hasMore={leads.hasNextPage} q={q} />}
      {leads.error && <Failed error={leads.error} onRetry={() => void leads.refetch()} />}
      {rows === undefined && !leads.error && <Slow />}
      {rows?.length === 0 && !q && <Empty title={t("Nobody here yet")} text={t("Whoever calls or writes becomes a lead by itself; you can add people too, or import a file.")} />}
      {rows !== undefined && rows.length > 0 && <DataTable label={t("Leads")} rows={rows} columns={columns} idOf={(row) => row.id} />}
      {leads.hasNextPage && (
        <Button className="self-center" disabled={leads.isFetchingNextPage} onClick={() => void leads.fetchNextPage()}>
          {q ? t("Search on") : t("Show more")}
        </Button>
      )}
      <AddLead isOpen={isAdding} onClose={() => setIsAdding(false)} />
    </section>
  );
}

/** What is looked for stands in the address: a link to it, and the way back, show the same. */
function Search() {
  const { t } = useTranslation();
  const { q = "" } = route.useSearch();
  const navigate = route.useNavigate();
  const [text, setText] = useState(q);
  const asked = useRef(q);
  const wanted = text.trim();
  useEffect(() => {
    if (wanted === asked.current) return;
    const timer = setTimeout(() => {
      asked.current = wanted;
      void navigate({ search: (before) => ({ ...before, q: wanted || undefined }), replace: true });
    }, TYPED_MS);
    return () => clearTimeout(timer);
  }, [wanted, navigate]);
  // Somebody went back, or cleared the search.
  useEffect(() => {
    if (q === asked.current) return;
    asked.current = q;
    setText(q);
  }, [q]);
  return <Input type="search" aria-label={t("Search leads")} placeholder={t("Name, phone or e-mail")} maxLength={100} value={text} onChange={(event) => setText(event.target.value)} className="max-w-72" />;
}

function Found({ count, isBusy, hasMore, q }: { count: number | undefined; isBusy: boolean; hasMore: boolean; q: string }) {
  const { t } = useTranslation();
  const navigate = route.useNavigate();
  const clear = (
    <Button onClick={() => void navigate({ search: (before) => ({ ...before, q: undefined }), replace: true })}>{t("Show everybody")}</Button>
  );
  if (count === 0 && !isBusy && !hasMore) return <Empty title={t("Nobody matches “{{q}}”", { q })} text={t("Every word has to be in the name, the phone number or the e-mail address.")} action={clear} />;
  return (
    <p role="status" className="text-muted">
      {isBusy || count === undefined ? t("Searching …") : hasMore ? t("{{count}} found so far: not every lead was looked through.", { count }) : t("{{count}} found.", { count })}
    </p>
  );
}

function useColumns(): ColumnDef<Lead>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "name",
        accessorFn: (lead) => lead.name || lead.phone || lead.email || lead.id,
        header: t("Name"),
        cell: ({ row, getValue }) => (
          <Link to="/leads/$leadId" params={{ leadId: row.original.id }} className="font-medium text-primary hover:underline">
            {String(getValue())}
          </Link>
        ),
      },
      { accessorKey: "phone", header: t("Phone") },
      { accessorKey: "email", header: t("E-mail") },
      { accessorKey: "stage", header: t("Stage"), cell: ({ row }) => words(row.original.stage) },
      { accessorKey: "score", header: t("Score") },
      { id: "reach", header: t("May be reached"), enableSorting: false, cell: ({ row }) => <Reach lead={row.original} /> },
      { accessorKey: "updated_at", header: t("Changed"), cell: ({ row }) => dateTime(row.original.updated_at) },
    ],
    [t],
  );
}

function AddLead({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const create = useMutation({
    mutationFn: (fields: FormData) => {
      const text = (name: string) => String(fields.get(name) ?? "").trim() || null;
      return body(api.POST("/api/leads", { body: { name: text("name") ?? "", phone: text("phone"), email: text("email") } }));
    },
    onSuccess: (lead) => void navigate({ to: "/leads/$leadId", params: { leadId: lead.id } }),
  });
  return (
    <Dialog title={t("New lead")} isOpen={isOpen} onClose={onClose}>
      <form
        className="flex flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate(new FormData(event.currentTarget));
        }}
      >
        <Field label={t("Name")}>{(control) => <Input {...control} name="name" />}</Field>
        <Field label={t("Phone")} hint={t("With its country, like +14155550123")}>
          {(control) => <Input {...control} name="phone" type="tel" />}
        </Field>
        <Field label={t("E-mail")}>{(control) => <Input {...control} name="email" type="email" />}</Field>
        <p role="alert" className="text-danger empty:hidden">
          {create.error?.message}
        </p>
        <Button type="submit" look="primary" className="self-end" disabled={create.isPending}>
          {t("Add")}
        </Button>
      </form>
    </Dialog>
  );
}
