// From a template to an SMS in the outbox, by mouse: use it, edit it, run it dry, publish it, simulate a call, see the run.
// Once more by keyboard alone, and the builder's own keys.

import assert from "node:assert/strict";
import { openTab, startDemo, stop, tabTo } from "./harness.mjs";

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

/** The same walk without a mouse: every control is come to by Tab. */
export async function walkByKeyboard(browser) {
  const server = await startDemo("walk-keys.db");
  const { page, faults } = await openTab(browser, server.url, "dark");
  const press = async (role, name, exact = false) => {
    await tabTo(page, page.getByRole(role, { name, exact }));
    await page.keyboard.press("Enter");
  };
  const toStep = (title) => tabTo(page, page.locator(`.react-flow__node[aria-label^="${title}"]`));
  await page.goto(server.address);
  await page.waitForSelector("[data-line=live]");
  await press("link", "Templates");
  await press("button", "Use template No-show recovery");
  await page.waitForSelector(SAVED);

  await toStep("Delay");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Delete");
  await toStep("Send SMS");
  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("textbox", { name: "Text" }));
  await page.keyboard.press("Control+a");
  await page.keyboard.type(TEXT);
  await page.waitForSelector("[data-save=waiting], [data-save=saving]");
  await page.waitForSelector(SAVED);

  await press("button", "Dry run");
  await press("button", "Run it dry");
  await page.getByRole("region", { name: "What would happen" }).getByText(TEXT).waitFor();

  await press("button", "Publish", true);
  await press("button", "Publish now");
  await page.getByText("is published and on").waitFor();

  await press("button", "Simulate a call");
  await tabToItem(page, "Nobody answers");
  await page.keyboard.press("Enter");
  await press("link", "Runs");
  await press("link", "No-show recovery");
  // The run plays in the graph while it goes on.
  await page.locator("[data-step=trigger]").getByText("done").waitFor();
  await page.getByRole("list", { name: "Steps" }).getByText("done").first().waitFor();
  await press("link", "Messages");
  await page.getByText(TEXT).first().waitFor();
  await page.getByText("would have been sent").first().waitFor();
  assert.deepEqual(faults, []);
  await page.context().close();
  await stop(server.child);
}

/** Goes down an open menu by its arrow key. */
async function tabToItem(page, name) {
  const item = page.getByRole("menuitem", { name });
  await item.waitFor();
  for (let presses = 0; presses < 10; presses++) {
    if (await item.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("ArrowDown");
  }
  assert.fail(`the arrow keys do not come to ${name}`);
}
