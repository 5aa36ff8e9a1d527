// Where the steps stand: by hand where a person put them, else laid out from top to bottom.

import dagre from "@dagrejs/dagre";
import { type Definition, type Point, TRIGGER } from "./definition";

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
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "TB", ranksep: RANK_GAP, nodesep: SIDE_GAP });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const id of ids) graph.setNode(id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  for (const edge of definition.edges) {
    if (graph.hasNode(edge.from) && graph.hasNode(edge.to)) graph.setEdge(edge.from, edge.to);
  }
  dagre.layout(graph);
  return Object.fromEntries(
    ids.map((id) => {
      const node = graph.node(id);
      return [id, [Math.round(node.x - NODE_WIDTH / 2), Math.round(node.y - NODE_HEIGHT / 2)] as Point];
    }),
  );
}
