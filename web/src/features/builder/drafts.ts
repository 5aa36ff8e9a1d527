// Edits that the server does not have yet, kept in this browser so that a tab that dies loses none of them.
//
// Every tab keeps its own under a name of its own: two tabs never overwrite each other's.

import type { Definition } from "@/lib/graph/definition";

export interface KeptDraft {
  key: string;
  /** The revision the edits were made from. */
  revision: number;
  definition: Definition;
  at: number;
}

const PREFIX = "patchcord.draft";
const TAB_KEY = "patchcord.tab";

function tab(): string {
  let id = sessionStorage.getItem(TAB_KEY);
  if (id === null) {
    id = Math.random().toString(36).slice(2);
    sessionStorage.setItem(TAB_KEY, id);
  }
  return id;
}

function keyOf(workflowId: string): string {
  return `${PREFIX}.${workflowId}.${tab()}`;
}

export function keepDraft(workflowId: string, revision: number, definition: Definition, at: number): void {
  localStorage.setItem(keyOf(workflowId), JSON.stringify({ revision, definition, at }));
}

export function dropDraft(key: string): void {
  localStorage.removeItem(key);
}

export function dropOwnDraft(workflowId: string): void {
  dropDraft(keyOf(workflowId));
}

/** Edits of this tab from before it was loaded again, and those that other tabs have not saved; the newest first. */
export function findDrafts(workflowId: string): { own: KeptDraft | null; others: KeptDraft[] } {
  const prefix = `${PREFIX}.${workflowId}.`;
  const found = Object.keys(localStorage)
    .filter((key) => key.startsWith(prefix))
    .map(read)
    .filter((draft) => draft !== null)
    .sort((one, other) => other.at - one.at);
  const own = keyOf(workflowId);
  return { own: found.find((draft) => draft.key === own) ?? null, others: found.filter((draft) => draft.key !== own) };
}

function read(key: string): KeptDraft | null {
  try {
    return { ...(JSON.parse(localStorage.getItem(key) ?? "null") as Omit<KeptDraft, "key">), key };
  } catch {
    return null;
  }
}
