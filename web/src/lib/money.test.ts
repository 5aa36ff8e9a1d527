import { expect, it } from "vitest";
import { decimal, minorUnits, money } from "./money";

it("reads amounts without rounding", () => {
  expect(minorUnits("12.50", "usd")).toBe(1250);
  expect(minorUnits("12,5", "usd")).toBe(1250);
  expect(minorUnits("0.29", "usd")).toBe(29);
  expect(minorUnits("1200", "jpy")).toBe(1200);
});

it("takes nothing that is no amount of the currency", () => {
  for (const text of ["", "-1", "1.234", "1e3", "1.", "twelve"]) expect(minorUnits(text, "usd")).toBeNull();
  expect(minorUnits("1.5", "jpy")).toBeNull();
  expect(minorUnits("1", "u")).toBeNull();
});

it("shows minor units as the currency has them", () => {
  expect(money(1250, "usd")).toContain("12.50");
  expect(money(1200, "jpy")).toMatch(/1,200$/);
});

it("shows an amount as it is written", () => {
  for (const [amount, currency] of [[1250, "usd"], [5, "eur"], [1200, "jpy"]] as const) expect(minorUnits(decimal(amount, currency), currency)).toBe(amount);
});
