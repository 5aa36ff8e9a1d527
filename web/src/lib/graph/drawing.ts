// Where everything of a graph is drawn that nobody edits: steps, and the curves between them. Pure geometry.

import { type Definition, edgeId, PORT_OK, type Point, portOf, TRIGGER, wayOf } from "./definition";
import { NODE_HEIGHT, NODE_WIDTH, positionsOf } from "./layout";
import { type PortKind, portsOf } from "./ports";
import { passOf, type Way, wayBetween } from "./ways";

export interface Drawing {
  width: number;
  height: number;
  /** The upper left corner of each step. */
  places: ReadonlyMap<string, Point>;
  /** By the id of the edge; an edge to nowhere has none. */
  ways: ReadonlyMap<string, Way>;
}

const MARGIN = 24;
export function drawingOf(definition: Definition, kinds: ReadonlyMap<string, PortKind>): Drawing {
  const positions = positionsOf(definition);
  const ids = [TRIGGER, ...definition.nodes.map((node) => node.id)];
  const all = ids.map((id) => positions[id] ?? [0, 0]);
  const left = Math.min(...all.map(([x]) => x)) - MARGIN;
  const top = Math.min(...all.map(([, y]) => y)) - MARGIN;
  const places = new Map(ids.map((id, at) => [id, [(all[at]?.[0] ?? 0) - left, (all[at]?.[1] ?? 0) - top] as Point]));
  const steps = new Map(definition.nodes.map((node) => [node.id, node]));
  const used = new Set(definition.edges.map((edge) => wayOf(edge.from, portOf(edge))));
  const ways = new Map<string, Way>();
  for (const edge of definition.edges) {
    const [from, to] = [places.get(edge.from), places.get(edge.to)];
    const step = steps.get(edge.from);
    if (from === undefined || to === undefined) continue;
    // Ports that nothing leaves by take no room: a chain is a straight line.
    const ports = (step ? portsOf(step, kinds.get(step.type)) : [PORT_OK]).filter((port) => used.has(wayOf(edge.from, port)));
    const share = (Math.max(ports.indexOf(portOf(edge)), 0) + 1) / (ports.length + 1);
    const [start, end]: Point[] = [[from[0] + NODE_WIDTH * share, from[1] + NODE_HEIGHT], [to[0] + NODE_WIDTH / 2, to[1]]];
    if (start && end) ways.set(edgeId(edge), wayBetween(start, end, passOf(start, end, places.values())));
  }
  return {
    width: Math.max(...all.map(([x]) => x)) - left + NODE_WIDTH + MARGIN,
    height: Math.max(...all.map(([, y]) => y)) - top + NODE_HEIGHT + MARGIN,
    places,
    ways,
  };
}
