// Copying, cutting and doubling the selected steps: what the keys and the panel of several steps do. On the clipboard they are JSON.

import { readClip } from "@/lib/graph/edit";
import { useBuilder } from "./store";

/** The selected steps as text; null when none is selected. */
export function copied(): string | null {
  const clip = useBuilder.getState().copy();
  return clip && JSON.stringify(clip);
}

/** Puts what the clipboard holds into the graph; returns whether it was steps. */
export function pasted(text: string): boolean {
  const clip = readClip(text);
  if (clip !== null) useBuilder.getState().paste(clip);
  return clip !== null;
}

/** The selected steps once more, beside themselves. */
export function doubleSelected(): void {
  const { copy, paste } = useBuilder.getState();
  const clip = copy();
  if (clip !== null) paste(clip);
}

export function removeSelected(): void {
  const { selected, remove } = useBuilder.getState();
  remove(selected);
}

export function selectAll(): void {
  const { definition, select } = useBuilder.getState();
  if (definition !== null) select(definition.nodes.map((node) => node.id));
}
