// What every page shows when there is nothing, when the server refuses, fails or is away, and when it is slow.

import assert from "node:assert/strict";
import { openTab, signIn, start, startDemo, stop, until } from "./harness.mjs";

/** An account in which nothing has happened: each page says so, and what to do. */
export async function emptyPages(browser) {
  const { child, printed } = await start("serve", "127.0.0.1:0", "empty.db", (line) => line.startsWith("PATCHCORD_READY"));
  const address = /http\S+\/setup\?token=\S+/.exec(printed)?.[0];
  const { page, faults } = await openTab(browser, new URL(address).origin, "light");
  await page.goto(address);
  await page.getByLabel("E-mail").fill("owner@example.com");
  await page.getByLabel("Password").fill("long enough");
  await page.keyboard.press("Enter");
  await page.waitForSelector("[data-line=live]");
  const said = {
    Live: "Nobody is calling",
    Workflows: "No workflow yet",
    Runs: "No runs here",
    Leads: "Nobody here yet",
    Tasks: "Nothing to do",
    Messages: "No messages yet",
  };
  for (const [name, text] of Object.entries(said)) {
    await page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
    await page.getByText(text).waitFor();
  }
  const behind = { "/settings?tab=webhooks": "No webhooks yet.", "/leads?tab=appointments": "No appointments yet", "/leads?tab=quotes": "No quotes yet", "/leads?tab=payments": "No payments yet", "/leads?tab=imports": "No imports yet" };
  behind["/settings?tab=numbers"] = "No numbers yet";
  for (const [path, text] of Object.entries(behind)) {
    await page.goto(new URL(address).origin + path);
    await page.getByText(text).waitFor();
  }
  assert.deepEqual(faults, []);
  await page.context().close();
  await stop(child);
}

/** Pages by what they ask first, and a text that stands there once it is answered. */
async function pagesOf(server) {
  const lead = await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  const workflow = await server.ask("POST", "/api/workflows", {
    name: "Task for Ann",
    trigger: { type: "manual" },
    nodes: [
      { id: "task", type: "create_task", params: { title: "Call Ann back" } },
      { id: "text", type: "send_sms", params: { body: "Hello Ann" } },
    ],
    edges: [{ from: "trigger", to: "task" }, { from: "task", to: "text" }],
  });
  const { run_id } = await server.ask("POST", `/api/workflows/${workflow.id}/execute`, { lead_id: lead.id });
  await server.ask("POST", "/api/appointments", { title: "First look", starts_at: "2031-01-02T10:00:00Z", lead_id: lead.id });
  await server.ask("POST", "/api/quotes", { title: "Roof repair", amount: 125_000, currency: "usd", lead_id: lead.id });
  await server.ask("POST", "/api/payments", { amount: 1250, currency: "usd", reference: "INV-7", lead_id: lead.id });
  await server.ask("POST", "/api/agents", { name: "Kim Doe", phone: "+14155550111" });
  await server.ask("POST", "/api/numbers", { phone: "+14155550100", routing: { type: "record" } });
  await server.send("/api/leads/import", "text/csv", "name,phone\nBo Berg,+14155550155\n");
  return [
    ["/live", "/api/calls?*", "Nobody is calling"],
    ["/workflows", "/api/workflows?*", "Task for Ann"],
    [`/workflows/${workflow.id}`, `/api/workflows/${workflow.id}`, "Create task"],
    ["/templates", "/api/workflows/templates", "No-show recovery"],
    ["/runs", "/api/runs?*", "Task for Ann"],
    [`/runs/${run_id}`, `/api/runs/${run_id}`, "Create task"],
    ["/leads", "/api/leads?*", "Ann Lee"],
    [`/leads/${lead.id}`, `/api/leads/${lead.id}`, "Consent"],
    ["/leads?tab=appointments", "/api/appointments?*", "First look"],
    ["/leads?tab=quotes", "/api/quotes?*", "Roof repair"],
    ["/leads?tab=payments", "/api/payments?*", "INV-7"],
    ["/leads?tab=imports", "/api/leads/imports?*", "Begun"],
    ["/tasks", "/api/tasks*", "Call Ann back"],
    ["/messages", "/api/messages?*", "Hello Ann"],
    ["/settings", "/api/automations", "Missed call"],
    ["/settings?tab=people", "/api/users", "Add a person"],
    ["/settings?tab=numbers", "/api/numbers?*", "+14155550100"],
    ["/settings?tab=numbers", "/api/agents?*", "Kim Doe"],
    ["/settings?tab=data", "/api/account", "Transcripts of calls"],
    ["/settings?tab=audit", "/api/audit?*", "Create workflow"],
    ["/settings?tab=you", "/api/sessions*", "this one"],
    ["/settings?tab=webhooks", "/api/webhooks", "No webhooks yet."],
    ["/settings?tab=live", "/api/setup/checks", "steps are done"],
  ];
}

/** Each page says that it loads for as long as it waits, then what is wrong in the server's words, and gets over it at a click. */
export async function failingPages(browser) {
  const server = await startDemo("states.db");
  const pages = await pagesOf(server);
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  await signIn(context, server);
  const page = await context.newPage();
  const problem = { status: 409, contentType: "application/problem+json", body: JSON.stringify({ type: "about:blank", title: "No", status: 409, code: "no", detail: "Refused for the test" }) };
  for (const [path, api, text] of pages) {
    const pattern = server.url + api;
    const shown = page.locator("main").getByText(text).filter({ visible: true }).first();
    let refuse;
    const isSeen = new Promise((resolve) => {
      refuse = resolve;
    });
    await page.route(pattern, async (route) => {
      await isSeen;
      await route.fulfill(problem);
    });
    await page.goto(server.url + path);
    if (path !== "/live") await page.getByRole("status").getByText("Loading").first().waitFor({ state: "attached" });
    refuse();
    const alert = page.getByRole("alert").filter({ hasText: "Refused for the test" });
    await alert.first().waitFor();
    await page.unroute(pattern);
    await alert.first().getByRole("button", { name: "Try again" }).click();
    await shown.waitFor();
    await until(`${path} says no more what was wrong`, async () => (await alert.count()) === 0);
  }

  // A server that fails or is away is asked again by itself before anybody is told.
  for (const [fault, said] of [["500", "answered 500"], ["away", "cannot be reached"]]) {
    await page.route(`${server.url}/api/tasks*`, (route) => (fault === "away" ? route.abort() : route.fulfill({ status: 500, body: "" })));
    await page.goto(`${server.url}/tasks`);
    await page.getByRole("alert").getByText(said).waitFor();
    await page.unroute(`${server.url}/api/tasks*`);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("Call Ann back").waitFor();
  }
  await context.close();
  await stop(server.child);
}
