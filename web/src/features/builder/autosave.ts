// Saves what a person edits: soon, one request at a time, never over somebody else's change.
//
// Every edit is kept in the browser first and leaves it when the server has it. 409: somebody was faster, a person decides.
// A lost line: tried again, longer and longer apart. A refusal: said, and kept until the next edit.

import { ApiError, api, body, type Schemas } from "@/lib/api";
import type { Definition } from "@/lib/graph/definition";
import { keys, queryClient } from "@/lib/query";
import { dropOwnDraft, keepDraft } from "./drafts";
import { useBuilder } from "./store";

const AFTER_MS = 700;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 20_000;

/** Watches the builder's store until the returned function is called. */
export function startAutosave(workflowId: string): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isSaving = false;
  let retry = RETRY_MIN_MS;
  let isStopped = false;

  const plan = (after: number) => {
    clearTimeout(timer);
    timer = setTimeout(() => void save(), after);
  };

  const save = async () => {
    const { definition, revision, save: state } = useBuilder.getState();
    const isDue = state === "waiting" || state === "offline";
    if (isStopped || isSaving || definition === null || !isDue) return;
    isSaving = true;
    useBuilder.setState({ save: "saving" });
    try {
      const saved = await store(workflowId, definition, revision);
      retry = RETRY_MIN_MS;
      settle(definition, saved);
    } catch (error) {
      fail(error);
    } finally {
      isSaving = false;
    }
  };

  /** The server has `definition`; what was edited meanwhile it has not. */
  const settle = (definition: Definition, saved: Schemas["Workflow"]) => {
    if (isStopped) return;
    queryClient.setQueryData(keys.workflow(workflowId), saved);
    const { revision } = saved;
    const isCurrent = useBuilder.getState().definition === definition;
    useBuilder.setState({ revision, save: isCurrent ? "saved" : "waiting" });
    if (isCurrent) dropOwnDraft(workflowId);
    else plan(0);
  };

  const fail = (error: unknown) => {
    if (isStopped) return;
    if (error instanceof ApiError && error.status === 409) {
      useBuilder.setState({ save: "conflict", refusal: error.message });
    } else if (error instanceof ApiError && error.status >= 400 && error.status < 500) {
      useBuilder.setState({ save: "refused", refusal: error.message });
    } else {
      useBuilder.setState({ save: "offline", refusal: null });
      plan(retry);
      retry = Math.min(retry * 2, RETRY_MAX_MS);
    }
  };

  const stopWatching = useBuilder.subscribe((state, before) => {
    if (state.id !== workflowId || state.definition === null || state.definition === before.definition) return;
    if (state.save === "saved") return;
    keepDraft(workflowId, state.revision, state.definition, Date.now());
    if (state.save === "waiting") plan(AFTER_MS);
  });
  if (useBuilder.getState().save === "waiting") plan(AFTER_MS);

  return () => {
    isStopped = true;
    clearTimeout(timer);
    stopWatching();
    // Leaving the page must not wait for the timer; the kept draft is there in case this does not arrive.
    const { definition, revision, save: state } = useBuilder.getState();
    if (definition === null || (state !== "waiting" && state !== "offline")) return;
    store(workflowId, definition, revision).then(
      () => dropOwnDraft(workflowId),
      () => undefined,
    );
  };
}

function store(workflowId: string, definition: Definition, revision: number) {
  const { name, trigger, settings, nodes, edges, layout } = definition;
  return body(
    api.PATCH("/api/workflows/{id}", {
      params: { path: { id: workflowId }, header: { "If-Match": `"${revision}"` } },
      body: { name, trigger, settings, nodes: nodes as never, edges: edges as never, layout: layout as never },
    }),
  );
}
