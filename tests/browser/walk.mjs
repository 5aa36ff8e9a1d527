// From a template to an SMS in the outbox, by mouse: use it, edit it, run it dry, publish it, simulate a call, see the run.
// Then the same builder by keyboard alone, and edits that survive a lost tab and meet those of another.

import assert from "node:assert/strict";
import { openTab, startDemo, stop } from "./harness.mjs";

const SAVED = "[data-save=saved]";
const TEXT = "So sorry we missed you, walk test";

export async function fromTemplateToMessage(browser) {
  const server = await startDemo("walk.db");
  const { page, faults } = await openTab(browser, server.url, "light");
  await page.goto(server.address);
  await page.getByRole("link", { name: "Templates" }).click();
  await page.getByRole("button", { name: "Use template No-show recovery" }).click();
  await page.waitForSelector(SAVED);

  // Edit: the words of the message, and the wait before it goes.
  const canvas = page.getByRole("group", { name: "Canvas" });
  await canvas.getByText("Delay").first().click();
  await page.getByRole("button", { name: "Delete this step" }).click();
  await canvas.getByText("Send SMS").first().click();
  await page.getByRole("textbox", { name: "Text" }).fill(TEXT);
  await page.waitForSelector(SAVED);

  await page.getByRole("button", { name: "Dry run" }).click();
  await page.getByRole("button", { name: "Run it dry" }).click();
  await page.getByRole("region", { name: "What would happen" }).getByText(TEXT).waitFor();
  await page.locator(".flow-edge-walked").first().waitFor({ state: "attached" });

  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByRole("button", { name: "Publish now" }).click();
  await page.getByText("is published and on").waitFor();

  await page.getByRole("button", { name: "Simulate a call" }).click();
  await page.getByRole("menuitem", { name: "Nobody answers" }).click();
  await page.getByRole("link", { name: "Runs" }).click();
  await page.getByRole("link", { name: "No-show recovery" }).first().click();
  await page.getByRole("list", { name: "Steps" }).getByText("done").first().waitFor();
  await page.getByRole("link", { name: "Messages" }).click();
  await page.getByText(TEXT).first().waitFor();
  await page.getByText("would have been sent").first().waitFor();
  assert.deepEqual(faults, []);
  await page.context().close();
  await stop(server.child);
}

export async function builderByKeyboard(browser) {
  const server = await startDemo("keys.db");
  const { page, faults } = await openTab(browser, server.url, "dark");
  await page.goto(server.address);
  await page.getByRole("link", { name: "Workflows", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "New workflow" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector(SAVED);
  const id = new URL(page.url()).pathname.split("/").at(-1);
  const kept = async () => (await server.ask("GET", `/api/workflows/${id}`)).definition;

  await page.keyboard.press("Control+k");
  await page.keyboard.type("send sms");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Outline" }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Add a step after Send SMS" }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.type("create task");
  await page.keyboard.press("Enter");
  await page.waitForSelector("[data-save=waiting], [data-save=saving]");
  await page.waitForSelector(SAVED);
  assert.deepEqual((await kept()).edges.map((edge) => `${edge.from}>${edge.to}`), ["trigger>send_sms", "send_sms>create_task"]);

  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Undo" }).focus();
  await page.keyboard.press("Control+z");
  await page.waitForSelector("[data-save=waiting], [data-save=saving]");
  await page.waitForSelector(SAVED);
  assert.deepEqual((await kept()).nodes.map((node) => node.id), ["send_sms"]);
  assert.deepEqual(faults, []);
  await page.context().close();
  await stop(server.child);
}

/** Another edit comes first: nothing is overwritten and nothing lost. A tab that dies has kept its edit. */
export async function editsSurvive(browser) {
  const server = await startDemo("edits.db");
  const made = await server.ask("POST", "/api/workflows", {
    name: "Shared",
    enabled: false,
    trigger: { type: "manual" },
    nodes: [{ id: "task", type: "create_task", params: { title: "Call back" } }],
    edges: [{ from: "trigger", to: "task" }],
  });
  const { page } = await openTab(browser, server.url, "light");
  await page.goto(server.address);
  await page.waitForSelector("[data-line=live]");
  await page.goto(`${server.url}/workflows/${made.id}`);
  const name = page.getByLabel("Name of the workflow");
  await name.waitFor();

  await server.ask("PATCH", `/api/workflows/${made.id}`, { name: "Theirs" });
  await name.fill("Mine");
  await page.waitForSelector("[data-save=conflict]");
  assert.equal((await server.ask("GET", `/api/workflows/${made.id}`)).name, "Theirs", "nothing is overwritten silently");
  // The tab is gone before anybody decided: the edit is still there.
  await page.reload();
  await page.waitForSelector("[data-save=conflict]");
  assert.equal(await name.inputValue(), "Mine");
  await page.getByRole("button", { name: "Save mine over theirs" }).click();
  await page.waitForSelector(SAVED);
  assert.equal((await server.ask("GET", `/api/workflows/${made.id}`)).name, "Mine");

  await name.fill("Typed just before the tab died");
  await page.reload();
  await page.waitForSelector(SAVED);
  assert.equal((await server.ask("GET", `/api/workflows/${made.id}`)).name, "Typed just before the tab died");
  await page.context().close();
  await stop(server.child);
}
