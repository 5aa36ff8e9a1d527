// The builder for people who may look at workflows and not change them: nothing can be typed, dragged, added or deleted, and it says why.

import assert from "node:assert/strict";
import { accessible, openTab, signIn, startDemo, stop } from "./harness.mjs";

const EDITS = /^(Add|Delete|Undo|Redo|Publish|Lay out|Open the editor)/;
const STEPS = [
  { id: "text", type: "send_sms", params: { body: "Hello {{lead.name}}" } },
  { id: "hot", type: "condition", params: { if: "lead.score > 50" } },
  { id: "compute", type: "script", params: { code: "return { hot: true };" } },
];

export async function builderToLookAt(browser) {
  const server = await startDemo("roles.db");
  const workflow = await server.ask("POST", "/api/workflows", {
    name: "Follow up",
    trigger: { type: "manual" },
    nodes: STEPS,
    edges: [{ from: "trigger", to: "text" }, { from: "text", to: "hot" }, { from: "hot", to: "compute", port: "true" }],
    notes: [{ id: "note", text: "Ask Kim first", at: [420, 0] }],
  });
  for (const [role, scheme] of [["agent", "light"], ["supervisor", "dark"]]) {
    const person = { email: `${role}@example.com`, password: "correct horse 7", name: role, role };
    await server.ask("POST", "/api/users", person);
    const { page, faults } = await openTab(browser, server.url, scheme);
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await signIn(page.context(), { url: server.url, ...person });
    const written = [];
    page.on("request", (request) => request.method() === "PATCH" && written.push(request.url()));
    await page.goto(`${server.url}/workflows/${workflow.id}`);
    await page.getByRole("note").getByText(`Changing it takes the role admin; yours is ${role}.`).waitFor();
    await nothingIsEdited(page);
    await accessible(page, `builder-to-look-at-${scheme}`);
    await page.getByRole("button", { name: "Outline" }).click();
    await page.getByRole("list", { name: "Outline" }).getByText("Send SMS").waitFor();
    assert.deepEqual(await edits(page), []);
    await page.getByRole("button", { name: "Dry run" }).click();
    await page.getByRole("button", { name: "Run it dry" }).click();
    await page.getByRole("region", { name: "What would happen" }).getByText("Send SMS").waitFor();
    assert.deepEqual(written, []);
    assert.deepEqual(faults, []);
    await page.context().close();
  }
  const { revision, definition } = await server.ask("GET", `/api/workflows/${workflow.id}`);
  assert.equal(revision, workflow.revision);
  assert.deepEqual(definition, workflow.definition);
  await stop(server.child);
}

/** Every way to edit is tried: none is there, or none does anything. */
async function nothingIsEdited(page) {
  const canvas = page.getByRole("group", { name: "Canvas" });
  const cards = page.locator(".react-flow__node-step");
  const properties = page.getByRole("complementary", { name: "Properties" });
  assert.deepEqual(await edits(page), []);
  assert.equal(await page.locator("[draggable=true]").count(), 0);
  for (const text of ["Send SMS", "Condition", "Script"]) {
    await canvas.getByText(text, { exact: true }).click();
    await properties.getByRole("heading", { name: text }).waitFor();
    const controls = properties.locator("input, select, textarea, [role=switch]");
    assert.ok((await controls.count()) > 0);
    for (const control of await controls.all()) assert.ok(await control.isDisabled(), `${text}: ${await control.evaluate((one) => one.outerHTML)}`);
    assert.deepEqual(await edits(page), []);
  }
  for (const name of ["Name of the workflow", "Text of the note"]) {
    assert.equal(await page.getByRole("textbox", { name }).isEditable(), false, name);
  }

  const before = await cards.count();
  await canvas.getByText("Script", { exact: true }).click();
  for (const key of ["Delete", "Backspace", "Control+c", "Control+v", "Control+z", "Control+k"]) await page.keyboard.press(key);
  assert.equal(await page.getByRole("dialog").count(), 0);
  assert.equal(await cards.count(), before);

  const node = cards.filter({ hasText: "Script" });
  const placeOf = () => node.evaluate((one) => one.style.transform);
  const [place, box] = [await placeOf(), await node.boundingBox()];
  await drag(page, [box.x + box.width / 2, box.y + box.height / 2]);
  await page.keyboard.press("ArrowRight");
  assert.equal(await placeOf(), place);
  const handle = await cards.first().locator(".react-flow__handle.source").boundingBox();
  await drag(page, [handle.x + handle.width / 2, handle.y + handle.height / 2]);
  assert.equal(await page.getByRole("dialog").count(), 0);
}

async function drag(page, [x, y]) {
  await page.mouse.move(x, y);
  await page.mouse.down();
  for (let move = 1; move <= 5; move++) await page.mouse.move(x + move * 20, y + move * 10);
  await page.mouse.up();
}

/** Names of the buttons that would change something. */
async function edits(page) {
  const names = await page.locator("main button").evaluateAll((buttons) => buttons.map((button) => button.getAttribute("aria-label") ?? button.textContent ?? ""));
  return names.filter((name) => EDITS.test(name.trim()));
}
