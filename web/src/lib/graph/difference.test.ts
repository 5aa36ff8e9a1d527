import { expect, it } from "vitest";
import type { Definition } from "./definition";
import { stepChanges, united } from "./difference";

const BEFORE: Definition = {
  name: "Follow up",
  enabled: true,
  trigger: { type: "manual" },
  settings: {},
  nodes: [
    { id: "text", type: "send_sms", params: { body: "Hello", from: "+14155550100" } },
    { id: "task", type: "create_task", params: { title: "Call" } },
  ],
  edges: [{ from: "trigger", to: "text" }, { from: "text", to: "task" }],
  layout: {},
};
const AFTER: Definition = {
  ...BEFORE,
  trigger: { type: "lead.created" },
  nodes: [{ id: "text", type: "send_sms", params: { body: "Hi" }, on_error: "continue" }, { id: "pause", type: "delay", params: { for: "1d" } }],
  edges: [{ from: "trigger", to: "text" }, { from: "text", to: "pause" }],
};

it("a step's changes are told field by field", () => {
  const [before, after] = [BEFORE.nodes[0], AFTER.nodes[0]];
  if (before === undefined || after === undefined) throw new Error("both have a first step");
  expect(stepChanges(before, after)).toEqual([
    { field: "body", before: "Hello", after: "Hi" },
    { field: "from", before: "+14155550100", after: undefined },
    { field: "on_error", before: undefined, after: "continue" },
  ]);
});

it("both versions stand in one graph, every step that differs marked", () => {
  const { definition, marks } = united(BEFORE, AFTER);
  expect(definition.nodes.map((node) => node.id)).toEqual(["text", "pause", "task"]);
  expect(definition.edges).toContainEqual({ from: "text", to: "task" });
  expect(Object.fromEntries(marks)).toEqual({ text: "changed", pause: "added", task: "removed", trigger: "changed" });
});
