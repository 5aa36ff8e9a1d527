// Which ways lead out of a step: those of its kind, and those written in its params.

import { type Definition, PORT_ERROR, PORT_OK, type Step, TRIGGER } from "./definition";

/** What the ports of a kind follow from: a part of the server's description of it. */
export interface PortKind {
  type: string;
  ports: readonly string[];
  ports_from?: string | null;
}

export function portsOf(step: Step, kind: PortKind | undefined): string[] {
  if (kind === undefined) return [PORT_OK];
  const written = kind.ports_from ? read(step.params, kind.ports_from) : [];
  return [...new Set([...written, ...kind.ports])];
}

/** The port a person means who says "after this step". */
export function mainPort(step: Step | undefined, kind: PortKind | undefined): string | undefined {
  if (step === undefined) return PORT_OK;
  return portsOf(step, kind).find((port) => port !== PORT_ERROR);
}

export function stepOf(definition: Definition, id: string): Step | undefined {
  return id === TRIGGER ? undefined : definition.nodes.find((node) => node.id === id);
}

/** Follows a path like `cases[].port` or `variants.*`. */
function read(params: Record<string, unknown>, path: string): string[] {
  const every = /^(\w+)\[\]\.(\w+)$/.exec(path);
  if (every) {
    const list = params[every[1] ?? ""];
    if (!Array.isArray(list)) return [];
    return list.map((item: unknown) => (item as Record<string, unknown> | null)?.[every[2] ?? ""]).filter((port) => typeof port === "string");
  }
  const names = /^(\w+)\.\*$/.exec(path);
  const map = names ? params[names[1] ?? ""] : undefined;
  return map !== null && typeof map === "object" ? Object.keys(map) : [];
}
