// What opens over the pages and what is done there: notes, previews, the picker, menus, waiting runs when publishing, a run taken up
// again from a step, one that waits for a person's word, webhooks, what is deleted. Each part is looked at for accessibility too.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { accessible, openTab, signedIn, signIn, start, startDemo, stop, until } from "./harness.mjs";

const SAVED = "[data-save=saved]";

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

/** The dialogs of the builder in both themes: what publishing would change, earlier versions, the dry run with its messages. */
export async function builderDialogs(browser) {
  const server = await startDemo("dialogs.db");
  await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  const text = (body) => ({ id: "text", type: "send_sms", params: { body } });
  const steps = (...nodes) => ({ trigger: { type: "manual" }, nodes, edges: nodes.map((node, at) => ({ from: at === 0 ? "trigger" : nodes[at - 1].id, to: node.id })) });
  const task = { id: "task", type: "create_task", params: { title: "Call {{lead.name}}" } };
  const pause = { id: "pause", type: "delay", params: { for: "2d" } };
  const { id } = await server.ask("POST", "/api/workflows", { name: "Follow up", enabled: true, ...steps(text("Hello {{lead.name}}"), task) });
  await server.ask("PATCH", `/api/workflows/${id}`, steps(text("Hello"), pause, task));
  await server.ask("POST", `/api/workflows/${id}/publish`);
  await server.ask("PATCH", `/api/workflows/${id}`, steps(text("Hi {{lead.name}}, how was it?"), pause));
  for (const scheme of ["light", "dark"]) {
    const { page, faults } = await openTab(browser, server.url, scheme);
    await signIn(page.context(), server);
    await page.goto(`${server.url}/workflows/${id}`);
    await page.waitForSelector(SAVED);
    const dialog = page.getByRole("dialog");
    await page.getByRole("button", { name: "Versions" }).click();
    await dialog.getByText(/^v2/).waitFor();
    await accessible(page, `versions-${scheme}`);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Publish", exact: true }).click();
    await dialog.getByText("Removed: Create task (task)").waitFor();
    await accessible(page, `publish-changes-${scheme}`);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Dry run" }).click();
    await page.getByLabel("With").selectOption({ label: "Ann Lee" });
    await page.getByRole("button", { name: "Run it dry" }).click();
    await page.getByRole("region", { name: "What would happen" }).getByText("Hi Ann Lee, how was it?").waitFor();
    await accessible(page, `dry-run-${scheme}`);
    assert.deepEqual(faults, []);
    await page.context().close();
  }
  await stop(server.child);
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
  await page.getByText("is not in the new version").waitFor();
  await page.getByLabel("1 run on v1 at pause").selectOption("move");
  assert.ok(await page.getByRole("button", { name: "Publish now" }).isDisabled(), "nobody said where it goes on");
  await page.getByLabel("From “pause” they go on at").selectOption("text");
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

/** Nobody can say whether a webhook arrived: an alert leads to the run, and a person's word lets it go on. */
export async function stuckRun(browser) {
  let heard = 0;
  const deaf = createServer((request) => {
    heard++;
    request.on("data", () => undefined).on("end", () => request.socket.destroy());
  });
  await new Promise((resolve) => deaf.listen(0, "127.0.0.1", resolve));
  // The demo server sends nothing.
  const settings = { PATCHCORD_SECURITY__ALLOW_PRIVATE_TARGETS: "127.0.0.1" };
  const { child, printed } = await start("serve", "127.0.0.1:0", "stuck.db", (line) => line.startsWith("PATCHCORD_READY"), settings);
  const address = /http\S+\/setup\?token=\S+/.exec(printed)?.[0];
  const { page, faults } = await openTab(browser, new URL(address).origin, "dark");
  await page.goto(address);
  await page.getByLabel("E-mail").fill("owner@example.com");
  await page.getByLabel("Password").fill("long enough");
  await page.keyboard.press("Enter");
  await page.waitForSelector("[data-line=live]");
  const post = (path, body) =>
    page.evaluate(
      async ([to, data]) => {
        const { access } = JSON.parse(sessionStorage.getItem("patchcord.session"));
        const response = await fetch(to, { method: "POST", headers: { Authorization: `Bearer ${access}`, "Content-Type": "application/json" }, body: JSON.stringify(data) });
        return response.json();
      },
      [path, body],
    );
  const workflow = await post("/api/workflows", {
    name: "Tell the shop",
    enabled: true,
    trigger: { type: "manual" },
    nodes: [{ id: "tell", type: "webhook", params: { url: `http://127.0.0.1:${deaf.address().port}/told` }, retry: { max_attempts: 1, initial_interval: "1s" } }],
    edges: [{ from: "trigger", to: "tell" }],
  });
  await post(`/api/workflows/${workflow.id}/execute`, {});
  await page.getByRole("link", { name: /^Live/ }).click();
  const alert = page.locator("[data-alert]").filter({ hasText: "tell" });
  const decide = alert.getByRole("link", { name: /^Decide/ });
  await decide.waitFor();
  await page.locator("[data-run]").filter({ hasText: "Tell the shop" }).getByText("needs a decision").waitFor();
  await accessible(page, "live-stuck-dark");
  await decide.focus();
  await page.keyboard.press("Enter");
  const asked = page.getByRole("region", { name: "Your word is needed" });
  await asked.waitFor();
  await accessible(page, "run-stuck-dark");
  await asked.getByRole("button", { name: /go on/ }).click();
  await asked.waitFor({ state: "detached" });
  await page.locator("dd").getByText("completed").waitFor();
  assert.ok(heard > 0, "the address was asked before anybody was");
  assert.deepEqual(faults, []);
  await page.context().close();
  await stop(child);
  deaf.close();
}

/** A workflow that was deleted is gone although the tab is closed while it could still be taken back. */
export async function deletedAtTheEnd(browser) {
  const { server, page, close } = await signedIn(browser, "deleted.db", "light");
  const steps = { trigger: { type: "manual" }, nodes: [{ id: "task", type: "create_task", params: { title: "Call" } }], edges: [{ from: "trigger", to: "task" }] };
  const names = async () => (await server.ask("GET", "/api/workflows?limit=200")).items.map((one) => one.name);
  for (const name of ["Stays", "Goes"]) await server.ask("POST", "/api/workflows", { ...steps, name });
  await page.goto(`${server.url}/workflows`);
  const remove = async (name) => {
    await page.getByRole("button", { name: `Actions for ${name}` }).click();
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await page.getByRole("link", { name }).waitFor({ state: "detached" });
  };
  await remove("Stays");
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("link", { name: "Stays" }).waitFor();
  await remove("Goes");
  // The list is left before: what was begun on it goes on.
  await page.getByRole("link", { name: "Runs" }).click();
  await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  await page.close({ runBeforeUnload: true });
  await until("the workflow is gone", async () => !(await names()).includes("Goes"));
  assert.ok((await names()).includes("Stays"), "what was taken back stays");
  await close();
}

/** A quote is made on its lead's page and sent, all by keyboard; it stands in the list of that status, and in the timeline. */
export async function quoteForLead(browser) {
  const { server, page, close } = await signedIn(browser, "quote.db", "dark");
  const lead = await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  await page.goto(`${server.url}/leads/${lead.id}`);
  await page.getByRole("tab", { name: "Timeline" }).focus();
  await page.keyboard.press("ArrowRight");
  await page.getByText("No appointments yet").waitFor();
  await page.keyboard.press("ArrowRight");
  await page.getByText("No quotes yet").waitFor();
  await page.getByRole("button", { name: "New quote" }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("What is offered").fill("Roof repair");
  await dialog.getByLabel("Amount").fill("1250.5x");
  await page.keyboard.press("Enter");
  await dialog.getByRole("alert").getByText("like 12.50").waitFor();
  await dialog.getByLabel("Amount").fill("1250.5");
  await accessible(page, "quote-new-dark");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  await page.getByText("$1,250.50").waitFor();
  await page.getByLabel("Status of Roof repair").selectOption("sent");
  await until("the quote is sent", async () => (await server.ask("GET", `/api/quotes?lead_id=${lead.id}`)).items[0]?.status === "sent");
  await accessible(page, "lead-quotes-dark");
  await page.getByRole("tab", { name: "Timeline" }).click();
  await page.getByText("Quote: sent").waitFor();
  await page.goto(`${server.url}/leads?tab=quotes`);
  await page.getByText("Roof repair").waitFor();
  await page.getByLabel("Status", { exact: true }).selectOption("paid");
  await page.getByText("None has this status.").waitFor();
  await page.getByLabel("Status", { exact: true }).selectOption("sent");
  await page.getByRole("link", { name: "Ann Lee" }).waitFor();
  await close();
}

/** Somebody is given another role, is signed out where they are signed in, and removed. */
export async function staffChanges(browser) {
  const { server, page, close } = await signedIn(browser, "staff.db", "light");
  const person = { email: "kim@example.com", password: "correct horse 7", name: "Kim", role: "agent" };
  await server.ask("POST", "/api/users", person);
  const signedInAgain = await fetch(`${server.url}/api/auth/login`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ email: person.email, password: person.password }) });
  assert.ok(signedInAgain.ok);
  const found = async () => (await server.ask("GET", "/api/users")).items.find((one) => one.email === person.email);
  await page.goto(`${server.url}/settings?tab=people`);
  await page.getByLabel("Role of Kim").selectOption("supervisor");
  await until("Kim has the role", async () => (await found()).role === "supervisor");
  await page.getByRole("button", { name: "Sessions of Kim" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: /^End the session/ }).waitFor();
  await accessible(page, "sessions-light");
  await dialog.getByRole("button", { name: /^End the session/ }).click();
  await dialog.getByText("Signed in nowhere.").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Remove Kim" }).click();
  await accessible(page, "removal-light");
  await dialog.getByRole("button", { name: "Remove", exact: true }).click();
  await until("Kim is gone", async () => (await found()) === undefined);
  await page.getByLabel("Role of Kim").waitFor({ state: "detached" });
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
