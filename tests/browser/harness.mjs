// What the browser tests share: a server of their own, a tab that reports every fault, accessibility checks, screenshots.

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
const SIZE = { width: 1440, height: 900 };

const data = mkdtempSync(join(tmpdir(), "patchcord-browser-"));
const running = new Set();

/** Starts a server and resolves with everything it printed until `isReady` held for a line. */
export function start(command, bind, store, isReady, settings = {}) {
  const child = spawn(PROGRAM, [command], {
    env: { ...process.env, ...settings, PATCHCORD_READY_LINE: "1", PATCHCORD_SERVER__BIND: bind, PATCHCORD_STORE__URL: `sqlite:${join(data, store)}` },
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

/** A demo server, with where it is and a way to call its API. */
export async function startDemo(store, bind = "127.0.0.1:0", settings = {}) {
  const { child, printed } = await start("dev", bind, store, (line) => line.includes("#ticket="), settings);
  const ready = JSON.parse(/^PATCHCORD_READY (.*)$/m.exec(printed)[1]);
  const address = /http\S+#ticket=\S+/.exec(printed)[0];
  const request = async (method, path, type, body) => {
    const response = await fetch(ready.url + path, { method, headers: { Authorization: `Bearer ${ready.access_token}`, "Content-Type": type }, body });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return text === "" ? null : JSON.parse(text);
  };
  const ask = (method, path, body) => request(method, path, "application/json", body && JSON.stringify(body));
  const send = (path, type, body) => request("POST", path, type, body);
  return { child, url: ready.url, address, email: ready.email, password: ready.password, ask, send };
}

/** Asks until `isSo` holds; whoever waits for what never comes is told what it was. */
export async function until(what, isSo) {
  const FOR_MS = 30_000;
  const PAUSE_MS = 50;
  const end = Date.now() + FOR_MS;
  while (!(await isSo())) {
    assert.ok(Date.now() < end, `never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

export async function stop(child) {
  running.delete(child);
  child.removeAllListeners("exit");
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

/** Puts a signed-in session into every tab that `context` opens: session storage is a tab's own. */
export async function signIn(context, server) {
  const response = await fetch(`${server.url}/api/auth/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ email: server.email, password: server.password }),
  });
  assert.ok(response.ok, `sign in: ${response.status}`);
  const pair = await response.json();
  const kept = { access: pair.access_token, refresh: pair.refresh_token, until: Date.now() + pair.expires_in * 1000 };
  await context.addInitScript((text) => sessionStorage.setItem("patchcord.session", text), JSON.stringify(kept));
}

/** A demo server, and a tab that is signed in to it. `close` holds that nothing went wrong on the way but refusals that were meant. */
export async function signedIn(browser, store, scheme) {
  const server = await startDemo(store);
  const { page, faults } = await openTab(browser, server.url, scheme);
  await page.goto(server.address);
  await page.waitForSelector("[data-line=live]");
  const close = async (refusals = []) => {
    const isMeant = (fault) => refusals.some((status) => fault.includes(`responded with a status of ${status}`));
    assert.deepEqual(faults.filter((fault) => !isMeant(fault)), []);
    await page.context().close();
    await stop(server.child);
  };
  return { server, page, close };
}

/** Presses Tab until the element has the focus, as somebody without a mouse does. */
export async function tabTo(page, wanted) {
  const PRESSES_MAX = 150;
  await wanted.first().waitFor({ state: "attached" });
  for (let presses = 0; presses < PRESSES_MAX; presses++) {
    if (await wanted.first().evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`Tab does not come to ${wanted}`);
}

/** A tab of its own. `faults` collects errors of scripts and of the console, and every request that leaves the server. */
export async function openTab(browser, origin, scheme) {
  const context = await browser.newContext({ colorScheme: process.env.SCHEME ?? scheme, viewport: SIZE });
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("request", (request) => {
    const isOurs = [origin, origin.replace("http", "ws"), "data:", "blob:"].some((start) => request.url().startsWith(start));
    if (!isOurs) faults.push(`outside: ${request.url()}`);
  });
  page.on("console", (message) => {
    const isLostLine = /ERR_CONNECTION|WebSocket/.test(message.text());
    if (message.type() === "error" && !isLostLine) faults.push(message.text());
  });
  return { page, faults };
}

/** Keeps what the tab shows when SHOTS names a folder. */
export async function picture(page, name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

/** No accessibility violation in what the tab shows; its picture is kept when SHOTS names a folder. */
export async function accessible(page, name) {
  // What is still fading in has less contrast than it will have.
  await page.evaluate(() => {
    const ending = document.getAnimations().filter((animation) => animation.effect?.getTiming().iterations !== Infinity);
    return Promise.all(ending.map((animation) => animation.finished.catch(() => undefined)));
  });
  await picture(page, name);
  const found = await new AxeBuilder({ page }).withTags(WCAG).analyze();
  assert.deepEqual(found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).slice(0, 3).join(" | ")}`), [], name);
}

/** What the tabs of a test that failed show. */
async function lastSeen(browser, name) {
  const pages = browser.contexts().flatMap((context) => context.pages());
  await Promise.allSettled(pages.map((page, at) => page.screenshot({ path: join(SHOTS, `failed-${name}-${at}.png`) })));
}

/** Runs the tests in one browser, and leaves nothing behind. */
export async function inBrowser(tests) {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage"],
  });
  try {
    for (const test of tests) {
      const begun = Date.now();
      await test(browser).catch(async (error) => {
        if (SHOTS) await lastSeen(browser, test.name);
        throw error;
      });
      console.log(`browser: ${test.name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
    }
  } finally {
    await browser.close();
    for (const child of running) child.kill("SIGKILL");
    rmSync(data, { recursive: true, force: true });
  }
}
