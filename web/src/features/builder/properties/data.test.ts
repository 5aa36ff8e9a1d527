import { expect, it } from "vitest";
import type { Schemas } from "@/lib/api";
import type { Definition } from "@/lib/graph/definition";
import { dataAt, previewOf } from "./data";

const DEFINITION: Definition = {
  name: "Two steps",
  enabled: false,
  trigger: { type: "lead.created" },
  settings: {},
  nodes: [
    { id: "ask", type: "condition", params: { if: "lead.score > 50" } },
    { id: "text", type: "send_sms", params: { body: "Hi {{ lead.first_name }}" } },
  ],
  edges: [
    { from: "trigger", to: "ask" },
    { from: "ask", port: "true", to: "text" },
  ],
  layout: {},
};

const TRIAL = {
  seen: {
    trigger: { type: "lead.created", data: { source: "api", lead_id: "lead_1", "two words": 1 } },
    lead: { id: "lead_1", first_name: "Ann", score: 40, fields: { roof: "tin" } },
    now: "2026-11-23T09:00:00Z",
  },
  path: [
    { node: "ask", input: { if: "lead.score > 50" }, output: { result: false } },
    { node: "text", input: { body: "Hi Dana" } },
  ],
} as unknown as Schemas["DryRunView"];

it("offers the outputs of the steps before with what the trial gave, and of no other step", () => {
  const outputs = (id: string) => dataAt(DEFINITION, id, TRIAL).filter(({ path }) => path.startsWith("steps."));
  expect(outputs("text")).toEqual([
    { path: "steps.ask.output", sample: "…" },
    { path: "steps.ask.output.result", sample: "false" },
  ]);
  expect(outputs("ask")).toEqual([]);
});

it("offers what the trial saw, by its path and without ids", () => {
  expect(dataAt(DEFINITION, "ask", TRIAL)).toEqual([
    { path: "lead.first_name", sample: "Ann" },
    { path: "lead.score", sample: "40" },
    { path: "lead.fields.roof", sample: "tin" },
    { path: "trigger.type", sample: "lead.created" },
    { path: "trigger.data.source", sample: "api" },
    { path: "now", sample: "2026-11-23T09:00:00Z" },
  ]);
  expect(dataAt(DEFINITION, "ask", null)).toContainEqual({ path: "lead.first_name", sample: "Dana" });
});

it("reads a text with its data filled in and an expression as what it comes to", () => {
  expect(previewOf({ id: "text" }, "body", "Hi {{ lead.first_name }}", false, TRIAL)).toBe("Hi Dana");
  expect(previewOf({ id: "ask" }, "if", "lead.score > 50", true, TRIAL)).toBe("false");
});

it("shows nothing where nothing is filled in or the trial did not come", () => {
  expect(previewOf({ id: "text" }, "body", "Hi Dana", false, TRIAL)).toBeNull();
  expect(previewOf({ id: "other" }, "body", "{{ now }}", false, TRIAL)).toBeNull();
  expect(previewOf({ id: "text" }, "body", "{{ now }}", false, null)).toBeNull();
});
