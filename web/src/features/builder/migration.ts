// What becomes of the runs that wait on earlier versions when another is published: asked and ordered in parts.

import { api, body, type Schemas } from "@/lib/api";

export type Group = Schemas["LandingGroup"];
export type Choice = Schemas["MigrationChoice"];

export interface Waiting {
  groups: Group[];
  /** Nodes of a group where its runs cannot just go on, with the server's reason: by `groupKey`. */
  homeless: Record<string, Record<string, string>>;
  /** Whether there are more than were looked at. */
  isCut: boolean;
}

/** What a person chose for a group. */
export interface Chosen {
  choice: Choice;
  /** Where tokens go on that have no place: node of the old version to node of the draft. */
  landing: Record<string, string>;
}

export interface Outcome {
  moved: number;
  restarted: number;
  left: Schemas["RunLeft"][];
}

const PART = 200;
/** Most parts that are gone through: 10,000 runs. */
const PARTS_MAX = 50;

export function groupKey({ from_version, nodes }: Pick<Group, "from_version" | "nodes">): string {
  return `${from_version}:${nodes.toSorted().join(",")}`;
}

/** Where the waiting runs would land if the draft were published. */
export async function readWaiting(workflowId: string): Promise<Waiting> {
  const groups = new Map<string, Group>();
  const homeless: Waiting["homeless"] = {};
  let cursor: string | null | undefined;
  for (let part = 0; part < PARTS_MAX; part++) {
    const page = await body(api.POST("/api/workflows/{id}/preview", { params: { path: { id: workflowId } }, body: { limit: PART, cursor } }));
    for (const group of page.groups) {
      const known = groups.get(groupKey(group));
      groups.set(groupKey(group), known ? { ...known, runs: known.runs + group.runs, can_move: known.can_move && group.can_move } : group);
    }
    for (const item of page.items) {
      const key = groupKey({ from_version: item.version, nodes: [...new Set(item.places.map((place) => place.node))] });
      for (const { node, lands_at, reason } of item.places) if (!lands_at) homeless[key] = { ...homeless[key], [node]: reason ?? "" };
    }
    cursor = page.next_cursor;
    if (!cursor) break;
  }
  return { groups: [...groups.values()], homeless, isCut: Boolean(cursor) };
}

/** Carries out what was chosen; groups without a choice stay as they are. */
export async function migrate(workflowId: string, version: number, waiting: Waiting, chosen: Record<string, Chosen>): Promise<Outcome> {
  const groups = waiting.groups.flatMap((group) => {
    const { choice = "finish", landing = {} } = chosen[groupKey(group)] ?? {};
    return choice === "finish" ? [] : [{ from_version: group.from_version, nodes: group.nodes, choice, ...(choice === "move" ? { landing } : {}) }];
  });
  const outcome: Outcome = { moved: 0, restarted: 0, left: [] };
  if (groups.length === 0) return outcome;
  let cursor: string | null | undefined;
  for (let part = 0; part < PARTS_MAX; part++) {
    const done = await body(
      api.POST("/api/workflows/{id}/versions/{version}/migrate", { params: { path: { id: workflowId, version } }, body: { groups, limit: PART, cursor } }),
    );
    outcome.moved += done.moved.length;
    outcome.restarted += done.restarted.length;
    outcome.left.push(...done.left);
    cursor = done.next_cursor;
    if (!cursor) break;
  }
  return outcome;
}

/** A move needs a place for everything that has none. */
export function isDecided(group: Group, waiting: Waiting, chosen: Chosen | undefined): boolean {
  return chosen?.choice !== "move" || Object.keys(waiting.homeless[groupKey(group)] ?? {}).every((node) => chosen.landing[node]);
}
