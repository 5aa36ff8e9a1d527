import { expect, it } from "vitest";
import { passOf, wayBetween } from "./ways";

it("a way with nothing in between leads straight to its step", () => {
  expect(passOf([100, 76], [100, 140], [[0, 0], [0, 140]])).toBeNull();
  expect(wayBetween([100, 76], [100, 140], null)).toEqual({ path: "M100,76 C100,112 100,104 100,140", middle: [100, 108] });
});

it("a way passes a step in between on the nearer side, and its middle is there", () => {
  const pass = passOf([165, 76], [124, 280], [[-80, 140]]);
  expect(pass).toEqual({ x: 204, top: 140, bottom: 216 });
  expect(wayBetween([165, 76], [124, 280], pass).middle).toEqual([204, 178]);
  expect(passOf([165, 76], [124, 280], [[100, 140]])?.x).toBe(64);
});

it("steps beside the way do not turn it aside", () => {
  expect(passOf([100, 76], [100, 280], [[400, 140]])).toBeNull();
});
