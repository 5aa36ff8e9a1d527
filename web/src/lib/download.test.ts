import { expect, it } from "vitest";
import { csvOf } from "./download";

it("quotes what needs it, and lets no cell be a formula", () => {
  const rows = [
    ["row", "value"],
    [2, 'Lee, "Ann"'],
    [3, "=1+1"],
    [4, "two\nlines"],
  ];
  expect(csvOf(rows)).toBe('row,value\r\n2,"Lee, ""Ann"""\r\n3,\'=1+1\r\n4,"two\nlines"\r\n');
});
