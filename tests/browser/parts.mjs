// What opens over the pages and what is done there: notes, previews, the picker, menus, waiting runs when publishing, a run taken up
// again from a step, webhooks, a call that is spoken. Each part is looked at for accessibility too.

import assert from "node:assert/strict";
import { accessible, openTab, startDemo, stop } from "./harness.mjs";

const SAVED = "[data-save=saved]";

async function signedIn(browser, store, scheme) {
  const server = await startDemo(store);
  const { page, faults } = await openTab(browser, server.url, scheme);
  await page.goto(server.address);
  await page.waitForSelector("[data-line=live]");
  const close = async () => {
    assert.deepEqual(faults, []);
    await page.context().close();
    await stop(server.child);
  };
  return { server, page, close };
}

/** A note is written, a field shows how it reads, the picker finds a step, and the server has it all. */
export async function builderParts(browser) {
  const { server, page, close } = await signedIn(browser, "parts.db", "light");
  await page.goto(`${server.url}/templates`);
  await page.getByRole("button", { name: "Preview Lead nurture" }).click();
  await page.getByRole("dialog").getByRole("group").getByText("Starts when").waitFor();
  await accessible(page, "template-preview-light");
  await page.getByRole("dialog").getByRole("button", { name: "Use template" }).click();
  await page.waitForSelector(SAVED);
  const id = new URL(page.url()).pathname.split("/").at(-1);

  await page.getByRole("button", { name: "Add a note" }).click();
  await page.getByRole("textbox", { name: "Text of the note" }).fill("Ask Kim before this is changed");
  await page.getByRole("group", { name: "Canvas" }).getByText("Send SMS").first().click();
  await page.locator("[data-preview]").first().waitFor();
  await page.getByRole("button", { name: "Data for Text" }).click();
  await page.getByRole("menuitem").first().waitFor();
  await accessible(page, "builder-menu-light");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.getByRole("option", { name: "Send SMS" }).waitFor();
  await accessible(page, "builder-picker-light");
  await page.keyboard.press("Escape");
  await page.waitForSelector(SAVED);
  const { definition } = await server.ask("GET", `/api/workflows/${id}`);
  assert.deepEqual(definition.notes.map((note) => note.text), ["Ask Kim before this is changed"]);
  await close();
}

/** A run waits at a step that the next version does not have: a person says where it goes on. */
export async function waitingRuns(browser) {
  const { server, page, close } = await signedIn(browser, "waiting.db", "dark");
  const lead = await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  const workflow = await server.ask("POST", "/api/workflows", {
    name: "Later",
    trigger: { type: "manual" },
    nodes: [
      { id: "pause", type: "delay", params: { for: "1d" } },
      { id: "text", type: "send_sms", params: { body: "Hello Ann" } },
    ],
    edges: [{ from: "trigger", to: "pause" }, { from: "pause", to: "text" }],
  });
  const { run_id } = await server.ask("POST", `/api/workflows/${workflow.id}/execute`, { lead_id: lead.id });
  await page.goto(`${server.url}/runs/${run_id}`);
  await page.locator("[data-step=pause]").getByText("waiting").waitFor();

  await page.getByRole("link", { name: "Open in the builder" }).click();
  await page.getByRole("group", { name: "Canvas" }).getByText("Delay").click();
  await page.getByRole("button", { name: "Delete this step" }).click();
  await page.waitForSelector("[data-save=waiting], [data-save=saving]");
  await page.waitForSelector(SAVED);
  await page.getByRole("button", { name: "Publish", exact: true }).click();
  await page.getByLabel("1 run on v1 at pause").selectOption("move");
  assert.ok(await page.getByRole("button", { name: "Publish now" }).isDisabled(), "nobody said where it goes on");
  await page.getByLabel("“pause” is gone: go on at").selectOption("text");
  await accessible(page, "publish-dark");
  await page.getByRole("button", { name: "Publish now" }).click();
  await page.getByText("1 run moved").waitFor();
  assert.deepEqual((await server.ask("GET", `/api/runs/${run_id}`)).version_moves.map(({ from, to }) => [from, to]), [[1, 2]]);

  // It went on where it was told, and is taken up again from one step.
  await page.goto(`${server.url}/runs/${run_id}`);
  await page.locator("[data-step=text]").click();
  await page.getByRole("button", { name: "Run again from here" }).click();
  await accessible(page, "run-menu-dark");
  await page.getByRole("menuitem", { name: "On the same version" }).click();
  await page.getByText("Takes up again").waitFor();
  assert.notEqual(new URL(page.url()).pathname, `/runs/${run_id}`);
  await close();
}

/** An address is made, shown once, and takes events. */
export async function webhookAddress(browser) {
  const { server, page, close } = await signedIn(browser, "hooks.db", "light");
  await page.goto(`${server.url}/settings?tab=webhooks`);
  await page.getByLabel("Name of the webhook").fill("orders");
  await page.getByRole("button", { name: "Make an address" }).click();
  const address = page.getByRole("status").locator("code").first();
  await address.waitFor();
  const posted = await fetch(await address.textContent(), { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ data: { phone: "+14155550100" } }) });
  assert.equal(posted.status, 202);
  await accessible(page, "webhook-made-light");
  const before = await address.textContent();
  await page.getByRole("button", { name: "Replace the address of orders" }).click();
  await page.waitForFunction((old) => document.querySelector("[role=status] code")?.textContent !== old, before);
  await page.getByRole("button", { name: "Show the secret" }).click();
  await page.getByText(/^whsec_/).waitFor();
  await close();
}
