// What expressions can see at a step, with values: those that the trial run saw, made-up ones until there is one.

import type { Schemas } from "@/lib/api";
import type { Definition, Step } from "@/lib/graph/definition";

export interface Datum {
  path: string;
  sample: string;
}

const LEAD: Datum[] = [
  { path: "lead.first_name", sample: "Dana" },
  { path: "lead.name", sample: "Dana Whitfield" },
  { path: "lead.phone", sample: "+14155550100" },
  { path: "lead.email", sample: "dana@customer.example" },
  { path: "lead.stage", sample: "customer" },
  { path: "lead.score", sample: "62" },
  { path: "account.name", sample: "Demo team" },
  { path: "now", sample: "2026-11-23T09:00:00Z" },
];

const CALL: Datum[] = [
  { path: "call.from", sample: "+14155550100" },
  { path: "call.direction", sample: "inbound" },
  { path: "trigger.excerpt", sample: "I want my money back" },
  { path: "trigger.score", sample: "-0.91" },
];

/** Samples of `trigger.data` by event. */
const DATA: Record<string, Datum[]> = {
  "payment.received": [
    { path: "trigger.data.amount", sample: "5000" },
    { path: "trigger.data.currency", sample: "usd" },
  ],
  "appointment.booked": [{ path: "trigger.data.starts_at", sample: "2026-11-24T15:00:00Z" }],
  "quote.sent": [{ path: "trigger.data.amount", sample: "120000" }],
  "quote.unpaid": [{ path: "trigger.data.amount", sample: "120000" }],
  "survey.answered": [{ path: "trigger.data.rating", sample: "4" }],
  "sms.received": [{ path: "trigger.data.body", sample: "Yes, please" }],
};

/** Everything a step may name: the lead, what started the run, and the outputs of the steps before it. */
export function dataAt(definition: Definition, stepId: string, trial: Trial): Datum[] {
  const event = definition.trigger.type;
  const before = stepsBefore(definition, stepId).flatMap((id) => outputsOf(id, trial));
  if (trial !== null) return [...seenIn(trial.seen), ...before];
  return [...LEAD, ...(event.startsWith("call.") ? CALL : []), ...(DATA[event] ?? []), ...before];
}

/** What people write first. */
const ROOTS = ["lead", "trigger", "call", "account", "now"];

/** Every value that a run sees when it begins, by its path; no ids, which say nothing to people. */
function seenIn(seen: Record<string, unknown>): Datum[] {
  return ROOTS.flatMap((root) => leaves(root, seen[root]));
}

function leaves(path: string, value: unknown): Datum[] {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object" || Array.isArray(value)) return [{ path, sample: shown(value) }];
  const isId = (name: string) => name === "id" || name === "sid" || name.endsWith("_id");
  // A name that is no word cannot be written behind a dot.
  const named = Object.entries(value).filter(([name]) => !isId(name) && /^[A-Za-z_]\w*$/.test(name));
  return named.flatMap(([name, one]) => leaves(`${path}.${name}`, one));
}

type Trial = Schemas["DryRunView"] | null;

/** The whole output of a step and, where the trial shows them, its fields. */
function outputsOf(id: string, trial: Trial): Datum[] {
  const path = `steps.${id}.output`;
  const output = trial?.path.find((step) => step.node === id)?.output;
  const fields = typeof output === "object" && output !== null && !Array.isArray(output) ? Object.entries(output) : [];
  return [{ path, sample: fields.length > 0 ? "…" : shown(output) }, ...fields.map(([name, value]) => ({ path: `${path}.${name}`, sample: shown(value) }))];
}

/** How a param of a step reads with the trial's data; null where the trial did not come or nothing is filled in. */
export function previewOf(step: Pick<Step, "id"> | undefined, name: string, text: string, isExpression: boolean, trial: Trial): string | null {
  const played = trial?.path.find((one) => one.node === step?.id);
  if (played === undefined || text === "") return null;
  const result = isExpression ? (played.output as { result?: unknown } | null | undefined)?.result : undefined;
  const value = result ?? (played.input as Record<string, unknown> | null | undefined)?.[name];
  const read = shown(value);
  return value === undefined || value === null || read === text ? null : read;
}

function shown(value: unknown): string {
  if (value === undefined) return "…";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function stepsBefore(definition: Definition, stepId: string): string[] {
  const found = new Set<string>();
  const open = [stepId];
  while (open.length > 0) {
    const id = open.pop();
    for (const edge of definition.edges) {
      if (edge.to === id && edge.from !== "trigger" && !found.has(edge.from)) {
        found.add(edge.from);
        open.push(edge.from);
      }
    }
  }
  found.delete(stepId);
  return [...found];
}
