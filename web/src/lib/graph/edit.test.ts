import { describe, expect, it } from "vitest";
import { type Definition, edgeId } from "./definition";
import { differenceOf, isEmpty } from "./difference";
import { connect, copySteps, insertStep, pasteSteps, readClip, removeStep } from "./edit";
import { positionsOf } from "./layout";
import { outlineOf } from "./outline";
import { type PortKind, portsOf } from "./ports";
import { fieldOf, problemsByStep } from "./problems";

const SMS: PortKind = { type: "send_sms", ports: ["ok", "error"] };
const CONDITION: PortKind = { type: "condition", ports: ["true", "false"] };
const STOP: PortKind = { type: "stop", ports: [] };
const SWITCH: PortKind = { type: "switch", ports: ["default"], ports_from: "cases[].port" };
const KINDS = new Map([SMS, CONDITION, STOP, SWITCH].map((kind) => [kind.type, kind]));

function chain(): Definition {
  return {
    name: "A chain",
    enabled: false,
    trigger: { type: "lead.created" },
    settings: {},
    nodes: [
      { id: "a", type: "send_sms", params: {} },
      { id: "b", type: "send_sms", params: {} },
    ],
    edges: [
      { from: "trigger", to: "a" },
      { from: "a", to: "b" },
    ],
    layout: {},
  };
}

const waysOf = (definition: Definition) => definition.edges.map(edgeId).sort();

describe("insertStep", () => {
  it("goes between the two ends of an edge", () => {
    const { definition, id } = insertStep(chain(), SMS, {}, { kind: "edge", edge: { from: "a", to: "b" } });
    expect(id).toBe("send_sms");
    expect(waysOf(definition)).toEqual(["a:ok>send_sms", "send_sms:ok>b", "trigger:ok>a"]);
  });

  it("takes what came after a port behind itself, by its first port that is no failure", () => {
    const { definition } = insertStep(chain(), CONDITION, {}, { kind: "port", from: "a", port: "ok" });
    expect(waysOf(definition)).toEqual(["a:ok>condition", "condition:true>b", "trigger:ok>a"]);
  });

  it("begins a way of its own where a wire was dropped", () => {
    const { definition } = insertStep(chain(), SMS, {}, { kind: "port", from: "a", port: "error", at: [10, 20] });
    expect(waysOf(definition)).toEqual(["a:error>send_sms", "a:ok>b", "trigger:ok>a"]);
    expect(definition.layout).toEqual({ send_sms: [10, 20] });
  });

  it("ends a way with a step that has no port", () => {
    const { definition } = insertStep(chain(), STOP, {}, { kind: "edge", edge: { from: "a", to: "b" } });
    expect(waysOf(definition)).toEqual(["a:ok>stop", "trigger:ok>a"]);
  });

  it("counts names up and leaves the given definition as it is", () => {
    const before = chain();
    const one = insertStep(before, SMS, {}, { kind: "free", at: [0, 0] });
    const two = insertStep(one.definition, SMS, {}, { kind: "free", at: [0, 0] });
    expect([one.id, two.id]).toEqual(["send_sms", "send_sms_2"]);
    expect(before).toEqual(chain());
  });

  it("moves down what lies below it in a layout made by hand", () => {
    const before = { ...chain(), layout: { trigger: [0, 0], a: [0, 130], b: [0, 260] } } as Definition;
    const { definition } = insertStep(before, SMS, {}, { kind: "edge", edge: { from: "a", to: "b" } });
    expect(definition.layout).toEqual({ trigger: [0, 0], a: [0, 130], b: [0, 390], send_sms: [0, 260] });
  });
});

it("removing a step joins what came before it to what came after", () => {
  const after = removeStep(chain(), "a", KINDS);
  expect(waysOf(after)).toEqual(["trigger:ok>b"]);
});

it("inserting and removing gives the graph back", () => {
  const { definition, id } = insertStep(chain(), CONDITION, {}, { kind: "edge", edge: { from: "a", to: "b" } });
  expect(waysOf(removeStep(definition, id, KINDS))).toEqual(waysOf(chain()));
});

it("a way is drawn once, never to itself and never to the trigger", () => {
  const before = chain();
  expect(connect(before, "a", "ok", "b")).toBe(before);
  expect(connect(before, "a", "ok", "a")).toBe(before);
  expect(connect(before, "a", "ok", "trigger")).toBe(before);
});

it("copied steps come back under new names with the ways between them", () => {
  const clip = readClip(JSON.stringify(copySteps(chain(), ["a", "b"])));
  expect(clip).not.toBeNull();
  if (clip === null) return;
  const { definition, ids } = pasteSteps(chain(), clip);
  expect(ids).toEqual(["send_sms", "send_sms_2"]);
  const [stood, stands] = [positionsOf(chain()).b ?? [0, 0], definition.layout.send_sms_2 ?? [0, 0]];
  expect([stands[0] - stood[0], stands[1] - stood[1]]).toEqual([40, 40]);
  expect(waysOf(definition)).toContain("send_sms:ok>send_sms_2");
  expect(readClip("not ours")).toBeNull();
});

it("ports are those of the kind and those written in the params", () => {
  const step = { id: "s", type: "switch", params: { cases: [{ port: "hot" }, { port: "cold" }] } };
  expect(portsOf(step, SWITCH)).toEqual(["hot", "cold", "default"]);
});

it("the outline names every step once and says where ways meet", () => {
  const forked = connect(connect(chain(), "a", "error", "b"), "trigger", "ok", "b");
  const lines = outlineOf(forked);
  expect(lines.filter((line) => !line.isAgain).map((line) => line.id)).toEqual(["trigger", "a", "b"]);
  expect(lines.filter((line) => line.isAgain)).toHaveLength(2);
});

it("a layout gives every step a place of its own", () => {
  const places = Object.values(positionsOf(chain())).map(String);
  expect(new Set(places).size).toBe(3);
});

it("a difference names what came, went and changed, and nothing for a copy", () => {
  expect(isEmpty(differenceOf(chain(), structuredClone(chain())))).toBe(true);
  const { definition } = insertStep(chain(), SMS, {}, { kind: "edge", edge: { from: "a", to: "b" } });
  const changed = { ...definition, nodes: definition.nodes.map((node) => (node.id === "b" ? { ...node, params: { body: "x" } } : node)) };
  const difference = differenceOf(chain(), changed);
  expect(difference).toMatchObject({ added: ["send_sms"], removed: [], changed: ["b"], ways: 1 });
});

it("problems are found by step and field", () => {
  const problem = { path: "nodes[1].params.body", code: "x", message: "m", fix: "f" };
  expect([...problemsByStep([problem], chain()).keys()]).toEqual(["b"]);
  expect(fieldOf(problem)).toBe("body");
});
