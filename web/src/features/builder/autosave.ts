// Saves what a person edits: soon, one request at a time, never over somebody else's change.
//
// Every edit is kept in the browser first and leaves it when the server has it. 409: somebody was faster; the edits are laid
// over theirs, and where both changed the same a person decides. A lost line: tried again, longer and longer apart. A refusal:
// said, and kept until the next edit.

import { ApiError, api, body, type Schemas } from "@/lib/api";
import { type Definition, readDefinition } from "@/lib/graph/definition";
import { beginning } from "@/lib/graph/merge";
import { i18next } from "@/lib/i18n";
import { keys, queryClient } from "@/lib/query";
import { toastError, toastInfo } from "@/lib/toast";
import { dropOwnDraft, keepDraft } from "./drafts";
import { useBuilder } from "./store";

const AFTER_MS = 700;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 20_000;
const UNANSWERED_MAX = 4;

/** Watches the builder's store until the returned function is called. */
export function startAutosave(workflowId: string): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isSaving = false;
  let retry = RETRY_MIN_MS;
  let isStopped = false;
  // Saves without an answer: each may have arrived all the same.
  let unanswered: Definition[] = [];

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
    const before = unanswered;
    unanswered = [...before, definition].slice(-UNANSWERED_MAX);
    keep(definition);
    try {
      const saved = await store(workflowId, definition, revision);
      unanswered = [];
      retry = RETRY_MIN_MS;
      settle(definition, saved);
    } catch (error) {
      if (isMoved(error)) await meet(before).catch((lost) => fail(definition, lost));
      else fail(definition, error);
    } finally {
      isSaving = false;
    }
  };

  /** Somebody else saved first, or one of our own saves did without our hearing of it. */
  const meet = async (sent: Definition[]) => {
    const workflow = await read(workflowId);
    if (isStopped) return;
    const theirs = readDefinition(workflow.definition);
    queryClient.setQueryData(keys.workflow(workflowId), workflow);
    const { base } = useBuilder.getState();
    const began = sent.toReversed().map((one) => beginning(base, one, theirs)).find((one) => one !== base) ?? base;
    unanswered = [];
    useBuilder.setState({ base: began });
    useBuilder.getState().rebase(theirs, workflow.revision);
    if (useBuilder.getState().save === "conflict") return;
    if (began === base) toastInfo(i18next.t("Somebody else changed this workflow too: both your changes are in it"));
    plan(0);
  };

  /** The server has `definition`; what was edited meanwhile it has not. */
  const settle = (definition: Definition, saved: Schemas["Workflow"]) => {
    if (isStopped) return;
    queryClient.setQueryData(keys.workflow(workflowId), saved);
    const { revision } = saved;
    const isCurrent = useBuilder.getState().definition === definition;
    useBuilder.setState({ revision, base: readDefinition(saved.definition), save: isCurrent ? "saved" : "waiting" });
    if (isCurrent) return dropOwnDraft(workflowId);
    keep(useBuilder.getState().definition ?? definition);
    plan(0);
  };

  const fail = (definition: Definition, error: unknown) => {
    if (isStopped) return;
    const isRefused = error instanceof ApiError && error.status >= 400 && error.status < 500;
    const isCurrent = useBuilder.getState().definition === definition;
    if (isRefused) unanswered = [];
    if (isRefused && isCurrent) {
      useBuilder.setState({ save: "refused", refusal: error.message });
    } else if (isRefused) {
      // What was edited meanwhile may have mended it.
      useBuilder.setState({ save: "waiting" });
      plan(AFTER_MS);
    } else {
      useBuilder.setState({ save: "offline", refusal: null });
      plan(retry);
      retry = Math.min(retry * 2, RETRY_MAX_MS);
    }
  };

  let isWarned = false;
  const keep = (definition: Definition) => {
    const { revision, base } = useBuilder.getState();
    const isKept = keepDraft(workflowId, { revision, base, definition, sent: unanswered.at(-1), at: Date.now() });
    if (!isKept && !isWarned) toastError(new Error(i18next.t("This browser has no room left: an edit is kept once the server has it")));
    isWarned ||= !isKept;
  };

  const stopWatching = useBuilder.subscribe((state, before) => {
    if (state.id !== workflowId || state.definition === null || state.definition === before.definition) return;
    if (state.save === "saved") return dropOwnDraft(workflowId);
    keep(state.definition);
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

function isMoved(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409;
}

export function read(workflowId: string) {
  return body(api.GET("/api/workflows/{id}", { params: { path: { id: workflowId } } }));
}

function store(workflowId: string, definition: Definition, revision: number) {
  const { name, trigger, settings, nodes, edges, layout, notes } = definition;
  return body(
    api.PATCH("/api/workflows/{id}", {
      params: { path: { id: workflowId }, header: { "If-Match": `"${revision}"` } },
      body: { name, trigger, settings, nodes: nodes as never, edges: edges as never, layout: layout as never, notes: notes as never },
    }),
  );
}
