import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { StatusBadge } from "@/components/badge";
import { GraphView } from "@/components/flow/graph-view";
import { LeadLink } from "@/components/lead-link";
import { Page, Panel } from "@/components/page";
import { Answer, Slow } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { kindsOf, useBlocks } from "@/lib/blocks";
import { readDefinition, waysOf } from "@/lib/graph/definition";
import { useLive } from "@/lib/live/store";
import { keys } from "@/lib/query";
import { dateTime, sentence, span } from "@/lib/words";
import { Decisions } from "./decisions";
import { RunActions } from "./run-actions";
import { StepDetails } from "./step-details";

type Run = Schemas["Run"];

const route = getRouteApi("/shell/runs/$runId");

export function RunPage() {
  const { runId } = route.useParams();
  const query = useQuery({ queryKey: keys.run(runId), queryFn: () => body(api.GET("/api/runs/{id}", { params: { path: { id: runId } } })) });
  return <Answer query={query}>{(run) => <Shown run={run} />}</Answer>;
}

function Shown({ run }: { run: Run }) {
  const { t } = useTranslation();
  const [selected, setSelected] = useState<string | null>(null);
  const blocks = useBlocks();
  const kinds = useMemo(() => kindsOf(blocks.data), [blocks.data]);
  const at = run.version_moves.at(-1)?.to ?? run.version;
  const version = useQuery({
    queryKey: [...keys.versions(run.workflow_id), at],
    queryFn: () => body(api.GET("/api/workflows/{id}/versions/{version}", { params: { path: { id: run.workflow_id, version: at } } })),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const statuses = useStatuses(run);
  const walked = useMemo(() => waysOf(run.steps), [run.steps]);
  const definition = useMemo(() => (version.data ? readDefinition(version.data.definition) : null), [version.data]);
  return (
    <Page title={definition?.name ?? t("Run")} text={`${sentence(run.trigger)} · ${dateTime(run.started_at)}`} actions={<RunActions run={run} />}>
      <Decisions run={run} kinds={kinds} />
      <dl className="flex flex-wrap gap-x-8 gap-y-2">
        <Fact name={t("Status")}>
          <StatusBadge status={run.status} />
        </Fact>
        <Fact name={t("Took")}>{run.ended_at ? span(run.started_at, run.ended_at) : t("still running")}</Fact>
        <Fact name={t("Version")}>{[run.version_moves[0]?.from ?? run.version, ...run.version_moves.map((move) => move.to)].map((one) => `v${one}`).join(" → ")}</Fact>
        <Fact name={t("Cost")}>{t("{{tokens}} tokens", { tokens: run.tokens })}</Fact>
        {run.retry_of && (
          <Fact name={t("Takes up again")}>
            <RunLink id={run.retry_of} />
          </Fact>
        )}
        {run.retried_as[0] && (
          <Fact name={t("Taken up again as")}>
            <RunLink id={run.retried_as[0]} />
          </Fact>
        )}
        {run.lead_id && (
          <Fact name={t("Lead")}>
            <LeadLink id={run.lead_id} />
          </Fact>
        )}
        <Fact name={t("Workflow")}>
          <Link to="/workflows/$workflowId" params={{ workflowId: run.workflow_id }} className="text-primary underline">
            {t("Open in the builder")}
          </Link>
        </Fact>
      </dl>
      <Progress run={run} />
      {run.error && (
        <p role="alert" className="rounded-md border border-danger bg-danger-soft p-3 text-danger">
          {run.error}
        </p>
      )}
      <div className="grid gap-4 lg:grid-cols-[minmax(0,3fr)_minmax(0,2fr)]">
        <Panel className="h-[60vh]">
          {definition === null ? <Slow /> : <GraphView label={t("The steps of this run")} definition={definition} kinds={kinds} statuses={statuses} walked={walked} selected={selected} onSelect={setSelected} />}
        </Panel>
        <ol aria-label={t("Steps")} className="flex flex-col gap-2">
          {run.steps.map((step) => (
            <StepDetails key={`${step.node}-${step.visit}-${step.item ?? ""}`} step={step} runId={run.id} kinds={kinds} hasEnded={Boolean(run.ended_at)} isOpen={selected === step.node} onOpen={(isOpen) => setSelected(isOpen ? step.node : null)} />
          ))}
        </ol>
      </div>
    </Page>
  );
}

/** The newest status of each step: as recorded, and as the live stream tells it meanwhile. */
function useStatuses(run: Run): ReadonlyMap<string, string> {
  const live = useLive((state) => state.floor.runs[run.id]);
  return useMemo(() => {
    const statuses = new Map<string, string>(run.steps.map((step) => [step.node, step.status]));
    if (run.ended_at === null || run.ended_at === undefined) for (const step of live?.steps ?? []) statuses.set(step.node, step.status);
    if (run.steps.length > 0) statuses.set("trigger", "done");
    return statuses;
  }, [run, live]);
}

function RunLink({ id }: { id: string }) {
  const { t } = useTranslation();
  return (
    <Link to="/runs/$runId" params={{ runId: id }} className="text-primary underline">
      {t("that run")}
    </Link>
  );
}

/** How far a run has come that writes to or calls many people. */
function Progress({ run }: { run: Run }) {
  const { t } = useTranslation();
  const { progress } = run;
  if (!progress) return null;
  const { sent, waiting, held, refused, unknown } = progress;
  const all = sent + waiting + held + refused + unknown;
  if (all < 2) return null;
  const counts = [
    { text: t("{{sent}} of {{all}} sent", { sent, all }), isShown: true },
    { text: t("{{waiting}} on their way", { waiting }), isShown: waiting > 0 },
    { text: t("{{held}} held back", { held }), isShown: held > 0 },
    { text: t("{{refused}} refused", { refused }), isShown: refused > 0 },
    { text: t("{{unknown}} unknown", { unknown }), isShown: unknown > 0 },
    { text: t("done about {{at}}", { at: dateTime(progress.done_at) }), isShown: Boolean(progress.done_at) },
  ];
  return (
    <div className="flex flex-col gap-1">
      <progress aria-label={t("Messages and calls")} value={sent} max={all} className="h-2 w-full accent-primary" />
      <p className="text-xs text-muted">
        {counts
          .filter((count) => count.isShown)
          .map((count) => count.text)
          .join(" · ")}
      </p>
    </div>
  );
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <div>
      <dt className="text-xs text-muted">{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
