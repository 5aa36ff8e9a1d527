import { expect, it } from "vitest";
import { segmentsOf } from "./segments";

it.each([
  ["", 0],
  ["a".repeat(160), 1],
  ["a".repeat(161), 2],
  ["€".repeat(80), 1],
  ["€".repeat(81), 2],
  ["ж".repeat(70), 1],
  ["ж".repeat(71), 2],
  ["👍".repeat(35), 1],
  ["👍".repeat(36), 2],
])("%s takes %i segments", (text, count) => {
  expect(segmentsOf(text).count).toBe(count);
});
