// No edit is lost and none silently overwritten: edits of two tabs that interleave, one that clashes, and tabs that die.

import assert from "node:assert/strict";
import { openTab, signIn, startDemo, stop } from "./harness.mjs";

const SAVED = "[data-save=saved]";
const EDITS = 20;
/** Each takes two seconds; `KILLS=50` for the whole of it. */
const KILLS = Number(process.env.KILLS ?? 8);

async function open(browser, store, steps) {
  const server = await startDemo(store);
  const made = await server.ask("POST", "/api/workflows", {
    name: "Shared",
    enabled: false,
    trigger: { type: "manual" },
    nodes: Array.from({ length: steps }, (_, at) => ({ id: `task_${at}`, type: "create_task", params: { title: `Task ${at}!` } })),
    edges: Array.from({ length: steps }, (_, at) => ({ from: at === 0 ? "trigger" : `task_${at - 1}`, to: `task_${at}` })),
  });
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  await signIn(context, server);
  const kept = async () => (await server.ask("GET", `/api/workflows/${made.id}`)).definition;
  const tab = async () => {
    const page = await context.newPage();
    await page.goto(`${server.url}/workflows/${made.id}`);
    await nameOf(page).waitFor();
    return page;
  };
  return { server, made, context, kept, tab };
}

const nameOf = (page) => page.getByLabel("Name of the workflow");

/** Two tabs write at once, each into other steps: every edit of both is in the end with the server. */
export async function twoTabs(browser) {
  const { server, context, kept, tab } = await open(browser, "two.db", EDITS);
  const tabs = [await tab(), await tab()];
  for (const page of tabs) await page.getByRole("button", { name: "Outline" }).click();
  for (let edit = 0; edit < EDITS; edit++) {
    const page = tabs[edit % 2];
    await page.getByRole("list", { name: "Outline" }).getByText(`Task ${edit}!`).click();
    // Nobody waits for a save in between.
    await page.getByRole("textbox", { name: "Title" }).fill(`Edit ${edit}`);
  }
  for (const page of tabs) await page.waitForSelector(SAVED);
  assert.deepEqual((await kept()).nodes.map((node) => node.params.title), Array.from({ length: EDITS }, (_, edit) => `Edit ${edit}`));

  // Both change the same: the second to come is told, and nothing is overwritten before a person says so.
  const [one, other] = tabs;
  await nameOf(one).fill("One");
  await one.waitForSelector("[data-save=waiting], [data-save=saving]");
  await one.waitForSelector(SAVED);
  await nameOf(other).fill("Other");
  await other.waitForSelector("[data-save=conflict]");
  assert.equal((await kept()).name, "One");
  await other.getByRole("button", { name: "Keep mine there" }).click();
  await other.waitForSelector(SAVED);
  assert.equal((await kept()).name, "Other");
  await context.close();
  await stop(server.child);
}

/** Another edit of the same comes first, and the tab is loaded again before anybody decided. */
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
  const name = nameOf(page);
  await name.waitFor();

  await server.ask("PATCH", `/api/workflows/${made.id}`, { name: "Theirs" });
  await name.fill("Mine");
  await page.waitForSelector("[data-save=conflict]");
  assert.equal((await server.ask("GET", `/api/workflows/${made.id}`)).name, "Theirs", "nothing is overwritten silently");
  await page.reload();
  await page.waitForSelector("[data-save=conflict]");
  assert.equal(await name.inputValue(), "Mine");
  await page.getByRole("button", { name: "Keep mine there" }).click();
  await page.waitForSelector(SAVED);
  assert.equal((await server.ask("GET", `/api/workflows/${made.id}`)).name, "Mine");

  await name.fill("Typed just before the tab was loaded again");
  await page.reload();
  await page.waitForSelector(SAVED);
  assert.equal((await server.ask("GET", `/api/workflows/${made.id}`)).name, "Typed just before the tab was loaded again");
  await page.context().close();
  await stop(server.child);
}

/** The tab's process dies at a random moment after an edit; the next tab has the edit, from the server or from what was kept. */
export async function killedTabs(browser) {
  const { server, context, kept, tab } = await open(browser, "killed.db", 1);
  let seed = Number(process.env.SEED ?? Date.now() % 100_000);
  console.log(`browser: killing tabs with SEED=${seed}`);
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  let page = await tab();
  let fromServer = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const edit = `Edit ${kill}`;
    await nameOf(page).fill(edit);
    await new Promise((resolve) => setTimeout(resolve, random() * 1100));
    const session = await context.newCDPSession(page);
    const crashed = new Promise((resolve) => page.once("crash", resolve));
    session.send("Page.crash").catch(() => undefined);
    await crashed;
    await page.close();
    page = await tab();
    const take = page.getByRole("button", { name: "Take them over" });
    const isThere = async () => (await nameOf(page).inputValue()) === edit;
    await Promise.any([take.waitFor(), page.waitForFunction((text) => document.querySelector("[aria-label='Name of the workflow']")?.value === text, edit)]);
    if (await isThere()) fromServer += 1;
    else await take.click();
    await page.waitForFunction((text) => document.querySelector("[aria-label='Name of the workflow']")?.value === text, edit);
    await page.waitForSelector(SAVED);
    assert.equal((await kept()).name, edit);
  }
  console.log(`browser: ${KILLS} tabs killed, 0 edits lost: ${fromServer} were with the server, ${KILLS - fromServer} kept in the browser`);
  await context.close();
  await stop(server.child);
}
