// Where a step goes that is added without pointing at a place: after the selected step, else at the end of the longest way.

import { type Definition, TRIGGER } from "@/lib/graph/definition";
import type { Place } from "@/lib/graph/edit";
import { outlineOf } from "@/lib/graph/outline";
import { mainPort, stepOf } from "@/lib/graph/ports";
import { useBuilder } from "./store";

export function placeAfterSelection(): Place | null {
  const { definition, selected } = useBuilder.getState();
  if (definition === null) return null;
  const after = selected.at(-1) ?? lastOf(definition);
  return placeAfter(after);
}

/** Behind the usual port of a step; null behind one that ends the run. */
export function placeAfter(id: string): Place | null {
  const { definition, kinds } = useBuilder.getState();
  if (definition === null) return null;
  const step = stepOf(definition, id);
  const port = mainPort(step, step && kinds.get(step.type));
  return port === undefined ? null : { kind: "port", from: id, port };
}

function lastOf(definition: Definition): string {
  const usual = outlineOf(definition).filter((line) => !line.isAgain && line.depth === 0);
  return usual.at(-1)?.id ?? TRIGGER;
}
