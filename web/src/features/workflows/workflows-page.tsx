import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import type { ColumnDef } from "@tanstack/react-table";
import { Copy, Download, Pencil, Play, Plus, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Badge, StatusBadge } from "@/components/badge";
import { Button } from "@/components/button";
import { DataTable } from "@/components/data-table";
import { Menu } from "@/components/menu";
import { Page } from "@/components/page";
import { Answer, Empty } from "@/components/states";
import { Switch } from "@/components/switch";
import { api, body, type Schemas } from "@/lib/api";
import { remove, useHidden } from "@/lib/deletion";
import { useMay } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { toastError, toastInfo } from "@/lib/toast";
import { dateTime, sentence } from "@/lib/words";
import { ImportFile, saveAsFile } from "./files";
import { RunNow } from "./run-now";

type Workflow = Schemas["WorkflowSummary"];

const BLANK = { name: "New workflow", enabled: false, trigger: { type: "lead.created" }, nodes: [], edges: [] };

export function WorkflowsPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const query = useQuery({ queryKey: keys.workflows, queryFn: () => body(api.GET("/api/workflows", { params: { query: { limit: 200 } } })) });
  const hidden = useHidden();
  const mayEdit = useMay("admin");
  const open = ({ id }: { id: string }) => void navigate({ to: "/workflows/$workflowId", params: { workflowId: id } });
  const create = useMutation({ mutationFn: () => body(api.POST("/api/workflows", { body: BLANK })), onSuccess: open, onError: toastError });
  const columns = useColumns(open, mayEdit);
  return (
    <Page
      title={t("Workflows")}
      text={t("What is done when something happens.")}
      actions={mayEdit && (
        <>
          <Link to="/templates" className="text-sm text-primary underline">
            {t("Start from a template")}
          </Link>
          <ImportFile onImported={open} />
          <Button look="primary" disabled={create.isPending} onClick={() => create.mutate()}>
            <Plus size={16} aria-hidden />
            {t("New workflow")}
          </Button>
        </>
      )}
    >
      <Answer query={query}>
        {({ items }) => {
          const rows = items.filter((workflow) => !hidden.has(workflow.id));
          if (rows.length > 0) return <DataTable label={t("Workflows")} rows={rows} columns={columns} idOf={(row) => row.id} />;
          const action = (
            <Link to="/templates" className="text-primary underline">
              {t("Choose a template")}
            </Link>
          );
          return <Empty title={t("No workflow yet")} text={t("Most people start from one of the templates and change the words.")} action={action} />;
        }}
      </Answer>
    </Page>
  );
}

function useColumns(open: (workflow: Workflow) => void, mayEdit: boolean): ColumnDef<Workflow>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      { id: "enabled", header: t("On"), enableSorting: false, cell: ({ row }) => <Toggle workflow={row.original} mayEdit={mayEdit} /> },
      {
        accessorKey: "name",
        header: t("Name"),
        cell: ({ row }) => (
          <Link to="/workflows/$workflowId" params={{ workflowId: row.original.id }} className="font-medium text-primary hover:underline">
            {row.original.name}
          </Link>
        ),
      },
      { accessorKey: "trigger", header: t("Starts with"), cell: ({ row }) => sentence(row.original.trigger) },
      {
        accessorKey: "published_version",
        header: t("Version"),
        cell: ({ row }) => (row.original.published_version ? `v${row.original.published_version}` : <Badge tone="warn">{t("Draft")}</Badge>),
      },
      { id: "success", header: t("Success, last run"), enableSorting: false, cell: ({ row }) => <Success id={row.original.id} /> },
      { accessorKey: "updated_at", header: t("Changed"), cell: ({ row }) => dateTime(row.original.updated_at) },
      {
        id: "actions",
        header: () => <span className="sr-only">{t("Actions")}</span>,
        enableSorting: false,
        cell: ({ row }) => <Actions workflow={row.original} mayEdit={mayEdit} open={open} />,
      },
    ],
    [t, open, mayEdit],
  );
}

function Toggle({ workflow, mayEdit }: { workflow: Workflow; mayEdit: boolean }) {
  const { t } = useTranslation();
  const change = useMutation({
    mutationFn: (enabled: boolean) => body(api.PATCH("/api/workflows/{id}", { params: { path: { id: workflow.id } }, body: { enabled } })),
    onError: toastError,
    onSettled: () => queryClient.invalidateQueries({ queryKey: keys.workflows }),
  });
  const isPublished = Boolean(workflow.published_version);
  return (
    <span title={isPublished ? undefined : t("Publish it first")}>
      <Switch
        label={t("{{name}} is on", { name: workflow.name })}
        isOn={change.isPending ? change.variables : workflow.enabled}
        isDisabled={!mayEdit || change.isPending || !isPublished}
        onChange={change.mutate}
      />
    </span>
  );
}

/** The share of runs that ended well, with how many there were: 100 % of one run says little. */
function Success({ id }: { id: string }) {
  const { t } = useTranslation();
  const history = useQuery({
    queryKey: keys.history(id),
    queryFn: () => body(api.GET("/api/workflows/{id}/history", { params: { path: { id }, query: { limit: 1 } } })),
  });
  if (history.data === undefined) return <span className="text-muted">…</span>;
  const { completed, failed, active } = history.data.counts;
  const ended = completed + failed;
  const last = history.data.items[0];
  if (last === undefined) return <span className="text-muted">{t("No runs yet")}</span>;
  return (
    <span className="flex flex-wrap items-center gap-x-2">
      {ended > 0 ? t("{{percent}} % of {{ended}}", { percent: Math.round((completed / ended) * 100), ended }) : t("{{active}} active", { active })}
      <Link to="/runs" search={{ workflow: id }} aria-label={t("Runs, the last one: {{status}}", { status: last.status })}>
        <StatusBadge status={last.status} />
      </Link>
      <time className="w-full text-xs whitespace-nowrap text-muted">{dateTime(last.started_at)}</time>
    </span>
  );
}

/** What one can do with a workflow, by role; nothing for whoever may only look. */
function Actions({ workflow, mayEdit, open }: { workflow: Workflow; mayEdit: boolean; open: (workflow: Workflow) => void }) {
  const { t } = useTranslation();
  const mayRun = useMay("supervisor");
  const [isRunning, setIsRunning] = useState(false);
  const clone = useMutation({
    mutationFn: () => body(api.POST("/api/workflows/{id}/clone", { params: { path: { id: workflow.id } } })),
    onSuccess: (made) => {
      void queryClient.invalidateQueries({ queryKey: keys.workflows });
      toastInfo(t("Copied as “{{name}}”", { name: made.name }));
    },
    onError: toastError,
  });
  if (!mayRun && !mayEdit) return null;
  const items = [
    { label: mayEdit ? t("Edit") : t("Look at it"), icon: <Pencil size={14} aria-hidden />, isShown: true, run: () => open(workflow) },
    { label: t("Run now …"), icon: <Play size={14} aria-hidden />, isShown: mayRun, isDisabled: !workflow.published_version, run: () => setIsRunning(true) },
    { label: t("Clone"), icon: <Copy size={14} aria-hidden />, isShown: mayEdit, run: () => clone.mutate() },
    { label: t("Export"), icon: <Download size={14} aria-hidden />, isShown: true, run: () => void saveAsFile(workflow).catch(toastError) },
    { label: t("Delete"), icon: <Trash2 size={14} aria-hidden />, isShown: mayEdit, isDanger: true, run: () => remove({ ...workflow, list: keys.workflows, send: (init) => api.DELETE("/api/workflows/{id}", { params: { path: { id: workflow.id } }, ...init }) }, t) },
  ];
  return (
    <>
      <Menu label={t("Actions for {{name}}", { name: workflow.name })} items={items.filter(({ isShown }) => isShown)} />
      {isRunning && <RunNow workflow={workflow} onClose={() => setIsRunning(false)} />}
    </>
  );
}
