// The settings: numbers and agents, who posts to a webhook, the second factor, the audit log, and what an agent is not shown.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { accessible, openTab, signedIn, until } from "./harness.mjs";

/** An agent is added and goes away, a number's calls go to a skill; somebody else's change is not overwritten; a number is removed. */
export async function numbersAndAgents(browser) {
  const { server, page, close } = await signedIn(browser, "numbers.db", "light");
  await page.goto(`${server.url}/settings?tab=numbers`);
  await page.getByText("No agents yet").waitFor();
  const dialog = page.getByRole("dialog");
  await page.getByRole("button", { name: "Add an agent" }).focus();
  await page.keyboard.press("Enter");
  await dialog.getByLabel("Name").fill("Kim Doe");
  await dialog.getByLabel("Telephone").fill("415");
  await page.keyboard.press("Enter");
  await dialog.getByRole("alert").getByText("phone").waitFor();
  await dialog.getByLabel("Telephone").fill("+14155550111");
  await dialog.getByLabel("Skills").fill("Spanish, billing");
  await accessible(page, "agent-new-light");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("switch", { name: "Kim Doe takes calls" }).click();
  await until("Kim is away", async () => (await server.ask("GET", "/api/agents")).items[0].status === "away");

  await page.getByRole("button", { name: "Add a number" }).click();
  await dialog.getByLabel("Phone number").fill("+14155550100");
  await dialog.getByLabel("Where calls go").selectOption("agents");
  await dialog.getByLabel("Skill").fill("spanish");
  await accessible(page, "number-new-light");
  await dialog.getByRole("button", { name: "Add" }).click();
  await page.getByText("to a free agent who has “spanish”").waitFor();
  await page.getByRole("button", { name: "Actions for +14155550100" }).click();
  await page.getByRole("menuitem", { name: "Edit" }).click();
  const [{ id }] = (await server.ask("GET", "/api/numbers")).items;
  await server.ask("PATCH", `/api/numbers/${id}`, { name: "Sales" });
  await dialog.getByLabel("Where calls go").selectOption("dial");
  await dialog.getByLabel("Telephone").fill("+14155550199");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("button", { name: "Show it as it is now" }).click();
  await until("the name is shown", async () => (await dialog.getByLabel("Name").inputValue()) === "Sales");
  await dialog.getByLabel("Where calls go").selectOption("dial");
  await dialog.getByLabel("Telephone").fill("+14155550199");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("to +14155550199").waitFor();
  assert.deepEqual((await server.ask("GET", `/api/numbers/${id}`)).routing, { type: "dial", to: "+14155550199" });
  await page.getByRole("button", { name: "Actions for +14155550100" }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  await page.getByText("No numbers yet").waitFor();
  await until("the number is gone", async () => (await server.ask("GET", "/api/numbers")).items.length === 0);
  await close([409, 422]);
}

/** A webhook takes what Stripe signs and refuses what it has not; a word is mapped, tried, delivered and replayed. */
export async function webhookSource(browser) {
  const { server, page, close } = await signedIn(browser, "sources.db", "dark");
  await page.goto(`${server.url}/settings?tab=webhooks`);
  await page.getByLabel("Name of the webhook").fill("shop");
  await page.getByRole("button", { name: "Make an address" }).click();
  const address = await page.getByRole("status").locator("code").first().textContent();
  await page.getByRole("button", { name: "It is for Stripe" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Who posts to this address").selectOption("stripe");
  await dialog.getByLabel("Secret").fill("whsec_test");
  await dialog.getByRole("button", { name: "Add a word" }).click();
  await dialog.getByLabel("Word 1 of the service").fill("invoice.paid");
  await dialog.getByLabel("Event for word 1").fill("lead.opted_out");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("alert").getByText("is brought about by patchcord alone").waitFor();
  await dialog.getByLabel("Event for word 1").fill("payment.received");
  await accessible(page, "webhook-source-dark");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByText("There is one; it is never shown.").waitFor();

  await dialog.getByRole("tab", { name: "Try it" }).click();
  await dialog.getByLabel("Body of the request").fill(JSON.stringify({ id: "evt_2", type: "invoice.paid", data: { object: { id: "in_1", amount_paid: 4900, currency: "usd" } } }));
  await dialog.getByRole("button", { name: "What would it be?" }).click();
  await dialog.getByText("“invoice.paid” would be “Payment: received”").waitFor();
  await accessible(page, "webhook-trial-dark");

  await dialog.getByRole("tab", { name: "Last deliveries" }).click();
  await dialog.getByText("Nothing has come yet").waitFor();
  const sent = JSON.stringify({ id: "evt_3", type: "invoice.paid", data: { object: { id: "in_2", amount_paid: 5000, currency: "usd", customer_email: "ann@example.com" } } });
  const at = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", "whsec_test").update(`${at}.${sent}`).digest("hex");
  const post = (v1) => fetch(address, { method: "POST", headers: { "Content-Type": "application/json", "Stripe-Signature": `t=${at},v1=${v1}` }, body: sent });
  assert.equal((await post(signature.replace(/^./, (first) => (first === "0" ? "1" : "0")))).status, 403);
  assert.equal((await post(signature)).status, 202);
  const seen = dialog.locator("[data-delivery]");
  const shown = async (count) => {
    await until(`${count} deliveries`, async () => {
      await dialog.getByRole("button", { name: "Look again" }).click();
      return (await seen.count()) === count;
    });
  };
  await shown(2);
  await seen.filter({ hasText: "refused" }).waitFor();
  await seen.filter({ hasText: "accepted" }).getByRole("button", { name: /^Replay/ }).click();
  await shown(3);
  await seen.getByText("replay", { exact: true }).waitFor();
  await accessible(page, "webhook-deliveries-dark");

  await dialog.getByRole("tab", { name: "Who posts" }).click();
  await dialog.getByLabel("Who posts to this address").selectOption("json");
  await dialog.getByRole("button", { name: "Save" }).click();
  await until("it takes any JSON again", async () => (await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"data": {}}' })).status === 202);
  await close([422]);
}

/** The code of a moment, as an authenticator shows it (RFC 6238). */
function codeOf(secret, at) {
  const bits = [...secret].map((char) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(char).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const step = Buffer.alloc(8);
  step.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)));
  const hash = createHmac("sha1", key).update(step).digest();
  const from = hash.at(-1) & 15;
  return String((hash.readUInt32BE(from) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** The second factor is set up from the picture's secret, asked for at the next sign-in, and switched off. */
export async function secondFactor(browser) {
  const { server, page, close } = await signedIn(browser, "factor.db", "light");
  await page.goto(`${server.url}/settings?tab=you`);
  const panel = page.getByRole("region", { name: "Second factor" });
  await panel.getByLabel("Your password").fill("not mine 123");
  await page.keyboard.press("Enter");
  await panel.getByRole("alert").getByText("is not the present password").waitFor();
  await panel.getByLabel("Your password").fill(server.password);
  await page.keyboard.press("Enter");
  await panel.getByRole("img", { name: "QR code for your authenticator" }).waitFor();
  await accessible(page, "second-factor-begun-light");
  const secret = (await panel.locator("code").textContent()).replaceAll(" ", "");
  await panel.getByRole("textbox", { name: "Code" }).fill("000000");
  await page.keyboard.press("Enter");
  await panel.getByRole("alert").getByText("is not the code of this moment").waitFor();
  await panel.getByRole("textbox", { name: "Code" }).fill(codeOf(secret, Date.now()));
  await page.keyboard.press("Enter");
  const codes = panel.getByRole("list", { name: "Recovery codes" });
  await codes.waitFor();
  await accessible(page, "second-factor-codes-light");
  const [recovery] = await codes.locator("code").allTextContents();
  await panel.getByRole("button", { name: "I have kept them" }).click();
  await panel.getByText("on", { exact: true }).waitFor();

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("E-mail").fill(server.email);
  await page.getByLabel("Password").fill(server.password);
  await page.keyboard.press("Enter");
  await page.getByLabel("Code of your authenticator").waitFor();
  await accessible(page, "sign-in-code-light");
  await page.getByLabel("Code of your authenticator").fill("123456");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("the code is wrong").waitFor();
  await page.getByLabel("Code of your authenticator").fill(recovery);
  await page.keyboard.press("Enter");
  await page.waitForSelector("[data-line=live]");
  await page.goto(`${server.url}/settings?tab=you`);
  await panel.getByLabel("Your password").fill(server.password);
  await panel.getByRole("button", { name: "Switch it off" }).click();
  await panel.getByText("off", { exact: true }).waitFor();
  assert.equal((await server.ask("GET", "/api/me")).user.second_factor, false);
  await close([401, 422]);
}

/** The log is narrowed down by what was done and by what it is about, reads in names, and its chain is checked. */
export async function auditTrail(browser) {
  const { server, page, close } = await signedIn(browser, "audit.db", "dark");
  const lead = await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  await server.ask("PATCH", `/api/leads/${lead.id}`, { stage: "qualified" });
  await server.ask("POST", "/api/agents", { name: "Kim Doe", phone: "+14155550111" });
  await page.goto(`${server.url}/settings?tab=audit`);
  const entries = page.getByRole("list", { name: "Entries" }).getByRole("listitem");
  await page.getByText("Create agent “Kim Doe”").waitFor();
  await page.getByRole("button", { name: "Check the chain" }).click();
  await page.getByText(/^All \d+ entries are as they were written\.$/).waitFor();
  await page.getByLabel("What was done").selectOption("updateLead");
  await page.getByRole("button", { name: "Filter" }).click();
  await until("one entry is left", async () => (await entries.count()) === 1);
  await entries.first().locator("summary").first().click();
  await entries.first().getByRole("row", { name: "stage new qualified" }).waitFor();
  await accessible(page, "audit-filtered-dark");
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByLabel("About").fill(lead.id);
  await page.keyboard.press("Enter");
  await until("both entries about the lead", async () => (await entries.count()) === 2);
  await page.getByLabel("By whom").selectOption({ index: 1 });
  await page.getByLabel("From").fill("2040-01-01T00:00");
  await page.keyboard.press("Enter");
  await page.getByText("No entry is like that.").waitFor();
  await close();
}

/** How long things are kept: shorter is asked about once more, longer is not. */
export async function retention(browser) {
  const { server, page, close } = await signedIn(browser, "retention.db", "light");
  const kept = async () => (await server.ask("GET", "/api/account")).retention;
  await page.goto(`${server.url}/settings?tab=data`);
  const days = page.getByLabel("Transcripts of calls, days");
  await days.fill("90");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("Transcripts of calls: what is older than 90 days").waitFor();
  await accessible(page, "retention-shorter-light");
  await page.keyboard.press("Escape");
  assert.equal((await kept()).transcripts_days, null);
  await page.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("button", { name: "Take older ones away" }).click();
  await until("it is kept", async () => (await kept()).transcripts_days === 90);
  await dialog.waitFor({ state: "detached" });
  await days.fill("");
  await page.getByRole("button", { name: "Save" }).click();
  await until("it is kept for good", async () => (await kept()).transcripts_days === null);
  await close();
}

/** Who may only work tasks and book appointments is shown nothing that the server would refuse. */
export async function agentsView(browser) {
  const { server, close } = await signedIn(browser, "agents-view.db", "light");
  const person = { email: "kim@example.com", password: "correct horse 7", name: "Kim", role: "agent" };
  await server.ask("POST", "/api/users", person);
  await server.ask("POST", "/api/agents", { name: "Kim Doe", phone: "+14155550111" });
  await server.ask("POST", "/api/quotes", { title: "Roof repair", amount: 125_000, currency: "usd" });
  const lead = await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  await server.ask("POST", "/api/workflows", { name: "Follow up", trigger: { type: "manual" }, nodes: [{ id: "task", type: "create_task", params: { title: "Call" } }], edges: [{ from: "trigger", to: "task" }] });
  const { page, faults } = await openTab(browser, server.url, "light");
  await page.goto(`${server.url}/login`);
  await page.getByLabel("E-mail").fill(person.email);
  await page.getByLabel("Password").fill(person.password);
  await page.keyboard.press("Enter");
  await page.waitForSelector("[data-line=live]");
  await page.goto(`${server.url}/settings?tab=numbers`);
  await page.getByText("Kim Doe").waitFor();
  assert.ok(await page.getByRole("switch", { name: "Kim Doe takes calls" }).isDisabled());
  for (const name of ["Add an agent", "Add a number", "Actions for Kim Doe"]) assert.equal(await page.getByRole("button", { name }).count(), 0, name);
  for (const name of ["Audit", "Webhooks", "People and keys"]) assert.equal(await page.getByRole("tab", { name }).count(), 0, name);
  await page.goto(`${server.url}/leads?tab=quotes`);
  await page.getByText("Roof repair").waitFor();
  assert.equal(await page.getByRole("button", { name: "Actions for Roof repair" }).count(), 0);
  await page.goto(`${server.url}/leads?tab=imports`);
  await page.getByText("No imports yet").waitFor();
  assert.equal(await page.getByRole("button", { name: "Import a file" }).count(), 0);
  await page.goto(`${server.url}/leads/${lead.id}`);
  await page.getByRole("heading", { name: "Ann Lee" }).waitFor();
  assert.ok(await page.getByLabel("SMS").isDisabled());
  assert.equal(await page.getByRole("button", { name: /^Actions for/ }).count(), 0);
  await page.goto(`${server.url}/workflows`);
  await page.getByRole("link", { name: "Follow up" }).waitFor();
  assert.equal(await page.getByRole("button", { name: "New workflow" }).count(), 0);
  assert.equal(await page.getByRole("button", { name: "Actions for Follow up" }).count(), 0);
  await page.getByRole("link", { name: "Follow up" }).click();
  await page.getByText("Changing it takes the role admin").waitFor();
  assert.equal(await page.getByRole("button", { name: "Publish", exact: true }).count(), 0);
  assert.deepEqual(faults, []);
  await page.context().close();
  await close();
}
