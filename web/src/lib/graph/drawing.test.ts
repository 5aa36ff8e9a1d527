import { expect, it } from "vitest";
import type { Definition } from "./definition";
import { drawingOf } from "./drawing";

const step = (id: string) => ({ id, type: "condition", params: {} });
const KINDS = new Map([["condition", { type: "condition", ports: ["yes", "no"] }]]);

const FORK: Definition = {
  name: "Fork",
  enabled: true,
  trigger: { type: "manual" },
  settings: {},
  nodes: [step("ask"), step("left"), step("right")],
  edges: [
    { from: "trigger", to: "ask" },
    { from: "ask", port: "yes", to: "left" },
    { from: "ask", port: "no", to: "right" },
    { from: "right", port: "yes", to: "gone" },
  ],
  layout: {},
};

it("everything lies within the drawing, and steps do not cover one another", () => {
  const { places, width, height } = drawingOf(FORK, KINDS);
  const all = [...places.values()];
  expect(all).toHaveLength(4);
  for (const [x, y] of all) {
    expect(x >= 0 && x + 248 <= width && y >= 0 && y + 76 <= height).toBe(true);
  }
  const areApart = ([x, y]: [number, number], [otherX, otherY]: [number, number]) => Math.abs(x - otherX) >= 248 || Math.abs(y - otherY) >= 76;
  expect(all.every((one, at) => all.slice(at + 1).every((other) => areApart(one, other)))).toBe(true);
});

it("a way leaves by its own port, and one that leads nowhere is not drawn", () => {
  const { ways, places } = drawingOf(FORK, KINDS);
  const starts = ["ask:yes>left", "ask:no>right"].map((id) => Number(/^M([\d.]+),/.exec(ways.get(id)?.path ?? "")?.[1]));
  const left = places.get("ask")?.[0] ?? 0;
  expect(starts.map((x) => Math.round(x - left))).toEqual([83, 165]);
  expect([...ways.keys()]).toHaveLength(3);
});

it("a step that is left by one port only is left in its middle", () => {
  const { ways, places } = drawingOf({ ...FORK, edges: FORK.edges.slice(0, 2) }, KINDS);
  const start = Number(/^M([\d.]+),/.exec(ways.get("ask:yes>left")?.path ?? "")?.[1]);
  expect(start - (places.get("ask")?.[0] ?? 0)).toBe(124);
});
