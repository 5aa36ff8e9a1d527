// What differs between two versions of a graph, in words a publisher reads.

import { type Definition, edgeId, type Step, TRIGGER } from "./definition";

export interface Difference {
  added: string[];
  removed: string[];
  changed: string[];
  /** Ways that come or go between steps that stay. */
  ways: number;
  isTriggerChanged: boolean;
  areSettingsChanged: boolean;
}

export function differenceOf(before: Definition, after: Definition): Difference {
  const old = new Map(before.nodes.map((node) => [node.id, node]));
  const fresh = new Map(after.nodes.map((node) => [node.id, node]));
  const stays = (id: string) => id === "trigger" || (old.has(id) && fresh.has(id));
  const waysOf = (definition: Definition) => new Set(definition.edges.filter((edge) => stays(edge.from) && stays(edge.to)).map(edgeId));
  return {
    added: [...fresh.keys()].filter((id) => !old.has(id)),
    removed: [...old.keys()].filter((id) => !fresh.has(id)),
    changed: [...fresh].filter(([id, node]) => old.has(id) && !isSame(old.get(id), node)).map(([id]) => id),
    ways: missing(waysOf(before), waysOf(after)) + missing(waysOf(after), waysOf(before)),
    isTriggerChanged: !isSame(before.trigger, after.trigger),
    areSettingsChanged: !isSame(before.settings, after.settings),
  };
}

function missing(all: ReadonlySet<string>, from: ReadonlySet<string>): number {
  return [...all].filter((way) => !from.has(way)).length;
}

export function isEmpty(difference: Difference): boolean {
  const lists = difference.added.length + difference.removed.length + difference.changed.length + difference.ways;
  return lists === 0 && !difference.isTriggerChanged && !difference.areSettingsChanged;
}

/** A field that is not the same; undefined where it is not there. */
export interface FieldChange {
  field: string;
  before: unknown;
  after: unknown;
}

export function fieldChanges(before: object, after: object): FieldChange[] {
  const [old, fresh] = [before as Record<string, unknown>, after as Record<string, unknown>];
  const names = [...new Set([...Object.keys(old), ...Object.keys(fresh)])];
  return names.filter((name) => !isSame(old[name], fresh[name])).map((field) => ({ field, before: old[field], after: fresh[field] }));
}

/** What changed about a step: its params by their own names, and how it behaves. */
export function stepChanges(before: Step, after: Step): FieldChange[] {
  const flat = ({ id: _id, params, ...others }: Step) => ({ ...others, ...params });
  return fieldChanges(flat(before), flat(after));
}

/** Both versions as one graph to look at: what was removed still stands in it. `marks` says of each step that differs how. */
export function united(before: Definition, after: Definition): { definition: Definition; marks: Map<string, string> } {
  const { added, removed, changed, isTriggerChanged } = differenceOf(before, after);
  const isGone = (id: string) => removed.includes(id);
  const gone = before.edges.filter((edge) => isGone(edge.from) || isGone(edge.to));
  const nodes = [...after.nodes, ...before.nodes.filter((node) => isGone(node.id))];
  const isThere = (id: string) => id === TRIGGER || nodes.some((node) => node.id === id);
  const edges = [...after.edges, ...gone.filter((edge) => isThere(edge.from) && isThere(edge.to))];
  const isByHand = Object.keys(after.layout).length > 0;
  const mark = (ids: string[], word: string) => ids.map((id): [string, string] => [id, word]);
  return {
    definition: { ...after, nodes, edges, layout: isByHand ? { ...before.layout, ...after.layout } : {} },
    marks: new Map([...mark(added, "added"), ...mark(removed, "removed"), ...mark(changed, "changed"), ...mark(isTriggerChanged ? [TRIGGER] : [], "changed")]),
  };
}

/** Equal as JSON, whatever the order of fields. */
export function isSame(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const [left, right] = [one as Record<string, unknown>, other as Record<string, unknown>];
  const names = Object.keys(left).filter((name) => left[name] !== undefined);
  const others = Object.keys(right).filter((name) => right[name] !== undefined);
  return names.length === others.length && names.every((name) => isSame(left[name], right[name]));
}
