// The same graph as a nested list: for the keyboard, for screen readers and small screens.

import { type Definition, PORT_OK, portOf, type Step, TRIGGER } from "./definition";

export interface OutlineLine {
  id: string;
  step: Step | null;
  /** The port that leads here, when it is not the usual one. */
  port: string | null;
  depth: number;
  /** Shown before: the ways meet again here. */
  isAgain: boolean;
}

/** Every step once, in the order a run may reach them; what nothing leads to comes last. */
export function outlineOf(definition: Definition): OutlineLine[] {
  const steps = new Map(definition.nodes.map((node) => [node.id, node]));
  const shown = new Set<string>([TRIGGER]);
  const lines: OutlineLine[] = [{ id: TRIGGER, step: null, port: null, depth: 0, isAgain: false }];

  const walk = (from: string, depth: number) => {
    const out = definition.edges.filter((edge) => edge.from === from && steps.has(edge.to));
    const isFork = out.length > 1;
    for (const edge of out) {
      const port = from === TRIGGER || portOf(edge) === PORT_OK ? null : portOf(edge);
      const isAgain = shown.has(edge.to);
      const level = isFork || port !== null ? depth + 1 : depth;
      lines.push({ id: edge.to, step: steps.get(edge.to) ?? null, port, depth: level, isAgain });
      if (isAgain) continue;
      shown.add(edge.to);
      walk(edge.to, level);
    }
  };
  walk(TRIGGER, 0);
  for (const node of definition.nodes) {
    if (shown.has(node.id)) continue;
    shown.add(node.id);
    lines.push({ id: node.id, step: node, port: null, depth: 0, isAgain: false });
    walk(node.id, 0);
  }
  return lines;
}
