// The server's opinion of the edited graph, a moment after each edit. The same check that publishing makes.

import { useEffect } from "react";
import { api, body } from "@/lib/api";
import { useBuilder } from "./store";

const AFTER_MS = 400;

export function useValidation(workflowId: string): void {
  const definition = useBuilder((state) => state.definition);
  useEffect(() => {
    if (definition === null) return;
    let isStale = false;
    const timer = setTimeout(() => {
      body(api.POST("/api/workflows/{id}/validate", { params: { path: { id: workflowId } }, body: { ...definition } }))
        // What was found about an older graph says nothing about this one.
        .then(({ problems }) => isStale || useBuilder.setState({ problems }))
        // The save badge tells about a lost line; the last opinion stays.
        .catch(() => undefined);
    }, AFTER_MS);
    return () => {
      isStale = true;
      clearTimeout(timer);
    };
  }, [workflowId, definition]);
}
