// Where the steps stand: by hand where a person put them, else laid out from top to bottom.

import { type Definition, type Point, TRIGGER } from "./definition";
import { layered } from "./layering";

export const NODE_WIDTH = 248;
export const NODE_HEIGHT = 76;
const RANK_GAP = 64;
const SIDE_GAP = 48;

export function positionsOf(definition: Definition): Record<string, Point> {
  const ids = [TRIGGER, ...definition.nodes.map((node) => node.id)];
  if (ids.every((id) => definition.layout[id] !== undefined)) return definition.layout;
  return { ...laidOut(definition, ids), ...definition.layout };
}

function laidOut(definition: Definition, ids: string[]): Record<string, Point> {
  const placed = layered(ids, definition.edges, NODE_WIDTH, SIDE_GAP);
  const left = Math.min(...[...placed.values()].map(({ x }) => x));
  return Object.fromEntries([...placed].map(([id, { layer, x }]) => [id, [Math.round(x - left), layer * (NODE_HEIGHT + RANK_GAP)] as Point]));
}
