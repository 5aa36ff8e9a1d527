// What differs between two versions of a graph, in words a publisher reads.

import { type Definition, edgeId } from "./definition";

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
