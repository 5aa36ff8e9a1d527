import { describe, expect, it } from "vitest";
import type { Definition } from "./definition";
import { addNote, changeNote, changeStep, insertStep, moveSteps, removeStep } from "./edit";
import { beginning, merge } from "./merge";

const KIND = { type: "send_sms", ports: ["ok", "error"] };
const KINDS = new Map([["send_sms", KIND]]);

const BASE: Definition = {
  name: "Base",
  enabled: false,
  trigger: { type: "lead.created" },
  settings: { enrolment: "every_time" },
  nodes: [
    { id: "a", type: "send_sms", params: { body: "A", to: "x" } },
    { id: "b", type: "send_sms", params: { body: "B" } },
  ],
  edges: [
    { from: "trigger", to: "a" },
    { from: "a", to: "b" },
  ],
  layout: {},
};

const says = (definition: Definition, id: string, params: Record<string, unknown>) => changeStep(definition, id, { params });
const bodies = (definition: Definition) => definition.nodes.map((node) => `${node.id} ${String(node.params.body)}`);

describe("merge", () => {
  it("takes both sides' edits of different steps, fields and settings", () => {
    const mine = { ...says(BASE, "a", { body: "mine", to: "x" }), name: "Mine" };
    const theirs = { ...says(says(BASE, "a", { body: "A", to: "y" }), "b", { body: "theirs" }), settings: { enrolment: "every_time", timezone: "Europe/Berlin" } };
    const { definition, clashes } = merge(BASE, mine, theirs);
    expect(clashes).toEqual([]);
    expect(definition).toMatchObject({ name: "Mine", settings: { timezone: "Europe/Berlin" } });
    expect(definition.nodes[0]?.params).toEqual({ body: "mine", to: "y" });
    expect(bodies(definition)).toEqual(["a mine", "b theirs"]);
  });

  it("names what both changed, and settles it as asked", () => {
    const [mine, theirs] = [says(BASE, "a", { body: "mine", to: "x" }), says(BASE, "a", { body: "theirs", to: "x" })];
    expect(merge(BASE, mine, theirs)).toMatchObject({ clashes: ["a: params: body"] });
    expect(bodies(merge(BASE, mine, theirs, "mine").definition)[0]).toBe("a mine");
    expect(bodies(merge(BASE, mine, theirs, "theirs").definition)[0]).toBe("a theirs");
  });

  it("the same edit on both sides is one edit", () => {
    const both = says(BASE, "a", { body: "same" });
    expect(merge(BASE, both, structuredClone(both))).toEqual({ definition: both, clashes: [] });
  });

  it("keeps the order of steps and ways, so that nothing seems changed that is not", () => {
    const shuffled = { ...BASE, edges: BASE.edges.toReversed() };
    expect(merge(shuffled, shuffled, structuredClone(shuffled)).definition).toEqual(shuffled);
  });

  it("steps added in different places both stay, with their ways", () => {
    const mine = insertStep(BASE, { ...KIND, type: "delay" }, {}, { kind: "edge", edge: { from: "a", to: "b" } }).definition;
    const theirs = insertStep(BASE, { ...KIND, type: "stop" }, {}, { kind: "edge", edge: { from: "trigger", to: "a" } }).definition;
    const { definition, clashes } = merge(BASE, mine, theirs);
    expect(clashes).toEqual([]);
    expect(definition.nodes.map((node) => node.id).sort()).toEqual(["a", "b", "delay", "stop"]);
    expect(definition.edges.map((edge) => `${edge.from}>${edge.to}`).sort()).toEqual(["a>delay", "delay>b", "stop>a", "trigger>stop"]);
  });

  it("two steps put into the same place clash: their order is a person's to say", () => {
    const at = { kind: "edge", edge: { from: "a", to: "b" } } as const;
    const mine = insertStep(BASE, { ...KIND, type: "delay" }, {}, at).definition;
    const theirs = insertStep(BASE, { ...KIND, type: "stop" }, {}, at).definition;
    expect(merge(BASE, mine, theirs).clashes).toEqual(["a:ok"]);
  });

  it("a step that one side takes out and the other changes clashes", () => {
    const [mine, theirs] = [removeStep(BASE, "b", KINDS), says(BASE, "b", { body: "theirs" })];
    expect(merge(BASE, mine, theirs).clashes).toContain("b");
    expect(bodies(merge(BASE, mine, theirs, "theirs").definition)).toEqual(["a A", "b theirs"]);
  });

  it("notes of both sides stay", () => {
    const noted = addNote(BASE, "Ask Kim", [0, 0]).definition;
    const { definition } = merge(noted, changeNote(noted, "note_1", { text: "Ask Kim first" }), addNote(noted, "Theirs", [9, 9]).definition);
    expect(definition.notes?.map((note) => note.text)).toEqual(["Ask Kim first", "Theirs"]);
  });

  it("moving steps never clashes; without a common beginning everything that differs does", () => {
    const [mine, theirs] = [moveSteps(BASE, { a: [1, 1] }), moveSteps(BASE, { a: [2, 2], b: [3, 3] })];
    expect(merge(BASE, mine, theirs)).toMatchObject({ clashes: [], definition: { layout: { a: [1, 1], b: [3, 3] } } });
    expect(merge(null, says(BASE, "a", { body: "mine" }), BASE).clashes).toEqual(["a"]);
  });
});

describe("beginning", () => {
  const named = (name: string) => ({ ...BASE, name });

  it("is one's own save that arrived without an answer", () => {
    const theirs = { ...says(BASE, "b", { body: "theirs" }), name: "Mi" };
    const began = beginning(BASE, named("Mi"), theirs);
    expect(merge(began, named("Mine"), theirs)).toMatchObject({ clashes: [], definition: { name: "Mine" } });
  });

  it("is the older one when the save did not arrive", () => {
    expect(beginning(BASE, named("Mi"), named("Theirs"))).toBe(BASE);
    expect(beginning(BASE, named("Mi"), BASE)).toBe(BASE);
    expect(beginning(BASE, null, BASE)).toBe(BASE);
  });
});
