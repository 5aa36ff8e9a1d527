// Every page in both themes: nothing that accessibility rules forbid, no error, no request to elsewhere, and its size; and that nothing is
// wider than a telephone.

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { accessible, openTab, picture, signIn, startDemo, stop } from "./harness.mjs";

/** What a page may load, in bytes compressed. */
const BYTES_MAX = { builder: 250_000, other: 200_000 };

/** What a telephone shows. */
const PHONE = { width: 375, height: 812 };

/** Every page by its name: where it is, and a text that stands there once it is whole. */
async function filled(server) {
  const workflow = await server.ask("POST", "/api/workflows/templates/no_show_recovery/use");
  const lead = await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  const acting = await server.ask("POST", "/api/workflows", {
    name: "Task for Ann",
    trigger: { type: "manual" },
    nodes: [
      { id: "task", type: "create_task", params: { title: "Call Ann back", priority: "urgent", due_in: "1h" } },
      { id: "look", type: "alert", params: { title: "Ann needs you" } },
      { id: "text", type: "send_sms", params: { body: "Hello Ann" } },
    ],
    edges: [{ from: "trigger", to: "task" }, { from: "task", to: "look" }, { from: "look", to: "text" }],
  });
  const { run_id } = await server.ask("POST", `/api/workflows/${acting.id}/execute`, { lead_id: lead.id });
  await server.ask("POST", "/api/appointments", { title: "First look", starts_at: "2031-01-02T10:00:00Z", location: "Main street 1", lead_id: lead.id });
  await server.ask("POST", "/api/quotes", { title: "Roof repair", amount: 125_000, currency: "usd", status: "sent", lead_id: lead.id });
  await server.ask("POST", "/api/payments", { amount: 1250, currency: "usd", method: "card", reference: "INV-7", lead_id: lead.id });
  await server.ask("POST", "/api/agents", { name: "Kim Doe", phone: "+14155550111", skills: ["billing", "spanish"] });
  await server.ask("POST", "/api/numbers", { phone: "+14155550100", name: "Sales", routing: { type: "agents", skill: "spanish" } });
  await server.send("/api/leads/import", "text/csv", "name,phone\nBo Berg,+14155550155\nNobody,12\n");
  await server.ask("POST", "/api/simulations", { ending: "no_answer" });
  return {
    live: ["/live", "Live"],
    workflows: ["/workflows", "Task for Ann"],
    builder: [`/workflows/${workflow.id}`, "Send SMS"],
    templates: ["/templates", "No-show recovery"],
    runs: ["/runs", "Task for Ann"],
    run: [`/runs/${run_id}`, "Create task"],
    leads: ["/leads", "Ann Lee"],
    lead: [`/leads/${lead.id}`, "Timeline"],
    appointments: ["/leads?tab=appointments", "First look"],
    quotes: ["/leads?tab=quotes", "Roof repair"],
    payments: ["/leads?tab=payments", "INV-7"],
    imports: ["/leads?tab=imports", "Begun"],
    tasks: ["/tasks", "Call Ann back"],
    messages: ["/messages", "Hello Ann"],
    settings: ["/settings", "Smart call automations"],
    people: ["/settings?tab=people", "Add a person"],
    numbers: ["/settings?tab=numbers", "Kim Doe"],
    data: ["/settings?tab=data", "Transcripts of calls"],
    audit: ["/settings?tab=audit", "Create workflow"],
    you: ["/settings?tab=you", "this one"],
    webhooks: ["/settings?tab=webhooks", "No webhooks yet."],
    "going-live": ["/settings?tab=live", "steps are done"],
  };
}

async function opened(page, server, [path, text]) {
  await page.goto(server.url + path);
  await page.locator("main").getByText(text).filter({ visible: true }).first().waitFor();
  await page.waitForSelector("[data-line=live]");
}

/** On a telephone only what scrolls by itself (a table, a graph, a row of tabs) is wider than the page. */
export async function onThePhone(browser) {
  const server = await startDemo("phone.db");
  const pages = await filled(server);
  for (const scheme of ["light", "dark"]) {
    const { page, faults } = await openTab(browser, server.url, scheme);
    await page.setViewportSize(PHONE);
    await signIn(page.context(), server);
    for (const [name, place] of Object.entries(pages)) {
      await opened(page, server, place);
      await picture(page, `phone-${name}-${scheme}`);
      assert.equal(await page.evaluate(() => document.querySelector("main").scrollTop), 0, `${name} begins with what stands first on it`);
      assert.deepEqual(await page.evaluate(tooWide), [], `${name} is wider than a telephone`);
    }
    assert.deepEqual(faults, []);
    await page.context().close();
  }
  await stop(server.child);
}

/** Runs in the page: what makes it wider than its window, as far as it does not scroll by itself. */
function tooWide() {
  const main = document.querySelector("main");
  const boxes = [document.documentElement, main].filter((box) => box.scrollWidth > box.clientWidth);
  if (boxes.length === 0) return [];
  const isOut = (element) => element.getBoundingClientRect().right > innerWidth + 1;
  const scrolls = (element) => element !== main && element !== null && (getComputedStyle(element).overflowX !== "visible" || scrolls(element.parentElement));
  const out = [...document.querySelectorAll("body *")].filter((element) => isOut(element) && !scrolls(element.parentElement));
  return [`${boxes.map((box) => `${box.tagName} ${box.scrollWidth}`)}`, ...out.slice(0, 5).map((element) => element.outerHTML.slice(0, 200))];
}

export async function everyPage(browser) {
  const server = await startDemo("pages.db");
  const pages = await filled(server);
  for (const scheme of ["light", "dark"]) {
    const { page, faults } = await openTab(browser, server.url, scheme);
    await page.goto(`${server.url}/login`);
    await page.getByLabel("E-mail").fill(server.email);
    await page.getByLabel("Password").fill(server.password);
    await page.keyboard.press("Enter");
    await page.waitForSelector("[data-line=live]");
    for (const [name, place] of Object.entries(pages)) {
      const loaded = scheme === "light" ? measured(page) : null;
      await opened(page, server, place);
      await accessible(page, `${name}-${scheme}`);
      if (loaded) {
        const bytes = await loaded();
        console.log(`browser: ${name} loads ${(bytes / 1000).toFixed(0)} kB compressed`);
        assert.ok(bytes <= (BYTES_MAX[name] ?? BYTES_MAX.other), `${name} loads ${bytes} bytes`);
      }
    }
    assert.deepEqual(faults, []);
    await page.context().close();
  }
  await stop(server.child);
}

/** Sums up the scripts and styles that a page loads, as they would be compressed. */
function measured(page) {
  const bodies = [];
  const take = (response) => {
    if (/\.(js|css)$/.test(new URL(response.url()).pathname)) bodies.push(response.body().then((body) => gzipSync(body).length));
  };
  page.on("response", take);
  return async () => {
    page.off("response", take);
    return (await Promise.all(bodies)).reduce((sum, size) => sum + size, 0);
  };
}
