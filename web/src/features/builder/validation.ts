// The server's opinion of the edited graph, a moment after each edit: the same check that publishing makes. A graph with nothing
// wrong is then tried out, with a sample lead or whom the last dry run was about: previews in the properties panel come from there.

import { useEffect } from "react";
import { api, body } from "@/lib/api";
import type { Definition } from "@/lib/graph/definition";
import { type BuilderState, useBuilder } from "./store";

const AFTER_MS = 400;
/** Larger graphs are not tried out after every edit. */
const TRIED_STEPS_MAX = 150;

export function useValidation(workflowId: string): void {
  const definition = useBuilder((state) => state.definition);
  const tryWith = useBuilder((state) => state.tryWith);
  useEffect(() => {
    if (definition === null) return;
    let isStale = false;
    const look = async () => {
      const { problems } = await validate(workflowId, definition);
      // What was found about an older graph says nothing about this one.
      if (isStale) return;
      useBuilder.setState({ problems });
      const size = definition.nodes.length;
      if (problems.length > 0 || size === 0 || size > TRIED_STEPS_MAX) return;
      const trial = await tryOut(workflowId, definition, tryWith);
      if (!isStale) useBuilder.setState({ trial });
    };
    // The save badge tells about a lost line; the last opinion stays.
    const timer = setTimeout(() => void look().catch(() => undefined), AFTER_MS);
    return () => {
      isStale = true;
      clearTimeout(timer);
    };
  }, [workflowId, definition, tryWith]);
}

function validate(workflowId: string, definition: Definition) {
  return body(api.POST("/api/workflows/{id}/validate", { params: { path: { id: workflowId } }, body: { ...definition } }));
}

/** Without the gate: a sample in quiet hours would be held back at every message. */
function tryOut(workflowId: string, definition: Definition, tryWith: BuilderState["tryWith"]) {
  return body(api.POST("/api/workflows/{id}/dry-run", { params: { path: { id: workflowId } }, body: { definition: { ...definition }, gate: false, ...tryWith } }));
}
