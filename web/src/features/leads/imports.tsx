// Files of leads: what was imported, how far it has come, and what was wrong with which row.

import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import type { ColumnDef } from "@tanstack/react-table";
import { Download, Upload } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { StatusBadge } from "@/components/badge";
import { Button } from "@/components/button";
import { DataTable, PlainTable } from "@/components/data-table";
import { Dialog } from "@/components/dialog";
import { Answer, Empty, Failed, Slow } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { csvOf, download } from "@/lib/download";
import { useMay } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { dateTime } from "@/lib/words";
import { ImportForm } from "./import-form";

type Import = Schemas["LeadImport"];

const PAGE = 20;
/** How often one that is under way is asked about. */
const ASK_MS = 1000;

const isUnderWay = ({ status }: Import) => status === "receiving" || status === "running";

export function Imports() {
  const { t } = useTranslation();
  const mayImport = useMay("supervisor");
  const [isAdding, setIsAdding] = useState(false);
  const [shown, setShown] = useState<string | null>(null);
  const query = useInfiniteQuery({
    queryKey: keys.imports,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) => body(api.GET("/api/leads/imports", { params: { query: { limit: PAGE, cursor: pageParam } } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: ({ state }) => (state.data?.pages.some((page) => page.items.some(isUnderWay)) ? ASK_MS : false),
  });
  const rows = query.data?.pages.flatMap((page) => page.items);
  const columns = useColumns(setShown);
  return (
    <section aria-label={t("Imports")} className="flex flex-col gap-3 py-3">
      {mayImport && (
        <Button look="primary" className="self-end" onClick={() => setIsAdding(true)}>
          <Upload size={16} aria-hidden />
          {t("Import a file")}
        </Button>
      )}
      {query.error && <Failed error={query.error} onRetry={() => void query.refetch()} />}
      {rows === undefined && !query.error && <Slow />}
      {rows?.length === 0 && <Empty title={t("No imports yet")} text={t("A CSV file from a spreadsheet or another CRM brings in many leads at once.")} />}
      {rows !== undefined && rows.length > 0 && <DataTable label={t("Imports")} rows={rows} columns={columns} idOf={(row) => row.id} />}
      {query.hasNextPage && (
        <Button className="self-center" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {t("Show more")}
        </Button>
      )}
      <Dialog title={t("Import leads")} text={t("A CSV file in UTF-8 whose first row names the columns.")} isOpen={isAdding} onClose={() => setIsAdding(false)} isWide>
        <ImportForm
          onSent={(id) => {
            setIsAdding(false);
            setShown(id);
            void queryClient.invalidateQueries({ queryKey: keys.imports });
          }}
        />
      </Dialog>
      <Dialog title={t("Import")} isOpen={shown !== null} onClose={() => setShown(null)} isWide>
        {shown !== null && <Report id={shown} />}
      </Dialog>
    </section>
  );
}

function useColumns(show: (id: string) => void): ColumnDef<Import>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      {
        accessorKey: "created_at",
        header: t("Begun"),
        cell: ({ row }) => (
          <button type="button" className="font-medium text-primary hover:underline" onClick={() => show(row.original.id)}>
            {dateTime(row.original.created_at)}
          </button>
        ),
      },
      { accessorKey: "status", header: t("Status"), cell: ({ row }) => <StatusBadge status={row.original.status} /> },
      { id: "rows", accessorFn: (one) => one.counts.rows, header: t("Rows") },
      { id: "created", accessorFn: (one) => one.counts.created, header: t("New") },
      { id: "updated", accessorFn: (one) => one.counts.updated, header: t("Updated") },
      { id: "skipped", accessorFn: (one) => one.counts.skipped, header: t("Left as they were") },
      { id: "bad", accessorFn: (one) => one.counts.bad, header: t("Bad") },
      { accessorKey: "finished_at", header: t("Finished"), cell: ({ row }) => dateTime(row.original.finished_at) },
    ],
    [t, show],
  );
}

/** How far an import has come, asked again until it is over. */
function Report({ id }: { id: string }) {
  const query = useQuery({
    queryKey: keys.import(id),
    staleTime: 0,
    queryFn: () => body(api.GET("/api/leads/imports/{id}", { params: { path: { id } } })),
    refetchInterval: ({ state }) => (state.data === undefined || isUnderWay(state.data) ? ASK_MS : false),
  });
  const isOver = query.data !== undefined && !isUnderWay(query.data);
  useEffect(() => {
    if (isOver) void Promise.all([keys.imports, keys.leads].map((queryKey) => queryClient.invalidateQueries({ queryKey, exact: queryKey === keys.imports })));
  }, [isOver]);
  return <Answer query={query}>{(report) => <Told report={report} />}</Answer>;
}

function Told({ report }: { report: Import }) {
  const { t } = useTranslation();
  const { rows, done, created, updated, skipped, bad } = report.counts;
  const facts: [string, number][] = [
    [t("Rows"), rows],
    [t("New"), created],
    [t("Updated"), updated],
    [t("Left as they were"), skipped],
    [t("Bad"), bad],
  ];
  return (
    <div className="flex flex-col gap-4">
      <div role="status" className="flex items-center gap-3">
        <StatusBadge status={report.status} />
        <span>{t("{{done}} of {{rows}} rows", { done, rows })}</span>
      </div>
      {isUnderWay(report) && <progress aria-label={t("Rows that were looked at")} value={done} max={Math.max(rows, 1)} className="h-2 w-full accent-primary" />}
      {report.error && <Failed error={new Error(report.error)} />}
      <dl className="grid grid-cols-2 gap-3 sm:grid-cols-5">
        {facts.map(([name, count]) => (
          <div key={name} className="rounded-md border p-2">
            <dt className="text-xs text-muted">{name}</dt>
            <dd className="text-lg font-semibold">{count}</dd>
          </div>
        ))}
      </dl>
      <p className="text-muted">{report.start_workflows ? t("Workflows hear of every lead.") : t("No workflow starts because of this file.")}</p>
      {report.problems.length > 0 && <BadRows report={report} />}
    </div>
  );
}

function BadRows({ report }: { report: Import }) {
  const { t } = useTranslation();
  const { problems } = report;
  const save = () => {
    const rows = problems.map((one) => [one.row, one.column, one.value, one.message]);
    download(`bad-rows-${report.id}.csv`, "text/csv", csvOf([["row", "column", "value", "what to do"], ...rows]));
  };
  return (
    <section aria-label={t("Bad rows")} className="flex flex-col gap-2">
      <div className="flex flex-wrap items-center justify-between gap-2">
        <h3 className="font-semibold">{t("Bad rows")}</h3>
        <Button onClick={save}>
          <Download size={14} aria-hidden />
          {t("Download the report")}
        </Button>
      </div>
      {report.counts.bad > problems.length && <p className="text-muted">{t("The first {{shown}} problems; {{bad}} rows were bad.", { shown: problems.length, bad: report.counts.bad })}</p>}
      <PlainTable label={t("Bad rows, row by row")} heads={[t("Row"), t("Column"), t("Value"), t("What to do")]} className="max-h-64">
        {problems.map((one) => (
          <tr key={`${one.row}-${one.column}`} className="border-t align-top">
            <td className="px-3 py-1.5">{one.row}</td>
            <td className="px-3 py-1.5">{one.column || "–"}</td>
            <td className="px-3 py-1.5 break-all">{one.value || "–"}</td>
            <td className="px-3 py-1.5">{one.message}</td>
          </tr>
        ))}
      </PlainTable>
    </section>
  );
}
