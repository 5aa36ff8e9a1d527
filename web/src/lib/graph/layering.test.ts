import { expect, it } from "vitest";
import { layered } from "./layering";

const WIDTH = 100;
const GAP = 20;
const lay = (ways: string[], ids = [...new Set(ways.flatMap((way) => way.split(">")))]) =>
  layered(ids, ways.map((way) => ({ from: way.split(">")[0] ?? "", to: way.split(">")[1] ?? "" })), WIDTH, GAP);
const middle = (placed: ReturnType<typeof lay>, id: string) => Math.round(placed.get(id)?.x ?? Number.NaN);

it("a chain stands in one line, each step below the one before", () => {
  const placed = lay(["a>b", "b>c", "c>d"]);
  expect(["a", "b", "c", "d"].map((id) => placed.get(id)?.layer)).toEqual([0, 1, 2, 3]);
  expect(new Set(["a", "b", "c", "d"].map((id) => middle(placed, id))).size).toBe(1);
});

it("a fork stands under its step, as far to the left as to the right, and meets below it", () => {
  const placed = lay(["a>b", "a>c", "b>d", "c>d"]);
  expect(middle(placed, "b") + middle(placed, "c")).toBe(2 * middle(placed, "a"));
  expect(middle(placed, "c") - middle(placed, "b")).toBe(WIDTH + GAP);
  expect(middle(placed, "d")).toBe(middle(placed, "a"));
});

it("a way that skips a layer passes beside the step there", () => {
  const placed = lay(["a>b", "b>c", "a>c"]);
  expect(middle(placed, "b")).not.toBe(middle(placed, "c"));
  expect(placed.get("c")?.layer).toBe(2);
});

it("ways that would cross do not", () => {
  const placed = lay(["r>a", "r>b", "a>x", "b>y"], ["r", "a", "b", "y", "x"]);
  expect(Math.sign(middle(placed, "a") - middle(placed, "b"))).toBe(Math.sign(middle(placed, "x") - middle(placed, "y")));
});

it("whatever the graph, nothing overlaps and only what leads back leads up", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % below;
  };
  for (let round = 0; round < 30; round++) {
    const ids = Array.from({ length: 2 + random(40) }, (_, at) => `s${at}`);
    const ways = Array.from({ length: random(80) }, () => ({ from: random(ids.length), to: random(ids.length) })).filter(({ from, to }) => from < to);
    const placed = lay(ways.map(({ from, to }) => `s${from}>s${to}`), ids);
    expect(ways.every(({ from, to }) => (placed.get(`s${from}`)?.layer ?? 0) < (placed.get(`s${to}`)?.layer ?? 0))).toBe(true);
    const all = [...placed.values()];
    const areApart = all.every((one, at) => all.slice(at + 1).every((other) => one.layer !== other.layer || Math.abs(one.x - other.x) >= WIDTH));
    expect(areApart).toBe(true);
  }
});

it("a ring is cut where it leads back", () => {
  const placed = lay(["a>b", "b>c", "c>a", "c>c"]);
  expect(["a", "b", "c"].map((id) => placed.get(id)?.layer)).toEqual([0, 1, 2]);
});
