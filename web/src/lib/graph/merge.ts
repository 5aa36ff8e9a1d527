// Two sets of edits of one graph made into one: what only one side changed is taken, what both changed differently clashes.
//
// Three graphs go in: the one both began with, mine and theirs. Nobody's edit is dropped without being named. Where steps stand
// is no clash: the later hand places them.

import { type Definition, type Edge, edgeId, type Note, TRIGGER, wayOf, portOf } from "./definition";
import { isSame } from "./difference";

export type Side = "mine" | "theirs";

export interface Merged {
  definition: Definition;
  /** What both changed, as people call it: `send_sms: body`. Settled by `prefer`. */
  clashes: string[];
}

type Fields = Record<string, unknown>;

/** `base` is null when nobody knows what both began with: then all that differs clashes. */
export function merge(base: Definition | null, mine: Definition, theirs: Definition, prefer: Side = "mine"): Merged {
  const clashes: string[] = [];
  const settle = (name: string, one: unknown, other: unknown) => {
    clashes.push(name);
    return prefer === "mine" ? one : other;
  };
  const fields = (name: string, before: Fields, one: Fields, other: Fields) => mergeFields(name, before, one, other, settle);
  const [b, m, o] = [base && taken(base), taken(mine), taken(theirs)];
  const whole = fields("", b?.whole ?? {}, m.whole, o.whole) as Pick<Definition, "name" | "trigger" | "settings">;
  const steps = fields("", b?.steps ?? {}, m.steps, o.steps);
  const ways = fields("", b?.ways ?? {}, m.ways, o.ways) as Record<string, Edge[]>;
  const notes = fields("note", b?.notes ?? {}, m.notes, o.notes) as Record<string, Note>;
  const order = [...theirs.nodes, ...mine.nodes].map((node) => node.id);
  const ids = [...new Set(order)].filter((id) => steps[id] !== undefined);
  const isThere = (id: string) => id === TRIGGER || ids.includes(id);
  const drawn = [...theirs.edges, ...mine.edges].map(edgeId);
  const edges = Object.values(ways)
    .flat()
    .sort((one, other) => drawn.indexOf(edgeId(one)) - drawn.indexOf(edgeId(other)));
  // One side drew a way to a step that the other took out.
  for (const edge of edges.filter((edge) => !isThere(edge.from) || !isThere(edge.to))) clashes.push(edgeId(edge));
  const layout = mergeFields("", base?.layout ?? {}, mine.layout, theirs.layout, (_, one, other) => one ?? other) as Definition["layout"];
  return {
    clashes,
    definition: {
      ...theirs,
      ...whole,
      nodes: ids.map((id) => steps[id] as Definition["nodes"][number]),
      edges: edges.filter((edge) => isThere(edge.from) && isThere(edge.to)),
      layout,
      ...(mine.notes || theirs.notes ? { notes: Object.values(notes) } : {}),
    },
  };
}

/**
 * What both sides began with when nobody knows whether `sent`, this side's own save, arrived: `sent` when all of it is in theirs.
 * Otherwise one's own words would clash with themselves.
 */
export function beginning(base: Definition | null, sent: Definition | null | undefined, theirs: Definition): Definition | null {
  if (!sent || base === null) return base;
  const { definition, clashes } = merge(base, sent, theirs);
  const isIn = (part: keyof Definition) => isSame(definition[part], theirs[part]);
  return clashes.length === 0 && (["name", "trigger", "settings", "nodes"] as const).every(isIn) && isSame(waysOf(definition), waysOf(theirs)) ? sent : base;
}

/** A graph as fields that can be merged one by one. The ways out by one port are one field: together they say what comes next. */
function taken(definition: Definition): { whole: Fields; steps: Fields; ways: Fields; notes: Fields } {
  const { name, trigger, settings, nodes, notes = [] } = definition;
  const byId = (all: { id: string }[]) => Object.fromEntries(all.map((one) => [one.id, one]));
  return { whole: { name, trigger, settings }, steps: byId(nodes), ways: waysOf(definition), notes: byId(notes) };
}

function waysOf({ edges }: Definition): Record<string, Edge[]> {
  const ways: Record<string, Edge[]> = {};
  for (const edge of edges) {
    const way = wayOf(edge.from, portOf(edge));
    ways[way] = [...(ways[way] ?? []), edge].sort((one, other) => one.to.localeCompare(other.to));
  }
  return ways;
}

type Settle = (name: string, mine: unknown, theirs: unknown) => unknown;

function mergeFields(name: string, base: Fields, mine: Fields, theirs: Fields, settle: Settle): Fields {
  const merged: Fields = {};
  for (const field of new Set([...Object.keys(theirs), ...Object.keys(mine)])) {
    const value = mergeValue(name ? `${name}: ${field}` : field, base[field], mine[field], theirs[field], settle);
    if (value !== undefined) merged[field] = value;
  }
  return merged;
}

function mergeValue(name: string, base: unknown, mine: unknown, theirs: unknown, settle: Settle): unknown {
  if (isSame(mine, theirs) || isSame(base, theirs)) return mine;
  if (isSame(base, mine)) return theirs;
  if (isFields(base) && isFields(mine) && isFields(theirs)) return mergeFields(name, base, mine, theirs, settle);
  return settle(name, mine, theirs);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
