import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { ReactFlowProvider } from "@xyflow/react";
import { Eye } from "lucide-react";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useTitle } from "@/components/page";
import { Failed, Slow } from "@/components/states";
import type { Schemas } from "@/lib/api";
import { kindsOf, useBlocks } from "@/lib/blocks";
import { useMay, useMe } from "@/lib/me";
import { readDefinition } from "@/lib/graph/definition";
import { beginning } from "@/lib/graph/merge";
import { keys, queryClient } from "@/lib/query";
import { read, startAutosave } from "./autosave";
import { Canvas } from "./canvas";
import { Conflict, Orphans } from "./conflict";
import { findOrphans, findOwnDraft, type KeptDraft } from "./drafts";
import { useBuilderKeys } from "./keyboard";
import { Palette } from "./palette";
import { Picker } from "./picker";
import { PropertiesPanel } from "./properties/panel";
import { useBuilder } from "./store";
import { Toolbar, type View } from "./toolbar";
import { useValidation } from "./validation";

// What comes after a click only.
const Outline = lazy(() => import("./outline").then((module) => ({ default: module.Outline })));
const Publish = lazy(() => import("./publish").then((module) => ({ default: module.Publish })));
const Versions = lazy(() => import("./versions").then((module) => ({ default: module.Versions })));

const route = getRouteApi("/shell/workflows/$workflowId");

export function BuilderPage() {
  const { workflowId } = route.useParams();
  const workflow = useQuery({
    queryKey: keys.workflow(workflowId),
    queryFn: () => read(workflowId),
    // The editor holds the truth while it is open; a refetch must not disturb it.
    refetchOnWindowFocus: false,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  const blocks = useBlocks();
  // Before it is known who looks, nobody is offered an edit.
  const me = useMe();
  const error = workflow.error ?? blocks.error ?? me.error;
  const retry = () => void Promise.all([workflow.refetch(), blocks.refetch(), me.refetch()]);
  if (error) return <Failed error={error} onRetry={retry} />;
  if (workflow.data === undefined || blocks.data === undefined || me.data === undefined) return <Slow />;
  return <Editor key={workflowId} workflow={workflow.data} blocks={blocks.data} />;
}

function Editor({ workflow, blocks }: { workflow: Schemas["Workflow"]; blocks: Schemas["Blocks"] }) {
  const { t } = useTranslation();
  const kinds = useMemo(() => kindsOf(blocks), [blocks]);
  const isReadOnly = !useMay("admin");
  const orphans = useLoaded(workflow, kinds, isReadOnly);
  const [view, setView] = useState<View>("canvas");
  const [tab, setTab] = useState("settings");
  const [dialog, setDialog] = useState<"publish" | "versions" | null>(null);
  const definition = useBuilder((state) => (state.id === workflow.id ? state.definition : null));
  useValidation(workflow.id);
  useBuilderKeys();
  useTitle(definition?.name ?? t("Builder"));
  if (definition === null) return <Slow />;
  const close = () => setDialog(null);
  const restored = (back: Schemas["Workflow"]) => {
    queryClient.setQueryData(keys.workflow(workflow.id), back);
    useBuilder.getState().load({ id: workflow.id, revision: back.revision, definition: readDefinition(back.definition), isDirty: false });
  };
  return (
    <ReactFlowProvider>
      {/* On a telephone the page scrolls as a whole; beside one another each part does. */}
      <div className="relative flex min-h-full flex-col lg:h-full lg:min-h-0">
        <h1 className="sr-only">{t("Builder: {{name}}", { name: definition.name })}</h1>
        <Toolbar workflow={workflow} definition={definition} view={view} onView={setView} onTest={() => setTab("test")} onVersions={() => setDialog("versions")} onPublish={() => setDialog("publish")} />
        {isReadOnly && <OnlyToLookAt />}
        <Conflict workflowId={workflow.id} />
        <Orphans drafts={orphans} />
        <div className="flex flex-1 flex-col lg:min-h-0 lg:flex-row">
          {/* Touch cannot drag from it, and it would fill a telephone: "Add a step" does the same. */}
          {!isReadOnly && (
            <div className="hidden w-48 shrink-0 border-r bg-panel lg:block">
              <Palette kinds={blocks.nodes} />
            </div>
          )}
          <div className="h-[60vh] min-w-0 lg:h-auto lg:flex-1">
            <Suspense fallback={<Slow />}>{view === "canvas" ? <Canvas definition={definition} kinds={kinds} /> : <Outline definition={definition} kinds={kinds} />}</Suspense>
          </div>
          <PropertiesPanel workflowId={workflow.id} definition={definition} blocks={blocks} kinds={kinds} tab={tab} onTab={setTab} />
        </div>
        <Picker kinds={blocks.nodes} />
        <Suspense>
          {dialog === "publish" && <Publish workflow={workflow} definition={definition} isOpen onClose={close} />}
          {dialog === "versions" && <Versions workflowId={workflow.id} isOpen onClose={close} onRestored={restored} />}
        </Suspense>
      </div>
    </ReactFlowProvider>
  );
}

function OnlyToLookAt() {
  const { t } = useTranslation();
  const role = useMe().data?.role ?? "";
  return (
    <p role="note" className="flex items-center gap-2 border-b bg-info-soft px-3 py-2">
      <Eye size={16} aria-hidden className="shrink-0" />
      {t("You can look at this workflow and run it dry. Changing it takes the role admin; yours is {{role}}.", { role })}
    </p>
  );
}

/**
 * Fills the store with the server's draft, or with edits this tab had not saved; returns those of tabs that are gone. Somebody who may
 * only look gets the server's draft, and nothing is saved.
 */
function useLoaded(workflow: Schemas["Workflow"], kinds: ReturnType<typeof kindsOf>, isReadOnly: boolean): KeptDraft[] {
  const [orphans, setOrphans] = useState<KeptDraft[]>([]);
  useEffect(() => {
    const builder = useBuilder.getState();
    const theirs = readDefinition(workflow.definition);
    builder.setKinds(kinds);
    if (isReadOnly) return builder.load({ id: workflow.id, revision: workflow.revision, definition: theirs, isDirty: false, isReadOnly });
    const own = findOwnDraft(workflow.id);
    builder.load({
      id: workflow.id,
      // Edits keep the revision they were made from: when the server has moved on, saving meets that.
      revision: own?.revision ?? workflow.revision,
      base: own === null || own.revision === workflow.revision ? theirs : beginning(own.base ?? null, own.sent, theirs),
      definition: own?.definition ?? theirs,
      isDirty: own !== null,
    });
    let isGone = false;
    void findOrphans(workflow.id).then((found) => isGone || setOrphans(found));
    const stop = startAutosave(workflow.id);
    return () => {
      isGone = true;
      stop();
    };
    // Once for each visit: later answers of the server are saves of what the store holds.
  }, [workflow.id, kinds, isReadOnly]);
  return orphans;
}
