// A workflow's graph as the editor holds it. The server's OpenAPI calls it an object; this is its contract (docs/workflows.md).

export const TRIGGER = "trigger";
export const PORT_OK = "ok";
export const PORT_ERROR = "error";

export interface Step {
  id: string;
  type: string;
  params: Record<string, unknown>;
  retry?: Record<string, unknown>;
  on_error?: "fail" | "continue";
  audience?: "lead" | "staff";
}

export interface Edge {
  from: string;
  port?: string;
  to: string;
}

export interface Trigger {
  type: string;
  filter?: string;
  [param: string]: unknown;
}

export type Point = [x: number, y: number];

/** Words for people beside the steps. */
export interface Note {
  id: string;
  text: string;
  at: Point;
}

export interface Definition {
  name: string;
  enabled: boolean;
  trigger: Trigger;
  settings: Record<string, unknown>;
  nodes: Step[];
  edges: Edge[];
  /** Where a person put the nodes; empty: laid out by itself. */
  layout: Record<string, Point>;
  /** Left out where there never were any. */
  notes?: Note[];
}

/** Reads what the server stores; it has checked the shape. */
export function readDefinition(value: Record<string, unknown>): Definition {
  const read = value as Partial<Definition> & { name: string; trigger: Trigger };
  return {
    name: read.name,
    enabled: read.enabled ?? false,
    trigger: read.trigger,
    settings: read.settings ?? {},
    nodes: (read.nodes ?? []).map((node) => ({ ...node, params: node.params ?? {} })),
    edges: read.edges ?? [],
    layout: read.layout ?? {},
    ...(read.notes && read.notes.length > 0 ? { notes: read.notes } : {}),
  };
}

export function portOf(edge: Edge): string {
  return edge.port ?? PORT_OK;
}

export function isEdge(edge: Edge, from: string, port: string, to: string): boolean {
  return edge.from === from && edge.to === to && (from === TRIGGER || portOf(edge) === port);
}

/** The way out of a step by a port; a trigger has one only. */
export function wayOf(from: string, port: string | null | undefined): string {
  return from === TRIGGER ? TRIGGER : `${from}:${port ?? PORT_OK}`;
}

/** The ways that the steps of a run left by. */
export function waysOf(steps: readonly { node: string; port?: string | null; ended_at?: string | null }[]): Set<string> {
  const left = steps.filter((step) => step.ended_at).map((step) => wayOf(step.node, step.port));
  return new Set(steps.length > 0 ? [TRIGGER, ...left] : []);
}

/** One edge, one name: the same in the canvas, the outline and the tests. */
export function edgeId(edge: Edge): string {
  return `${edge.from}:${portOf(edge)}>${edge.to}`;
}
