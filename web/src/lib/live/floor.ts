// What is on the floor now, folded from the live stream. Pure: messages in, the next state out; bounded in every list.

import type { Schemas } from "../api";
import type { LiveMessage, StepStatus } from "./messages";

type Call = Schemas["Call"];
type Utterance = Schemas["Utterance"];

export interface Partial {
  speaker: Schemas["Speaker"];
  text: string;
  start_ms: number;
}

export interface LiveCall {
  id: string;
  record: Call | null;
  lines: Utterance[];
  partials: Partial[];
  trend: { at_ms: number; trend: number }[];
  /** Milliseconds of speech that were not turned into words. */
  shed_ms: number;
}

export interface LiveRun {
  id: string;
  workflow_id: string | null;
  name: string;
  trigger: string;
  call_id: string | null;
  status: string;
  error: string | null;
  steps: { node: string; kind: string; status: StepStatus }[];
}

export interface Floor {
  calls: Record<string, LiveCall>;
  alerts: Record<string, Schemas["Alert"]>;
  runs: Record<string, LiveRun>;
  /** Counts stretches of the stream that were missed: what was shown before is to be asked again. */
  gaps: number;
}

const CALLS_MAX = 250;
const LINES_MAX = 500;
const TREND_MAX = 300;
const ALERTS_MAX = 100;
const RUNS_MAX = 200;

/** The kind of alert of a run that goes on once a person has said what became of an effect, and the status of such a run. */
export const OUTCOME_UNKNOWN = "outcome_unknown";
export const STUCK = "stuck";
const ENDED = ["completed", "failed", "cancelled"];

export const EMPTY: Floor = { calls: {}, alerts: {}, runs: {}, gaps: 0 };

export function fold(floor: Floor, message: LiveMessage): Floor {
  switch (message.type) {
    case "ready":
      return floor;
    case "gap":
      return { ...floor, gaps: floor.gaps + 1 };
    case "call.started":
    case "call.updated":
    case "call.ended":
      return takeCall(floor, message.call);
    case "transcript.partial":
      return onCall(floor, message.call_id, (call) => ({
        ...call,
        partials: [...call.partials.filter((one) => one.speaker !== message.speaker), { speaker: message.speaker, text: message.text, start_ms: message.start_ms }],
      }));
    case "transcript.final":
      return onCall(floor, message.call_id, (call) => ({
        ...call,
        partials: call.partials.filter((one) => one.speaker !== message.speaker),
        lines: withLine(call.lines, message),
      }));
    case "transcript.shed":
      return onCall(floor, message.call_id, (call) => ({ ...call, shed_ms: call.shed_ms + message.end_ms - message.start_ms }));
    case "sentiment.trend":
      return onCall(floor, message.call_id, (call) => ({ ...call, trend: [...call.trend, { at_ms: message.at_ms, trend: message.trend }].slice(-TREND_MAX) }));
    case "alert.raised":
      return takeStuck({ ...floor, alerts: bounded({ ...floor.alerts, [message.alert.id]: message.alert }, ALERTS_MAX) }, message.alert);
    case "alert.acked": {
      const alert = floor.alerts[message.alert_id];
      if (alert === undefined) return floor;
      const acked = { ...alert, acked_at: message.at ?? new Date().toISOString(), acked_by: message.by };
      return { ...floor, alerts: { ...floor.alerts, [alert.id]: acked } };
    }
    case "run.started":
      return onRun(floor, message.run_id, (run) => ({
        ...run,
        workflow_id: message.workflow_id,
        name: message.name,
        trigger: message.trigger,
        call_id: message.call_id,
      }));
    case "run.step":
      return onRun(floor, message.run_id, (run) => {
        const step = { node: message.node, kind: message.kind, status: message.status };
        const at = run.steps.findIndex((one) => one.node === message.node);
        const steps = at < 0 ? [...run.steps, step] : run.steps.with(at, step);
        // It goes on once the step that nobody knew the outcome of has one.
        const isDecided = run.status === STUCK && message.status !== "unknown" && !steps.some((one) => one.status === "unknown");
        return { ...run, steps, status: isDecided ? "running" : run.status };
      });
    case "run.ended":
      return onRun(floor, message.run_id, (run) => ({ ...run, status: message.status, error: message.error }));
    default:
      // A newer server may say more than this page knows.
      return floor;
  }
}

export function takeCall(floor: Floor, record: Call): Floor {
  return onCall(floor, record.id, (call) => ({ ...call, record, partials: record.ended_at ? [] : call.partials }));
}

export function takeLines(floor: Floor, callId: string, lines: Utterance[]): Floor {
  return onCall(floor, callId, (call) => ({ ...call, lines: lines.reduce(withLine, call.lines) }));
}

export function takeAlerts(floor: Floor, alerts: Schemas["Alert"][]): Floor {
  const taken = Object.fromEntries(alerts.map((alert) => [alert.id, alert]));
  return { ...floor, alerts: bounded({ ...floor.alerts, ...taken }, ALERTS_MAX) };
}

/** A run that waits for a person's word: its alert is how the stream says so. */
function takeStuck(floor: Floor, { kind, run_id, acked_at }: Schemas["Alert"]): Floor {
  const run = run_id ? floor.runs[run_id] : undefined;
  if (kind !== OUTCOME_UNKNOWN || acked_at || run === undefined || ENDED.includes(run.status)) return floor;
  return { ...floor, runs: { ...floor.runs, [run.id]: { ...run, status: STUCK } } };
}

/** Runs from before the stream began; what the stream said of one counts more. */
export function takeRuns(floor: Floor, runs: Schemas["RunSummary"][], nameOf: (workflowId: string) => string): Floor {
  const taken = runs.map((run): [string, LiveRun] => {
    const { id, workflow_id, trigger, call_id = null, status, error = null } = run;
    return [id, { id, workflow_id, name: nameOf(workflow_id), trigger, call_id, status, error, steps: [] }];
  });
  return { ...floor, runs: bounded({ ...Object.fromEntries(taken), ...floor.runs }, RUNS_MAX) };
}

/** Open alerts by call. */
export function openAlerts(alerts: Schemas["Alert"][]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { call_id, acked_at } of alerts) {
    if (call_id && !acked_at) counts.set(call_id, (counts.get(call_id) ?? 0) + 1);
  }
  return counts;
}

/** How much a call with so many open alerts needs somebody: those first, then how the customer feels. */
export function riskOf(call: LiveCall, open: number): number {
  const trend = call.trend.at(-1)?.trend ?? call.record?.trend ?? 0;
  const isOver = Boolean(call.record?.ended_at);
  return (isOver ? 0 : 100) + open * 10 - trend;
}

/** The calls by risk, the newest first among equals. */
export function byRisk(calls: LiveCall[], open: ReadonlyMap<string, number>): LiveCall[] {
  return calls
    .map((call) => ({ call, risk: riskOf(call, open.get(call.id) ?? 0) }))
    .sort((one, other) => other.risk - one.risk || (one.call.id < other.call.id ? 1 : -1))
    .map(({ call }) => call);
}

function withLine(lines: Utterance[], line: Utterance): Utterance[] {
  const others = lines.filter((one) => one.ordinal !== line.ordinal);
  // Lines stand in the order in which they were begun.
  return [...others, line].sort((one, other) => one.start_ms - other.start_ms).slice(-LINES_MAX);
}

function onCall(floor: Floor, id: string, change: (call: LiveCall) => LiveCall): Floor {
  const known = floor.calls[id] ?? { id, record: null, lines: [], partials: [], trend: [], shed_ms: 0 };
  return { ...floor, calls: bounded({ ...floor.calls, [id]: change(known) }, CALLS_MAX) };
}

function onRun(floor: Floor, id: string, change: (run: LiveRun) => LiveRun): Floor {
  const fresh: LiveRun = { id, workflow_id: null, name: "", trigger: "", call_id: null, status: "running", error: null, steps: [] };
  return { ...floor, runs: bounded({ ...floor.runs, [id]: change(floor.runs[id] ?? fresh) }, RUNS_MAX) };
}

/** Drops the oldest entries over `most`; ids carry their time, so the smallest are the oldest. */
function bounded<T>(entries: Record<string, T>, most: number): Record<string, T> {
  const ids = Object.keys(entries);
  if (ids.length <= most) return entries;
  const kept = ids.sort().slice(ids.length - most);
  return Object.fromEntries(kept.map((id) => [id, entries[id] as T]));
}
