// Drives the live view in a real browser: first administrator, sign-in, a run with its message, an alert acknowledged by
// keyboard, a server that goes away and comes back. Fails on any console error, outside request or accessibility violation.
//
//   scripts/browser-test starts it with what it needs.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

const PROGRAM = process.env.PATCHCORD_PROGRAM ?? "../../target/debug/patchcord";
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const SHOTS = process.env.SHOTS;
const WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

const data = mkdtempSync(join(tmpdir(), "patchcord-browser-"));
const running = new Set();

// Starts a server and resolves with everything it printed until `isReady` held for a line.
function start(command, bind, store, isReady) {
  const child = spawn(PROGRAM, [command], {
    env: { ...process.env, PATCHCORD_READY_LINE: "1", PATCHCORD_SERVER__BIND: bind, PATCHCORD_STORE__URL: `sqlite:${join(data, store)}` },
    stdio: ["ignore", "pipe", "ignore"],
  });
  running.add(child);
  return new Promise((resolve, reject) => {
    let printed = "";
    child.on("exit", (code) => reject(new Error(`the server ended with ${code}: ${printed}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      printed += `${line}\n`;
      if (isReady(line)) resolve({ child, printed });
    });
  });
}

async function stop(child) {
  running.delete(child);
  child.removeAllListeners("exit");
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

async function page(browser, origin, scheme) {
  const context = await browser.newContext({ colorScheme: scheme });
  const made = await context.newPage();
  const faults = [];
  made.on("pageerror", (error) => faults.push(error.message));
  made.on("request", (request) => {
    if (!request.url().startsWith(origin) && !request.url().startsWith("data:")) faults.push(`outside: ${request.url()}`);
  });
  made.on("console", (message) => {
    const isLostLine = /ERR_CONNECTION|WebSocket/.test(message.text());
    if (message.type() === "error" && !isLostLine) faults.push(message.text());
  });
  return { page: made, faults };
}

async function accessible(page, name) {
  // What is still fading in has less contrast than it will have.
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished)));
  const found = await new AxeBuilder({ page }).withTags(WCAG).analyze();
  assert.deepEqual(found.violations.map((one) => `${one.id}: ${one.nodes[0].html}`), [], name);
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
}

async function firstAdministrator(browser) {
  const { child, printed } = await start("serve", "127.0.0.1:0", "setup.db", (line) => line.startsWith("PATCHCORD_READY"));
  const address = /http\S+\/setup\?token=\S+/.exec(printed)?.[0];
  assert.ok(address, printed);
  const { page: tab, faults } = await page(browser, new URL(address).origin, "light");
  await tab.goto(address);
  assert.equal(new URL(tab.url()).search, "", "the token does not stay in the address");
  await accessible(tab, "setup");
  await tab.fill("#email", "owner@example.com");
  await tab.fill("#password", "long enough");
  await tab.keyboard.press("Enter");
  await tab.waitForSelector("#connection.live");
  assert.deepEqual(faults, []);
  await stop(child);
}

async function liveView(browser) {
  const { child, printed } = await start("dev", "127.0.0.1:0", "live.db", (line) => line.includes("#ticket="));
  const ready = JSON.parse(/^PATCHCORD_READY (.*)$/m.exec(printed)[1]);
  const address = /http\S+#ticket=\S+/.exec(printed)[0];
  const { page: tab, faults } = await page(browser, ready.url, "dark");
  await tab.goto(address);
  await tab.waitForSelector("#connection.live");
  assert.equal(new URL(tab.url()).hash, "", "the ticket does not stay in the address");
  const send = (path, body) => fetch(ready.url + path, {
    method: "POST",
    headers: { Authorization: `Bearer ${ready.access_token}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  }).then((response) => response.json());

  const lead = await send("/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  const workflow = await send("/api/workflows", {
    name: "Look and text",
    trigger: { type: "manual" },
    nodes: [
      { id: "look", type: "alert", params: { title: "Ann needs you" } },
      { id: "text", type: "send_sms", params: { to: "{{ lead.phone }}", body: "Hello <b>Ann</b>" } },
    ],
    edges: [{ from: "trigger", to: "look" }, { from: "look", to: "text" }],
  });
  await send(`/api/workflows/${workflow.id}/execute`, { lead_id: lead.id });
  await tab.waitForSelector("#runs .badge.completed");
  assert.match(await tab.textContent("#runs"), /Look and text.*look.*text/s);
  await tab.waitForSelector("#messages li");
  assert.match(await tab.textContent("#messages"), /Hello <b>Ann<\/b>/, "a message is text, never markup");
  const acknowledge = tab.getByRole("button", { name: "Acknowledge: Ann needs you" });
  await acknowledge.focus();
  await tab.keyboard.press("Enter");
  await tab.waitForSelector("#alerts .acked");
  await accessible(tab, "live-dark");

  await stop(child);
  await tab.waitForSelector("#connection:not(.live)");
  const again = await start("dev", new URL(ready.url).host, "live.db", (line) => line.includes("#ticket="));
  await tab.waitForSelector("#connection.live");
  await send(`/api/workflows/${workflow.id}/execute`, { lead_id: lead.id });
  await tab.waitForSelector("#messages li:nth-child(2)");
  assert.deepEqual(faults, []);

  const { page: other, faults: otherFaults } = await page(browser, ready.url, "light");
  await other.goto(ready.url);
  await accessible(other, "door");
  await other.fill("#email", ready.email);
  await other.fill("#password", ready.password);
  await other.keyboard.press("Enter");
  await other.waitForSelector("#messages li:nth-child(2)");
  await accessible(other, "live-light");
  assert.deepEqual(otherFaults, []);
  await stop(again.child);
}

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage"],
});
try {
  await firstAdministrator(browser);
  await liveView(browser);
  console.log("the live view works in the browser");
} finally {
  await browser.close();
  for (const child of running) child.kill("SIGKILL");
  rmSync(data, { recursive: true, force: true });
}
