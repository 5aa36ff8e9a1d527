// Deleting with a way back: hidden at once, told to the server when the time to take it back is over, the tab closes before that, or
// the person signs out.

import type { QueryKey } from "@tanstack/react-query";
import type { TFunction } from "i18next";
import { create } from "zustand";
import { queryClient } from "./query";
import { accessToken } from "./session";
import { toastError, useToasts } from "./toast";

/** What is to be deleted, and how the server is told. */
export interface Doomed {
  id: string;
  name: string;
  /** What is out of date afterwards. */
  list: QueryKey;
  send: (init: { keepalive: true }) => Promise<unknown>;
}

/** Shorter than what is left of an access token when the next is bought: one that is fresh at the click still counts at the end. */
const UNDO_MS = 6000;
/** Longer nobody who signs out is kept waiting. */
const LAST_MS = 3000;

const useDeletion = create<{ hidden: ReadonlySet<string> }>(() => ({ hidden: new Set() }));
/** Deletions that can still be taken back; they outlive the page that shows the list. */
const waiting = new Map<string, { doomed: Doomed; timer: ReturnType<typeof setTimeout> }>();

/** Ids of what is not shown, because somebody has deleted it. */
export function useHidden(): ReadonlySet<string> {
  return useDeletion((state) => state.hidden);
}

export function remove(doomed: Doomed, t: TFunction): void {
  const { id, name } = doomed;
  if (waiting.has(id)) return;
  useDeletion.setState(({ hidden }) => ({ hidden: new Set(hidden).add(id) }));
  waiting.set(id, { doomed, timer: setTimeout(() => void send(doomed).then(() => queryClient.invalidateQueries({ queryKey: doomed.list })), UNDO_MS) });
  void accessToken();
  useToasts.getState().show({ text: t("“{{name}}” is deleted", { name }), tone: "info", action: { label: t("Undo"), run: () => takeBack(id) } }, UNDO_MS);
}

/** Tells the server of everything that could still be taken back, and waits until it has heard, though not for long. */
export async function sendDeletions(): Promise<void> {
  const all = Promise.all([...waiting.values()].map(({ doomed }) => send(doomed)));
  await Promise.race([all, new Promise((resolve) => setTimeout(resolve, LAST_MS))]);
}

function takeBack(id: string): void {
  // What was sent cannot be taken back.
  if (!forget(id)) return;
  show(id);
}

async function send(doomed: Doomed): Promise<void> {
  if (!forget(doomed.id)) return;
  try {
    // Carried out by the browser even when the tab is closed meanwhile.
    await doomed.send({ keepalive: true });
  } catch (error) {
    show(doomed.id);
    toastError(error);
  }
}

/** Whether it still waited. */
function forget(id: string): boolean {
  clearTimeout(waiting.get(id)?.timer);
  return waiting.delete(id);
}

function show(id: string): void {
  useDeletion.setState(({ hidden }) => ({ hidden: new Set([...hidden].filter((other) => other !== id)) }));
}

addEventListener("pagehide", () => void sendDeletions());
