import { useMutation, useQuery } from "@tanstack/react-query";
import { CheckCircle2, CircleAlert } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Switch } from "@/components/switch";
import { api, body, type Schemas } from "@/lib/api";
import { type Definition, readDefinition } from "@/lib/graph/definition";
import { type Difference, differenceOf, isEmpty } from "@/lib/graph/difference";
import { stepIdOf } from "@/lib/graph/problems";
import { keys, queryClient } from "@/lib/query";
import { toastError, toastInfo } from "@/lib/toast";
import { useBuilder } from "./store";

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
  const before = usePublished(workflow, isOpen);
  const publish = useMutation({
    mutationFn: async () => {
      const path = { path: { id: workflow.id } };
      const { revision } = useBuilder.getState();
      const published = await body(api.POST("/api/workflows/{id}/publish", { params: { ...path, header: { "If-Match": `"${revision}"` } } }));
      if (published.enabled === isOn) return published;
      return body(api.PATCH("/api/workflows/{id}", { params: { ...path, header: { "If-Match": `"${published.revision}"` } }, body: { enabled: isOn } }));
    },
    onSuccess: (published) => {
      useBuilder.setState({ revision: published.revision });
      queryClient.setQueryData(keys.workflow(workflow.id), published);
      void queryClient.invalidateQueries({ queryKey: keys.workflows });
      toastInfo(published.enabled ? t("Version {{version}} is published and on", { version: published.published_version }) : t("Version {{version}} is published", { version: published.published_version }));
      onClose();
    },
    onError: toastError,
  });
  const isSaved = save === "saved";
  const canPublish = problems.length === 0 && isSaved && definition.nodes.length > 0;
  return (
    <Dialog
      title={t("Publish")}
      text={t("Runs that are under way finish on their version; the next ones take this one.")}
      isOpen={isOpen}
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
                  {stepIdOf(problem, definition) ?? problem.path}: {problem.message}
                </button>
              </li>
            ))}
          </ul>
        </section>
        <Changes before={before} after={definition} />
        <label className="flex items-center justify-between gap-3">
          {t("Switch it on")}
          <Switch label={t("Switch it on")} isOn={isOn} onChange={setIsOn} />
        </label>
      </div>
    </Dialog>
  );
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

function Changes({ before, after }: { before: Definition | null; after: Definition }) {
  const { t } = useTranslation();
  if (before === null) return <p className="text-muted">{t("This is the first version.")}</p>;
  const difference = differenceOf(before, after);
  return (
    <section aria-label={t("What is different")}>
      <h3 className="mb-1 font-semibold">{t("What is different")}</h3>
      {isEmpty(difference) ? <p className="text-muted">{t("Nothing: the published version is the same.")}</p> : <Differences difference={difference} />}
    </section>
  );
}

function Differences({ difference }: { difference: Difference }) {
  const { t } = useTranslation();
  const lines = [
    { text: t("Added: {{steps}}", { steps: difference.added.join(", ") }), isShown: difference.added.length > 0, className: "text-ok" },
    { text: t("Removed: {{steps}}", { steps: difference.removed.join(", ") }), isShown: difference.removed.length > 0, className: "text-danger" },
    { text: t("Changed: {{steps}}", { steps: difference.changed.join(", ") }), isShown: difference.changed.length > 0, className: "text-info" },
    { text: t("The trigger changed"), isShown: difference.isTriggerChanged, className: "text-info" },
    { text: t("The settings changed"), isShown: difference.areSettingsChanged, className: "text-info" },
    { text: t("Ways between steps changed"), isShown: difference.ways > 0, className: "text-info" },
  ];
  return (
    <ul>
      {lines
        .filter((line) => line.isShown)
        .map((line) => (
          <li key={line.text} className={line.className}>
            {line.text}
          </li>
        ))}
    </ul>
  );
}

function Check({ isDone, text }: { isDone: boolean; text: string }) {
  return (
    <li className={`flex items-center gap-2 ${isDone ? "text-ok" : "text-danger"}`}>
      {isDone ? <CheckCircle2 size={16} aria-hidden /> : <CircleAlert size={16} aria-hidden />}
      {text}
    </li>
  );
}
