// The server's problems, found by the step and the field they are about.

import type { Definition } from "./definition";

export interface Problem {
  path: string;
  code: string;
  message: string;
  fix: string;
}

/** The step a problem is about: its id, `trigger`, or null for the workflow as a whole. */
export function stepIdOf(problem: Problem, definition: Definition): string | null {
  const node = /^nodes\[(\d+)\]/.exec(problem.path);
  if (node) return definition.nodes[Number(node[1])]?.id ?? null;
  const edge = /^edges\[(\d+)\]/.exec(problem.path);
  if (edge) return definition.edges[Number(edge[1])]?.from ?? null;
  return problem.path.startsWith("trigger") ? "trigger" : null;
}

/** The field within the step: `params.body` → `body`. */
export function fieldOf(problem: Problem): string {
  return problem.path.replace(/^nodes\[\d+\]\.?/, "").replace(/^trigger\.?/, "").replace(/^params\.?/, "");
}

export function problemsByStep(problems: Problem[], definition: Definition): Map<string, Problem[]> {
  const found = new Map<string, Problem[]>();
  for (const problem of problems) {
    const id = stepIdOf(problem, definition);
    if (id !== null) found.set(id, [...(found.get(id) ?? []), problem]);
  }
  return found;
}
