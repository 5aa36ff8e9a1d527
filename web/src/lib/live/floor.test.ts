import { expect, it } from "vitest";
import type { Schemas } from "../api";
import { byRisk, EMPTY, type Floor, fold, openAlerts } from "./floor";
import type { LiveMessage } from "./messages";

const final = (ordinal: number, start_ms: number, text: string): LiveMessage => ({
  type: "transcript.final",
  call_id: "call_1",
  ordinal,
  speaker: "customer",
  text,
  start_ms,
  end_ms: start_ms + 900,
});

const play = (messages: LiveMessage[], floor: Floor = EMPTY) => messages.reduce(fold, floor);

it("a final line takes the place of its partial, and lines stand in the order they were begun", () => {
  const floor = play([
    { type: "transcript.partial", call_id: "call_1", speaker: "customer", text: "I wa", start_ms: 2000, end_ms: 2400 },
    final(1, 2000, "I want"),
    final(0, 1000, "Hello"),
  ]);
  const call = floor.calls.call_1;
  expect(call?.partials).toEqual([]);
  expect(call?.lines.map((line) => line.text)).toEqual(["Hello", "I want"]);
});

it("a line that comes again, as after a reconnect, stands once", () => {
  expect(play([final(0, 0, "Hello"), final(0, 0, "Hello")]).calls.call_1?.lines).toHaveLength(1);
});

it("a step keeps its place when its status changes", () => {
  const step = (node: string, status: "started" | "done"): LiveMessage => ({ type: "run.step", run_id: "run_1", node, kind: "send_sms", status, call_id: null });
  const floor = play([step("a", "started"), step("b", "started"), step("a", "done")]);
  expect(floor.runs.run_1?.steps.map((one) => `${one.node} ${one.status}`)).toEqual(["a done", "b started"]);
});

it("an acknowledged alert stays and no longer counts against its call", () => {
  const alert = { id: "alert_1", call_id: "call_1", acked_at: null } as unknown as Schemas["Alert"];
  const raised = play([final(0, 0, "No"), { type: "alert.raised", alert }]);
  const acked = play([{ type: "alert.acked", alert_id: "alert_1", by: "usr_1", at: "2026-01-01T00:00:00Z" }], raised);
  expect([...openAlerts(Object.values(raised.alerts))]).toEqual([["call_1", 1]]);
  expect([...openAlerts(Object.values(acked.alerts))]).toEqual([]);
  expect(acked.alerts.alert_1?.acked_by).toBe("usr_1");
});

it("calls that need somebody come first: open alerts, then how the customer feels, then the newest", () => {
  const trend = (call_id: string, trend: number): LiveMessage => ({ type: "sentiment.trend", call_id, trend, at_ms: 0 });
  const floor = play([trend("call_1", 0.5), trend("call_2", -0.5), trend("call_3", 0.5), trend("call_4", 0.9)]);
  const order = byRisk(Object.values(floor.calls), new Map([["call_4", 1]])).map((call) => call.id);
  expect(order).toEqual(["call_4", "call_2", "call_3", "call_1"]);
});

it("the floor is bounded however many calls there are", () => {
  const floor = play(Array.from({ length: 400 }, (_, at): LiveMessage => ({ type: "sentiment.trend", call_id: `call_${1000 + at}`, trend: 0, at_ms: 0 })));
  expect(Object.keys(floor.calls)).toHaveLength(250);
  expect(floor.calls.call_1399).toBeDefined();
});

it("a word it does not know changes nothing", () => {
  expect(play([{ type: "weather" } as unknown as LiveMessage])).toBe(EMPTY);
});

it("a run that waits for a person's word is stuck until the step has an outcome", () => {
  const step = (node: string, status: "unknown" | "started" | "done"): LiveMessage => ({ type: "run.step", run_id: "run_1", node, kind: "webhook", status, call_id: null });
  const alert = { id: "alert_1", kind: "outcome_unknown", run_id: "run_1", acked_at: null } as unknown as Schemas["Alert"];
  const stuck = play([step("tell", "unknown"), { type: "alert.raised", alert }]);
  expect(stuck.runs.run_1?.status).toBe("stuck");
  expect(play([step("other", "done")], stuck).runs.run_1?.status).toBe("stuck");
  expect(play([step("tell", "started")], stuck).runs.run_1?.status).toBe("running");
  const ended: LiveMessage = { type: "run.ended", run_id: "run_1", status: "failed", error: null, call_id: null };
  expect(play([ended, { type: "alert.raised", alert }], stuck).runs.run_1?.status).toBe("failed");
});
