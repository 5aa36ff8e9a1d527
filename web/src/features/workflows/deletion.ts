// Deleting with a way back: hidden at once, told to the server when the time to take it back is over or the tab closes before that.

import type { TFunction } from "i18next";
import { create } from "zustand";
import { api, type Schemas } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { accessToken } from "@/lib/session";
import { toastError, useToasts } from "@/lib/toast";

type Workflow = Pick<Schemas["WorkflowSummary"], "id" | "name">;

/** Shorter than what is left of an access token when the next is bought: one that is fresh at the click still counts at the end. */
const UNDO_MS = 6000;

const useDeletion = create<{ hidden: ReadonlySet<string> }>(() => ({ hidden: new Set() }));
/** Deletions that can still be taken back; they outlive the page that shows the list. */
const waiting = new Map<string, ReturnType<typeof setTimeout>>();

/** Workflows that are not shown, because somebody has deleted them. */
export function useHidden(): ReadonlySet<string> {
  return useDeletion((state) => state.hidden);
}

export function remove(workflow: Workflow, t: TFunction): void {
  const { id, name } = workflow;
  if (waiting.has(id)) return;
  useDeletion.setState(({ hidden }) => ({ hidden: new Set(hidden).add(id) }));
  waiting.set(id, setTimeout(() => send(id), UNDO_MS));
  void accessToken();
  useToasts.getState().show({ text: t("“{{name}}” is deleted", { name }), tone: "info", action: { label: t("Undo"), run: () => takeBack(id) } }, UNDO_MS);
}

function takeBack(id: string): void {
  // What was sent cannot be taken back.
  if (!forget(id)) return;
  show(id);
}

function send(id: string): void {
  if (!forget(id)) return;
  api
    // Carried out by the browser even when the tab is closed meanwhile.
    .DELETE("/api/workflows/{id}", { params: { path: { id } }, keepalive: true })
    .catch((error: unknown) => {
      show(id);
      toastError(error);
    })
    .finally(() => void queryClient.invalidateQueries({ queryKey: keys.workflows }));
}

/** Whether it still waited. */
function forget(id: string): boolean {
  clearTimeout(waiting.get(id));
  return waiting.delete(id);
}

function show(id: string): void {
  useDeletion.setState(({ hidden }) => ({ hidden: new Set([...hidden].filter((other) => other !== id)) }));
}

addEventListener("pagehide", () => {
  for (const id of [...waiting.keys()]) send(id);
});
