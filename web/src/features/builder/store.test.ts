import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Definition } from "@/lib/graph/definition";
import { useBuilder } from "./store";

const KINDS = new Map([
  ["send_sms", { type: "send_sms", ports: ["ok", "error"] }],
  ["delay", { type: "delay", ports: ["ok"] }],
]);

const EMPTY: Definition = { name: "Empty", enabled: false, trigger: { type: "lead.created" }, settings: {}, nodes: [], edges: [], layout: {} };

const builder = () => useBuilder.getState();
const ids = () => builder().definition?.nodes.map((node) => node.id);

beforeEach(() => {
  builder().load({ id: "wf_1", revision: 3, definition: EMPTY, isDirty: false });
  builder().setKinds(KINDS);
});

describe("undo and redo", () => {
  it("go over steps and fields alike, and an edit forgets what was undone", () => {
    builder().insert("send_sms", { kind: "port", from: "trigger", port: "ok" });
    builder().changeStep("send_sms", { params: { body: "Hi" } }, "body");
    builder().undo();
    expect(builder().definition?.nodes[0]?.params).not.toEqual({ body: "Hi" });
    builder().redo();
    expect(builder().definition?.nodes[0]?.params).toEqual({ body: "Hi" });
    builder().undo();
    builder().undo();
    expect(ids()).toEqual([]);
    builder().rename("Another");
    builder().redo();
    expect(ids()).toEqual([]);
  });

  it("keep a hundred actions", () => {
    for (let count = 0; count < 130; count++) builder().insert("delay", { kind: "free", at: [0, count] });
    for (let count = 0; count < 200; count++) builder().undo();
    expect(ids()).toHaveLength(30);
  });

  it("take typing in one field as one action, until somebody pauses", () => {
    vi.useFakeTimers();
    for (const name of ["E", "Em", "Emp"]) builder().rename(name);
    expect(builder().past).toHaveLength(1);
    vi.advanceTimersByTime(5000);
    builder().rename("Later");
    expect(builder().past).toHaveLength(2);
    vi.useRealTimers();
  });
});

it("an inserted step is selected and waits to be saved", () => {
  builder().insert("send_sms", { kind: "port", from: "trigger", port: "ok" });
  expect(builder().selected).toEqual(["send_sms"]);
  expect(builder().save).toBe("waiting");
});

it("a conflict stays a conflict whatever is edited", () => {
  useBuilder.setState({ save: "conflict" });
  builder().rename("Mine");
  expect(builder().save).toBe("conflict");
});

it("copied steps are pasted under new names and selected", () => {
  builder().insert("delay", { kind: "port", from: "trigger", port: "ok" });
  const clip = builder().copy();
  expect(clip).not.toBeNull();
  if (clip) builder().paste(clip);
  expect(ids()).toEqual(["delay", "delay_2"]);
  expect(builder().selected).toEqual(["delay_2"]);
});

it("somebody who may only look changes nothing, whatever they do", () => {
  builder().insert("delay", { kind: "port", from: "trigger", port: "ok" });
  const clip = builder().copy();
  const definition = builder().definition ?? EMPTY;
  builder().load({ id: "wf_1", revision: 3, definition, isDirty: false, isReadOnly: true });
  builder().select(["delay"]);
  builder().insert("send_sms", { kind: "free", at: [0, 0] });
  builder().changeStep("delay", { params: { for: "2h" } }, "for");
  builder().rename("Mine");
  builder().move({ delay: [5, 5] });
  builder().adopt({ definition: EMPTY });
  if (clip) builder().paste(clip);
  builder().remove(["delay"]);
  builder().undo();
  expect(builder().definition).toBe(definition);
  expect(builder()).toMatchObject({ save: "saved", past: [], selected: ["delay"] });
});
