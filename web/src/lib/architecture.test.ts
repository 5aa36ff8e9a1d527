// Holds the direction of imports: lib ← components ← features ← app, and no feature knows another.

import { expect, it } from "vitest";

const FILES = import.meta.glob<string>("../**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });
const RANK: Record<string, number> = { lib: 0, components: 1, features: 2, app: 3 };

it("imports point downward only", () => {
  const wrong = Object.entries(FILES).flatMap(([file, text]) => {
    const place = placeOf(file.startsWith("../") ? file.slice(3) : `lib/${file.slice(2)}`);
    return importsOf(text)
      .map(placeOf)
      .filter((target) => isForbidden(place, target))
      .map((target) => `${file} imports ${target.join("/")}`);
  });
  expect(wrong).toEqual([]);
});

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:from|import\()\s*"@\/([^"]+)"/g)].map((match) => match[1] ?? "");
}

function placeOf(path: string): [layer: string, feature: string] {
  const [layer = "", feature = ""] = path.split("/");
  return [layer, layer === "features" ? feature : ""];
}

function isForbidden([layer, feature]: [string, string], [other, otherFeature]: [string, string]): boolean {
  const isUpward = (RANK[other] ?? 0) > (RANK[layer] ?? 0);
  const isSideways = layer === "features" && other === "features" && feature !== otherFeature;
  return isUpward || isSideways;
}
