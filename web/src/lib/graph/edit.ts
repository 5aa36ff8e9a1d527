// Changes to a graph: every one takes a definition and returns another. Pure, no React, no server.
// Whatever adds a step (palette, `+` on an edge, a wire dropped on empty space, Ctrl-K, the keyboard) calls `insertStep`.

import { type Definition, type Edge, isEdge, PORT_OK, type Point, portOf, type Step, TRIGGER } from "./definition";
import { positionsOf } from "./layout";
import { mainPort, type PortKind } from "./ports";

/** Where a step goes: between two steps, behind a port, or nowhere yet. */
export type Place =
  | { kind: "edge"; edge: Edge }
  | { kind: "port"; from: string; port: string; at?: Point }
  | { kind: "free"; at: Point };

/** Room between two steps of a hand-made layout. */
const ROW = 130;
const PASTE_SHIFT = 40;

export interface Inserted {
  definition: Definition;
  id: string;
}

/** Adds a step of `kind` at `place`. What came after the place comes after the step. */
export function insertStep(definition: Definition, kind: PortKind, params: Record<string, unknown>, place: Place): Inserted {
  const id = freeId(definition, kind.type);
  const step: Step = { id, type: kind.type, params };
  const out = mainPort(step, kind);
  const nodes = [...definition.nodes, step];
  if (place.kind === "free") {
    return { id, definition: { ...definition, nodes, layout: placed(definition, id, place.at) } };
  }
  const [from, port] = place.kind === "edge" ? [place.edge.from, portOf(place.edge)] : [place.from, place.port];
  // A wire that was dropped on empty space begins a way of its own; anything else goes in between.
  const isOwnWay = place.kind === "port" && place.at !== undefined;
  const cut = isOwnWay ? [] : definition.edges.filter((edge) => (place.kind === "edge" ? isEdge(edge, from, port, place.edge.to) : leaves(edge, from, port)));
  const kept = definition.edges.filter((edge) => !cut.includes(edge));
  const behind = out === undefined ? [] : cut.map((edge) => makeEdge(id, out, edge.to));
  const edges = [...kept, makeEdge(from, port, id), ...behind];
  const at = place.kind === "port" ? place.at : undefined;
  return { id, definition: { ...definition, nodes, edges, layout: makeRoom(definition, from, id, at) } };
}

/** Takes a step out; what led to it leads to what came after it. */
export function removeStep(definition: Definition, id: string, kinds: ReadonlyMap<string, PortKind>): Definition {
  const step = definition.nodes.find((node) => node.id === id);
  if (step === undefined) return definition;
  const out = mainPort(step, kinds.get(step.type));
  const before = definition.edges.filter((edge) => edge.to === id && edge.from !== id);
  const after = definition.edges.filter((edge) => edge.from === id && portOf(edge) === out && edge.to !== id);
  let edges = definition.edges.filter((edge) => edge.from !== id && edge.to !== id);
  for (const one of before) {
    for (const other of after) {
      if (one.from !== other.to && !edges.some((edge) => isEdge(edge, one.from, portOf(one), other.to))) {
        edges = [...edges, makeEdge(one.from, portOf(one), other.to)];
      }
    }
  }
  const { [id]: _gone, ...layout } = definition.layout;
  return { ...definition, nodes: definition.nodes.filter((node) => node.id !== id), edges, layout };
}

/** Draws a way; the same definition when it is there already or makes no sense. */
export function connect(definition: Definition, from: string, port: string, to: string): Definition {
  const isKnown = definition.edges.some((edge) => isEdge(edge, from, port, to));
  if (isKnown || from === to || to === TRIGGER) return definition;
  return { ...definition, edges: [...definition.edges, makeEdge(from, port, to)] };
}

export function disconnect(definition: Definition, edge: Edge): Definition {
  return { ...definition, edges: definition.edges.filter((other) => !isEdge(other, edge.from, portOf(edge), edge.to)) };
}

export function changeStep(definition: Definition, id: string, change: Partial<Step>): Definition {
  const nodes = definition.nodes.map((node) => (node.id === id ? { ...node, ...change } : node));
  return { ...definition, nodes };
}

export function moveSteps(definition: Definition, positions: Record<string, Point>): Definition {
  return { ...definition, layout: { ...definition.layout, ...positions } };
}

export function addNote(definition: Definition, text: string, at: Point): { definition: Definition; id: string } {
  const notes = definition.notes ?? [];
  const last = Math.max(0, ...notes.map((note) => Number(/^note_(\d+)$/.exec(note.id)?.[1] ?? 0)));
  const id = `note_${last + 1}`;
  return { id, definition: { ...definition, notes: [...notes, { id, text, at }] } };
}

/** An emptied note is gone. */
export function changeNote(definition: Definition, id: string, change: { text?: string; at?: Point }): Definition {
  const notes = (definition.notes ?? []).map((note) => (note.id === id ? { ...note, ...change } : note)).filter((note) => note.text !== "");
  return { ...definition, notes };
}

/** Part of a graph, as it travels over the clipboard. */
export interface Clip {
  patchcord: "steps";
  nodes: Step[];
  edges: Edge[];
  /** Where they stood. */
  at?: Record<string, Point>;
}

export function copySteps(definition: Definition, ids: readonly string[]): Clip {
  const isIn = (id: string) => ids.includes(id);
  return {
    patchcord: "steps",
    nodes: definition.nodes.filter((node) => isIn(node.id)),
    edges: definition.edges.filter((edge) => isIn(edge.from) && isIn(edge.to)),
    at: Object.fromEntries(Object.entries(positionsOf(definition)).filter(([id]) => isIn(id))),
  };
}

/** Reads what the clipboard holds; null when it is not ours. */
export function readClip(text: string): Clip | null {
  try {
    const value: unknown = JSON.parse(text);
    const clip = value as Partial<Clip> | null;
    const isOurs = clip?.patchcord === "steps" && Array.isArray(clip.nodes) && Array.isArray(clip.edges);
    return isOurs ? (clip as Clip) : null;
  } catch {
    return null;
  }
}

/** Adds copied steps under new ids, with the ways between them, beside where they stood. */
export function pasteSteps(definition: Definition, clip: Clip): { definition: Definition; ids: string[] } {
  const names = new Map<string, string>();
  let grown = definition;
  for (const step of clip.nodes) {
    const id = freeId(grown, step.type);
    names.set(step.id, id);
    const at = clip.at?.[step.id];
    // What the clipboard holds may have been written by anybody.
    const [x, y] = Array.isArray(at) ? at.map(Number) : [0, 0];
    grown = {
      ...grown,
      nodes: [...grown.nodes, { ...structuredClone(step), id }],
      layout: { ...grown.layout, [id]: [Math.round(x || 0) + PASTE_SHIFT, Math.round(y || 0) + PASTE_SHIFT] },
    };
  }
  for (const edge of clip.edges) {
    const [from, to] = [names.get(edge.from), names.get(edge.to)];
    if (from !== undefined && to !== undefined) grown = connect(grown, from, portOf(edge), to);
  }
  return { definition: grown, ids: [...names.values()] };
}

export function makeEdge(from: string, port: string, to: string): Edge {
  return from === TRIGGER || port === PORT_OK ? { from, to } : { from, port, to };
}

function freeId(definition: Definition, type: string): string {
  const isTaken = (id: string) => definition.nodes.some((node) => node.id === id);
  if (!isTaken(type)) return type;
  for (let count = 2; ; count++) {
    if (!isTaken(`${type}_${count}`)) return `${type}_${count}`;
  }
}

function leaves(edge: Edge, from: string, port: string): boolean {
  return edge.from === from && (from === TRIGGER || portOf(edge) === port);
}

function placed(definition: Definition, id: string, at: Point): Record<string, Point> {
  return { ...definition.layout, [id]: at };
}

/** In a layout made by hand, what lies below the new step moves down; one that lays itself out stays so. */
function makeRoom(definition: Definition, from: string, id: string, at: Point | undefined): Record<string, Point> {
  const above = definition.layout[from];
  if (at !== undefined) return placed(definition, id, at);
  if (above === undefined) return definition.layout;
  const y = above[1] + ROW;
  const moved = Object.entries(definition.layout).map(([other, [x, top]]): [string, Point] => [other, top >= y - ROW / 2 && other !== from ? [x, top + ROW] : [x, top]]);
  return { ...Object.fromEntries(moved), [id]: [above[0], y] };
}
