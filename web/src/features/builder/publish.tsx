import { useMutation, useQuery } from "@tanstack/react-query";
import type { TFunction } from "i18next";
import { CheckCircle2, CircleAlert } from "lucide-react";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Failed } from "@/components/states";
import { Switch } from "@/components/switch";
import { api, body, type Schemas } from "@/lib/api";
import { type Kind, kindsOf, titleOf, useBlocks } from "@/lib/blocks";
import { type Definition, readDefinition, TRIGGER } from "@/lib/graph/definition";
import { type Problem, stepIdOf } from "@/lib/graph/problems";
import { i18next } from "@/lib/i18n";
import { keys, queryClient } from "@/lib/query";
import { toastInfo } from "@/lib/toast";
import { Changes } from "./changes";
import { type Chosen, groupKey, isDecided, migrate, type Outcome, readWaiting } from "./migration";
import { useBuilder } from "./store";
import { WaitingRuns } from "./waiting-runs";

interface PublishProps {
  workflow: Schemas["Workflow"];
  definition: Definition;
  isOpen: boolean;
  onClose: () => void;
}

/** Publishing: what is different, what is still wrong, and whether it acts from then on. */
export function Publish({ workflow, definition, isOpen, onClose }: PublishProps) {
  const { t } = useTranslation();
  const [isOn, setIsOn] = useState(true);
  const { problems, save } = useBuilder();
  const blocks = useBlocks();
  const kinds = useMemo(() => kindsOf(blocks.data), [blocks.data]);
  const before = usePublished(workflow, isOpen);
  const waiting = useWaiting(workflow, isOpen && problems.length === 0);
  const [chosen, setChosen] = useState<Record<string, Chosen>>({});
  const publish = useMutation({
    mutationFn: async () => {
      const params = (revision: number) => ({ path: { id: workflow.id }, header: { "If-Match": `"${revision}"` } });
      const take = (changed: Schemas["Workflow"]) => {
        useBuilder.setState({ revision: changed.revision });
        queryClient.setQueryData(keys.workflow(workflow.id), changed);
        return changed;
      };
      const published = take(await body(api.POST("/api/workflows/{id}/publish", { params: params(useBuilder.getState().revision) })));
      const isAsWanted = published.enabled === isOn;
      const switched = isAsWanted ? published : take(await body(api.PATCH("/api/workflows/{id}", { params: params(published.revision), body: { enabled: isOn } })));
      const outcome = waiting.data && (await migrate(workflow.id, published.published_version ?? 1, waiting.data, chosen));
      return { published: switched, outcome };
    },
    onSuccess: ({ published, outcome }) => {
      void queryClient.invalidateQueries({ queryKey: keys.workflows });
      const version = published.published_version;
      toastInfo([published.enabled ? t("Version {{version}} is published and on", { version }) : t("Version {{version}} is published", { version }), ...toldOf(outcome, t)].join("\n"));
      setChosen({});
      onClose();
    },
  });
  const isSaved = save === "saved";
  const areRunsDecided = waiting.data === undefined || waiting.data.groups.every((group) => isDecided(group, waiting.data, chosen[groupKey(group)]));
  const canPublish = problems.length === 0 && isSaved && definition.nodes.length > 0 && areRunsDecided && !waiting.isLoading;
  return (
    <Dialog
      title={t("Publish")}
      text={t("The next runs take this version. Runs that wait finish on theirs unless you say otherwise.")}
      isOpen={isOpen}
      isWide
      onClose={onClose}
      footer={
        <Button look="primary" disabled={!canPublish || publish.isPending} onClick={() => publish.mutate()}>
          {t("Publish now")}
        </Button>
      }
    >
      <div className="flex flex-col gap-4">
        <section aria-label={t("Checklist")}>
          <h3 className="mb-1 font-semibold">{t("Checklist")}</h3>
          <ul className="flex flex-col gap-1">
            <Check isDone={isSaved} text={isSaved ? t("Every edit is saved") : t("Edits are still being saved")} />
            <Check isDone={definition.nodes.length > 0} text={t("There is at least one step")} />
            <Check isDone={problems.length === 0} text={problems.length === 0 ? t("The server finds nothing wrong") : t("{{count}} problems", { count: problems.length })} />
          </ul>
          <ul className="mt-2 flex flex-col gap-1">
            {problems.map((problem) => (
              <li key={problem.path + problem.code}>
                <button
                  type="button"
                  className="text-left text-danger underline"
                  onClick={() => {
                    const id = stepIdOf(problem, definition);
                    if (id) useBuilder.getState().select([id]);
                    onClose();
                  }}
                >
                  {placeOf(problem, definition, kinds) ?? t("The whole workflow")}: {problem.message}
                  {problem.fix && ` (${problem.fix})`}
                </button>
              </li>
            ))}
          </ul>
        </section>
        {before === null ? <p className="text-muted">{t("This is the first version.")}</p> : <Changes title={t("What is different")} same={t("Nothing: the published version is the same.")} before={before} after={definition} />}
        {waiting.error && <Failed error={waiting.error} onRetry={() => void waiting.refetch()} />}
        {waiting.data && <WaitingRuns waiting={waiting.data} definition={definition} chosen={chosen} onChange={setChosen} />}
        <label className="flex items-center justify-between gap-3">
          {t("Switch it on")}
          <Switch label={t("Switch it on")} isOn={isOn} onChange={setIsOn} />
        </label>
        {publish.error && <Failed error={publish.error} />}
      </div>
    </Dialog>
  );
}

/** Runs that wait on earlier versions. Asked each time: they come and go. */
function useWaiting(workflow: Schemas["Workflow"], isWanted: boolean) {
  return useQuery({
    queryKey: [...keys.versions(workflow.id), "waiting", workflow.revision],
    enabled: isWanted && Boolean(workflow.published_version),
    staleTime: 0,
    gcTime: 0,
    queryFn: () => readWaiting(workflow.id),
  });
}

function toldOf(outcome: Outcome | undefined, t: TFunction): string[] {
  if (outcome === undefined) return [];
  return [
    ...(outcome.moved > 0 ? [t("{{count}} runs moved", { count: outcome.moved })] : []),
    ...(outcome.restarted > 0 ? [t("{{count}} runs started over", { count: outcome.restarted })] : []),
    ...(outcome.left.length > 0 ? [t("{{count}} runs stay as they are: {{reason}}", { count: outcome.left.length, reason: outcome.left[0]?.reason })] : []),
  ];
}

/** The version that acts, to compare with; null before the first. */
function usePublished(workflow: Schemas["Workflow"], isWanted: boolean): Definition | null {
  const version = workflow.published_version;
  const query = useQuery({
    queryKey: [...keys.versions(workflow.id), version],
    enabled: isWanted && Boolean(version),
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: () => body(api.GET("/api/workflows/{id}/versions/{version}", { params: { path: { id: workflow.id, version: version ?? 1 } } })),
  });
  return query.data ? readDefinition(query.data.definition) : null;
}

/** The step that a problem is about, as people call it; the id tells two of a kind apart. */
function placeOf(problem: Problem, definition: Definition, kinds: ReadonlyMap<string, Kind>): string | undefined {
  const id = stepIdOf(problem, definition);
  const step = definition.nodes.find((node) => node.id === id);
  if (id === TRIGGER) return i18next.t("What starts it");
  return step && `${titleOf(step.type, kinds)} (${step.id})`;
}

function Check({ isDone, text }: { isDone: boolean; text: string }) {
  return (
    <li className={`flex items-center gap-2 ${isDone ? "text-ok" : "text-danger"}`}>
      {isDone ? <CheckCircle2 size={16} aria-hidden /> : <CircleAlert size={16} aria-hidden />}
      {text}
    </li>
  );
}
