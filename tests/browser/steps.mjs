// What the builder does with steps beside their form: several at once, how often one is tried, how fields read for a real lead, and
// what the draft changes about an earlier version.

import assert from "node:assert/strict";
import { accessible, signedIn, until } from "./harness.mjs";

const SAVED = "[data-save=saved]";
const text = (body) => ({ id: "text", type: "send_sms", params: { body } });
const STEPS = [text("Hello {{ lead.first_name }}"), { id: "pause", type: "delay", params: { for: "2d" } }, { id: "task", type: "create_task", params: { title: "Call {{ lead.name }}" } }];
const EDGES = [{ from: "trigger", to: "text" }, { from: "text", to: "pause" }, { from: "pause", to: "task" }];

async function opened(browser, store, scheme) {
  const { server, page, close } = await signedIn(browser, store, scheme);
  await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  const workflow = await server.ask("POST", "/api/workflows", { name: "Follow up", trigger: { type: "manual" }, nodes: STEPS, edges: EDGES });
  await page.goto(`${server.url}/workflows/${workflow.id}`);
  await page.waitForSelector(SAVED);
  const kept = async () => (await server.ask("GET", `/api/workflows/${workflow.id}`)).definition;
  const canvas = page.getByRole("group", { name: "Canvas" });
  const properties = page.getByRole("complementary", { name: "Properties" });
  return { server, page, close, kept, canvas, properties };
}

/** Several steps are chosen, duplicated, cut and pasted: by the panel and by keys, each one action of the undo. */
export async function severalSteps(browser) {
  const { page, close, kept, canvas, properties } = await opened(browser, "several.db", "dark");
  const names = async () => (await kept()).nodes.map((node) => node.id).sort();
  await canvas.getByText("Send SMS").click();
  await canvas.getByText("Delay").click({ modifiers: ["Shift"] });
  await properties.getByRole("heading", { name: "2 steps" }).waitFor();
  await accessible(page, "several-steps-dark");
  await properties.getByRole("button", { name: "Duplicate" }).click();
  await until("both stand there twice", async () => (await names()).join() === "delay,pause,send_sms,task,text");
  const { edges } = await kept();
  assert.ok(edges.some((edge) => edge.from === "send_sms" && edge.to === "delay"), "the way between them comes along");

  await page.keyboard.press("Control+z");
  await until("undone at once", async () => (await names()).join() === "pause,task,text");
  await page.keyboard.press("Control+a");
  await properties.getByRole("heading", { name: "3 steps" }).waitFor();
  await page.keyboard.press("Control+x");
  await until("cut out", async () => (await names()).length === 0);
  await page.keyboard.press("Control+v");
  await until("pasted", async () => (await names()).join() === "create_task,delay,send_sms");
  await properties.getByRole("list", { name: "Selected steps" }).getByRole("button", { name: /^Delay/ }).click();
  await properties.getByRole("heading", { name: "Delay" }).waitFor();
  await close();
}

/** A step says how often it is tried and whom it is for; what cannot be is said at its field. */
export async function stepBehaviour(browser) {
  const { page, close, kept, canvas, properties } = await opened(browser, "behaviour.db", "light");
  const step = async () => (await kept()).nodes.find((node) => node.id === "text");
  await canvas.getByText("Send SMS").click();
  await properties.getByLabel("Attempts").fill("50");
  await properties.getByText("50 attempts").waitFor();
  await properties.getByLabel("Attempts").fill("5");
  await properties.getByLabel("First wait").fill("10s");
  await properties.getByLabel("Who it is for").selectOption("staff");
  await properties.getByText("50 attempts").waitFor({ state: "detached" });
  await until("the server has it", async () => {
    const { retry, audience } = await step();
    return retry?.max_attempts === 5 && retry?.initial_interval === "10s" && audience === "staff";
  });
  await accessible(page, "step-behaviour-light");
  await properties.getByLabel("Attempts").fill("");
  await properties.getByLabel("First wait").fill("");
  await until("the usual again", async () => (await step()).retry === undefined);
  await close();
}

/** After a dry run with a lead, fields and the data picker show that lead; the draft is compared with an earlier version. */
export async function realValues(browser) {
  const { page, close, canvas, properties } = await opened(browser, "values.db", "light");
  await page.getByRole("button", { name: "Dry run" }).click();
  await page.getByLabel("With").selectOption({ label: "Ann Lee" });
  await page.getByLabel("What it brings").fill("{");
  await properties.getByText("This is not a JSON object yet.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Run it dry" }).isDisabled());
  await page.getByLabel("What it brings").fill('{"shop": "main"}');
  await page.getByRole("button", { name: "Run it dry" }).click();
  await page.getByRole("region", { name: "What would happen" }).getByText("Hello Ann").waitFor();
  await canvas.getByText("Send SMS").click();
  await properties.getByRole("tab", { name: "Settings" }).click();
  await properties.getByText("For Ann Lee: Hello Ann").waitFor();
  await properties.getByRole("button", { name: "Data for Text" }).click();
  await page.getByRole("menuitem", { name: /^trigger\.data\.shop/ }).getByText("main").waitFor();
  await page.getByRole("menuitem", { name: /^lead\.phone/ }).click();
  await properties.getByText("For Ann Lee: Hello Ann+14155550123").waitFor();
  await page.waitForSelector(SAVED);

  await page.getByRole("button", { name: "Versions" }).click();
  await page.getByRole("button", { name: "Compare with the draft: v1" }).click();
  const changes = page.getByRole("region", { name: "What the draft changes about it" });
  await changes.getByText("Changed: Send SMS (text)").waitFor();
  await changes.locator("ins").getByText("Hello {{ lead.first_name }}{{ lead.phone }}").waitFor();
  await changes.locator("[data-step=text]").getByText("changed").waitFor();
  await accessible(page, "version-compared-light");
  await close();
}
