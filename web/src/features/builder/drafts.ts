// Edits that the server does not have yet, kept in this browser so that a tab that dies loses none of them.
//
// Every tab keeps its own under a name of its own: two tabs never overwrite each other's.

import type { Definition } from "@/lib/graph/definition";
import { openTabs, tabName } from "@/lib/tab";

export interface KeptDraft {
  key: string;
  /** The revision the edits were made from. */
  revision: number;
  /** What the server had at that revision; missing when nobody knows. */
  base?: Definition | null;
  definition: Definition;
  /** What was on its way to the server without an answer. */
  sent?: Definition | null;
  at: number;
}

const PREFIX = "patchcord.draft";

function prefixOf(workflowId: string): string {
  return `${PREFIX}.${workflowId}.`;
}

function keyOf(workflowId: string): string {
  return prefixOf(workflowId) + tabName();
}

/** Returns whether the browser had room for it. */
export function keepDraft(workflowId: string, draft: Omit<KeptDraft, "key">): boolean {
  try {
    localStorage.setItem(keyOf(workflowId), JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

export function dropDraft(key: string): void {
  localStorage.removeItem(key);
}

export function dropOwnDraft(workflowId: string): void {
  dropDraft(keyOf(workflowId));
}

/** Edits of this tab from before it was loaded again. */
export function findOwnDraft(workflowId: string): KeptDraft | null {
  return read(keyOf(workflowId));
}

/** Edits that tabs which are gone had not saved; the newest first. */
export async function findOrphans(workflowId: string): Promise<KeptDraft[]> {
  const open = await openTabs();
  const prefix = prefixOf(workflowId);
  return Object.keys(localStorage)
    .filter((key) => key.startsWith(prefix) && !open.has(key.slice(prefix.length)))
    .map(read)
    .filter((draft) => draft !== null)
    .sort((one, other) => other.at - one.at);
}

function read(key: string): KeptDraft | null {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? "null") as Omit<KeptDraft, "key"> | null;
    return kept && { ...kept, key };
  } catch {
    return null;
  }
}
