// Where the steps stand: by hand where a person put them, else laid out from top to bottom.

import { type Definition, type Point, TRIGGER } from "./definition";
import { layered } from "./layering";

export const NODE_WIDTH = 248;
export const NODE_HEIGHT = 76;
const RANK_GAP = 64;
const SIDE_GAP = 48;

/** What was asked last: typing into a step moves none. */
let last: { ids: string; edges: Definition["edges"]; layout: Definition["layout"]; positions: Record<string, Point> } | null = null;

export function positionsOf(definition: Definition): Record<string, Point> {
  const { edges, layout } = definition;
  const ids = [TRIGGER, ...definition.nodes.map((node) => node.id)];
  if (ids.every((id) => layout[id] !== undefined)) return layout;
  const key = ids.join();
  if (last?.ids !== key || last.edges !== edges || last.layout !== layout) last = { ids: key, edges, layout, positions: { ...laidOut(definition, ids), ...layout } };
  return last.positions;
}

function laidOut(definition: Definition, ids: string[]): Record<string, Point> {
  const placed = layered(ids, definition.edges, NODE_WIDTH, SIDE_GAP);
  const left = Math.min(...[...placed.values()].map(({ x }) => x));
  return Object.fromEntries([...placed].map(([id, { layer, x }]) => [id, [Math.round(x - left), layer * (NODE_HEIGHT + RANK_GAP)] as Point]));
}
