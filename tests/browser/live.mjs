// Signing in and the live page: first administrator, a run with its steps, an alert acknowledged by keyboard, words that are
// never markup, a server that goes away and comes back.

import assert from "node:assert/strict";
import { accessible, openTab, start, startDemo, stop } from "./harness.mjs";

const LIVE = "[data-line=live]";

export async function firstAdministrator(browser) {
  const { child, printed } = await start("serve", "127.0.0.1:0", "setup.db", (line) => line.startsWith("PATCHCORD_READY"));
  const address = /http\S+\/setup\?token=\S+/.exec(printed)?.[0];
  assert.ok(address, printed);
  const { page, faults } = await openTab(browser, new URL(address).origin, "light");
  await page.goto(address);
  await page.getByLabel("E-mail").fill("owner@example.com");
  assert.equal(new URL(page.url()).search, "", "the token does not stay in the address");
  await accessible(page, "setup-light");
  await page.getByLabel("Password").fill("long enough");
  await page.keyboard.press("Enter");
  await page.waitForSelector(LIVE);
  assert.deepEqual(faults, []);
  await page.context().close();
  await stop(child);
}

export async function liveView(browser) {
  const server = await startDemo("live.db");
  const { page, faults } = await openTab(browser, server.url, "dark");
  await page.goto(server.address);
  await page.waitForSelector(LIVE);
  assert.equal(new URL(page.url()).hash, "", "the ticket does not stay in the address");

  const lead = await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  const workflow = await server.ask("POST", "/api/workflows", {
    name: "Look and text",
    trigger: { type: "manual" },
    nodes: [
      { id: "look", type: "alert", params: { title: "Ann needs <b>you</b>" } },
      { id: "text", type: "send_sms", params: { to: "{{ lead.phone }}", body: "Hello <b>Ann</b>" } },
    ],
    edges: [{ from: "trigger", to: "look" }, { from: "look", to: "text" }],
  });
  const execute = () => server.ask("POST", `/api/workflows/${workflow.id}/execute`, { lead_id: lead.id });
  await execute();
  const run = page.locator("[data-run]", { hasText: "Look and text" });
  await run.getByText("completed", { exact: true }).waitFor();
  const acknowledge = page.getByRole("button", { name: "Acknowledge: Ann needs <b>you</b>" });
  await acknowledge.focus();
  await page.keyboard.press("Enter");
  await page.getByText("Acknowledged").waitFor();
  await accessible(page, "live-dark");

  await stop(server.child);
  await page.waitForSelector("[data-line]:not([data-line=live])");
  const again = await startDemo("live.db", new URL(server.url).host);
  await page.waitForSelector(LIVE);
  await again.ask("POST", `/api/workflows/${workflow.id}/execute`, { lead_id: lead.id });
  await page.locator("[data-run]").nth(1).waitFor();
  await page.getByRole("link", { name: "Messages" }).click();
  await page.getByText("Hello <b>Ann</b>").nth(1).waitFor();
  assert.deepEqual(faults, []);
  await page.context().close();

  const { page: other, faults: otherFaults } = await openTab(browser, server.url, "light");
  await other.goto(server.url);
  await other.getByLabel("E-mail").waitFor();
  await accessible(other, "login-light");
  await other.getByLabel("E-mail").fill(server.email);
  await other.getByLabel("Password").fill("wrong");
  await other.keyboard.press("Enter");
  await other.getByRole("alert").getByText("wrong").waitFor();
  // A refused sign-in is a failed request: the console says so, and the page did its part.
  otherFaults.length = 0;
  await other.getByLabel("Password").fill(server.password);
  await other.keyboard.press("Enter");
  await other.waitForSelector(LIVE);
  assert.deepEqual(otherFaults, []);

  // Another tab is signed in by the first, and signed out with it.
  const second = await other.context().newPage();
  await second.goto(`${server.url}/tasks`);
  await second.getByRole("heading", { name: "Tasks" }).waitFor();
  await other.getByRole("button", { name: "Sign out" }).click();
  await second.getByLabel("E-mail").waitFor();
  await other.context().close();
  await stop(again.child);
}
