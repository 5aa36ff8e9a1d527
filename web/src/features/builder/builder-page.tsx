import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { ReactFlowProvider } from "@xyflow/react";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useTitle } from "@/components/page";
import { Failed, Slow } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { kindsOf, useBlocks } from "@/lib/blocks";
import { readDefinition } from "@/lib/graph/definition";
import { keys, queryClient } from "@/lib/query";
import { startAutosave } from "./autosave";
import { Canvas } from "./canvas";
import { Conflict, Orphans } from "./conflict";
import { findDrafts, type KeptDraft } from "./drafts";
import { useBuilderKeys } from "./keyboard";
import { Outline } from "./outline";
import { Palette } from "./palette";
import { Picker } from "./picker";
import { PropertiesPanel } from "./properties/panel";
import { Publish } from "./publish";
import { useBuilder } from "./store";
import { Toolbar, type View } from "./toolbar";
import { useValidation } from "./validation";
import { Versions } from "./versions";

const route = getRouteApi("/shell/workflows/$workflowId");

export function BuilderPage() {
  const { workflowId } = route.useParams();
  const workflow = useQuery({
    queryKey: keys.workflow(workflowId),
    queryFn: () => body(api.GET("/api/workflows/{id}", { params: { path: { id: workflowId } } })),
    // The editor holds the truth while it is open; a refetch must not disturb it.
    refetchOnWindowFocus: false,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 0,
  });
  const blocks = useBlocks();
  const error = workflow.error ?? blocks.error;
  if (error) return <Failed error={error} />;
  if (workflow.data === undefined || blocks.data === undefined) return <Slow />;
  return <Editor key={workflowId} workflow={workflow.data} blocks={blocks.data} />;
}

function Editor({ workflow, blocks }: { workflow: Schemas["Workflow"]; blocks: Schemas["Blocks"] }) {
  const { t } = useTranslation();
  const kinds = useMemo(() => kindsOf(blocks), [blocks]);
  const orphans = useLoaded(workflow, kinds);
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
      <div className="flex h-full min-h-0 flex-col">
        <h1 className="sr-only">{t("Builder: {{name}}", { name: definition.name })}</h1>
        <Toolbar workflow={workflow} definition={definition} view={view} onView={setView} onTest={() => setTab("test")} onVersions={() => setDialog("versions")} onPublish={() => setDialog("publish")} />
        <Conflict workflowId={workflow.id} />
        <Orphans drafts={orphans} />
        <div className="flex min-h-0 flex-1 flex-col lg:flex-row">
          <div className="w-full shrink-0 border-r bg-panel lg:w-48">
            <Palette kinds={blocks.nodes} />
          </div>
          <div className="min-h-72 min-w-0 flex-1">{view === "canvas" ? <Canvas definition={definition} kinds={kinds} /> : <Outline definition={definition} kinds={kinds} />}</div>
          <PropertiesPanel workflowId={workflow.id} definition={definition} blocks={blocks} kinds={kinds} tab={tab} onTab={setTab} />
        </div>
        <Picker kinds={blocks.nodes} />
        <Publish workflow={workflow} definition={definition} isOpen={dialog === "publish"} onClose={close} />
        <Versions workflowId={workflow.id} isOpen={dialog === "versions"} onClose={close} onRestored={restored} />
      </div>
    </ReactFlowProvider>
  );
}

/** Fills the store with the server's draft, or with edits this tab had not saved; returns those of other tabs. */
function useLoaded(workflow: Schemas["Workflow"], kinds: ReturnType<typeof kindsOf>): KeptDraft[] {
  const [orphans, setOrphans] = useState<KeptDraft[]>([]);
  useEffect(() => {
    const builder = useBuilder.getState();
    const { own, others } = findDrafts(workflow.id);
    builder.setKinds(kinds);
    builder.load({
      id: workflow.id,
      // Edits keep the revision they were made from: when the server has moved on, saving says so.
      revision: own?.revision ?? workflow.revision,
      definition: own?.definition ?? readDefinition(workflow.definition),
      isDirty: own !== null,
    });
    setOrphans(others);
    return startAutosave(workflow.id);
    // Once for each visit: later answers of the server are saves of what the store holds.
  }, [workflow.id, kinds]);
  return orphans;
}
