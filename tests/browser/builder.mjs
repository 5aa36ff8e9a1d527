// The builder where it is heavy: the script editor under our content security policy, and dragging in a graph of 500 steps.

import assert from "node:assert/strict";
import { openTab, startDemo, stop } from "./harness.mjs";

const STEPS = 500;
const MOVES = 20;

async function open(browser, store, definition) {
  const server = await startDemo(store);
  const workflow = await server.ask("POST", "/api/workflows", { enabled: false, trigger: { type: "manual" }, ...definition });
  const { page, faults } = await openTab(browser, server.url, "light");
  await page.goto(server.address);
  await page.waitForSelector("[data-line=live]");
  const loaded = [];
  page.on("response", (response) => loaded.push(response.url()));
  await page.goto(`${server.url}/workflows/${workflow.id}`);
  await page.getByRole("group", { name: "Canvas" }).waitFor();
  return { server, page, faults, loaded };
}

export async function scriptEditor(browser) {
  const { server, page, faults, loaded } = await open(browser, "script.db", {
    name: "A script",
    nodes: [{ id: "compute", type: "script", params: { code: "return { hot: lead.score > 80 };" } }],
    edges: [{ from: "trigger", to: "compute" }],
  });
  await page.getByRole("group", { name: "Canvas" }).getByText("Script", { exact: true }).click();
  await page.getByRole("button", { name: "Open the editor" }).waitFor();
  assert.ok(!loaded.some((url) => url.includes("editor.api")), "the large editor comes after a click only");
  await page.getByRole("button", { name: "Open the editor" }).click();
  await page.locator(".monaco-editor .view-line").first().waitFor();
  assert.deepEqual(faults, []);
  await page.context().close();
  await stop(server.child);
}

/** A graph of 500 steps, put by hand into rows. */
export function openLargeGraph(browser, store) {
  const ids = Array.from({ length: STEPS }, (_, at) => `step_${at}`);
  return open(browser, store, {
    name: "Five hundred steps",
    nodes: ids.map((id) => ({ id, type: "delay", params: { for: "1h" } })),
    edges: ids.map((id, at) => ({ from: at === 0 ? "trigger" : ids[at - 1], to: id })),
    layout: Object.fromEntries([["trigger", [0, 0]], ...ids.map((id, at) => [id, [(at % 20) * 280, 140 + Math.floor(at / 20) * 140]])]),
  });
}

/** A step of 500 is dragged: it moves, and one undo takes it back. How smoothly is measured by `scripts/bench-web`. */
export async function largeGraph(browser) {
  const { server, page, faults } = await openLargeGraph(browser, "large.db");
  const node = page.locator(".react-flow__node").nth(5);
  const box = await node.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  for (let move = 1; move <= MOVES; move++) await page.mouse.move(box.x + move * 4, box.y + move * 2);
  await page.mouse.up();
  assert.notEqual((await node.boundingBox()).x, box.x);
  await page.waitForSelector("[data-save=waiting], [data-save=saving], [data-save=saved]");
  await page.getByRole("button", { name: "Undo" }).and(page.locator(":enabled")).waitFor();
  assert.deepEqual(faults, []);
  await page.context().close();
  await stop(server.child);
}
