import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { StatusBadge } from "@/components/badge";
import { Button } from "@/components/button";
import { DataTable } from "@/components/data-table";
import { Field, Input, Select } from "@/components/field";
import { LeadLink } from "@/components/lead-link";
import { Page } from "@/components/page";
import { Empty, Failed, Slow } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { keys } from "@/lib/query";
import { dateTime, sentence, span, words } from "@/lib/words";

type Run = Schemas["RunSummary"];
type Status = Schemas["RunStatus"];

const STATUSES: Status[] = ["running", "waiting", "stuck", "completed", "failed", "cancelled"];
const PAGE = 50;

const route = getRouteApi("/shell/runs");

export function RunsPage() {
  const { t } = useTranslation();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const workflows = useQuery({ queryKey: keys.workflows, queryFn: () => body(api.GET("/api/workflows", { params: { query: { limit: 200 } } })) });
  const names = useMemo(() => new Map(workflows.data?.items.map((one) => [one.id, one.name])), [workflows.data]);
  const runs = useInfiniteQuery({
    queryKey: [...keys.runs, search],
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) =>
      body(
        api.GET("/api/runs", {
          params: { query: { limit: PAGE, cursor: pageParam, workflow_id: search.workflow, status: search.status as Status | undefined, q: search.q } },
        }),
      ),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const columns = useColumns(names);
  const rows = runs.data?.pages.flatMap((page) => page.items);
  const set = (change: typeof search) => void navigate({ search: { ...search, ...change }, replace: true });
  return (
    <Page title={t("Runs")} text={t("What was done, step by step.")}>
      <div className="flex flex-wrap gap-3">
        <Field label={t("Workflow")}>
          {(control) => (
            <Select {...control} value={search.workflow ?? ""} onChange={(event) => set({ workflow: event.target.value || undefined })}>
              <option value="">{t("All")}</option>
              {[...names].map(([id, name]) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label={t("Status")}>
          {(control) => (
            <Select {...control} value={search.status ?? ""} onChange={(event) => set({ status: event.target.value || undefined })}>
              <option value="">{t("All")}</option>
              {STATUSES.map((status) => (
                <option key={status} value={status}>
                  {t(words(status))}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label={t("Lead")}>
          {(control) => <Input {...control} type="search" placeholder={t("Name or number")} value={search.q ?? ""} onChange={(event) => set({ q: event.target.value || undefined })} />}
        </Field>
      </div>
      {runs.error && <Failed error={runs.error} onRetry={() => void runs.refetch()} />}
      {rows === undefined && !runs.error && <Slow />}
      {rows?.length === 0 && <Empty title={t("No runs here")} text={t("A run begins when a workflow that is on sees its trigger. A dry run in the builder shows what it would do.")} action={<Link to="/workflows" className="text-primary underline">{t("Go to the workflows")}</Link>} />}
      {rows !== undefined && rows.length > 0 && <DataTable label={t("Runs")} rows={rows} columns={columns} idOf={(row) => row.id} />}
      {runs.hasNextPage && (
        <Button className="self-center" disabled={runs.isFetchingNextPage} onClick={() => void runs.fetchNextPage()}>
          {t("Show more")}
        </Button>
      )}
    </Page>
  );
}

function useColumns(names: ReadonlyMap<string, string>): ColumnDef<Run>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        id: "workflow",
        accessorFn: (run) => names.get(run.workflow_id) ?? "",
        header: t("Workflow"),
        cell: ({ row }) => (
          <Link to="/runs/$runId" params={{ runId: row.original.id }} className="font-medium text-primary hover:underline">
            {names.get(row.original.workflow_id) ?? t("A deleted workflow")}
          </Link>
        ),
      },
      { accessorKey: "status", header: t("Status"), cell: ({ row }) => <StatusBadge status={row.original.status} /> },
      { id: "lead", header: t("Lead"), enableSorting: false, cell: ({ row }) => <LeadLink id={row.original.lead_id} /> },
      { accessorKey: "trigger", header: t("Started by"), cell: ({ row }) => sentence(row.original.trigger) },
      { accessorKey: "started_at", header: t("Started"), cell: ({ row }) => dateTime(row.original.started_at) },
      {
        id: "took",
        header: t("Took"),
        enableSorting: false,
        cell: ({ row }) => (row.original.ended_at ? span(row.original.started_at, row.original.ended_at) : "–"),
      },
      { accessorKey: "error", header: t("Error"), enableSorting: false, cell: ({ row }) => <span className="line-clamp-2 text-danger">{row.original.error}</span> },
    ],
    [t, names],
  );
}
