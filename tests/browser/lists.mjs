// What the lists offer beside looking: a workflow run by hand, saved as a file and read in again; a task written down; a text message
// simulated from the top of every page.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { accessible, signedIn, until } from "./harness.mjs";

const SAVED = "[data-save=saved]";

/** A workflow that people start by hand is run for a lead, saved as a file, and read in as another that is off. */
export async function workflowByHand(browser) {
  const { server, page, close } = await signedIn(browser, "by-hand.db", "light");
  const lead = await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  const definition = { trigger: { type: "manual" }, nodes: [{ id: "text", type: "send_sms", params: { body: "Hello {{ lead.first_name }}" } }], edges: [{ from: "trigger", to: "text" }] };
  await server.ask("POST", "/api/workflows", { name: "Say hello", ...definition });
  await page.goto(`${server.url}/workflows`);
  const choose = async (name) => {
    await page.getByRole("button", { name: "Actions for Say hello" }).first().click();
    await page.getByRole("menuitem", { name }).click();
  };
  const saved = page.waitForEvent("download");
  await choose("Export");
  const file = await (await saved).path();
  assert.equal(JSON.parse(readFileSync(file, "utf8")).definition.name, "Say hello");

  await choose("Run now");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("About").selectOption({ label: "Ann Lee" });
  await accessible(page, "run-now-light");
  await dialog.getByRole("button", { name: "Run it now" }).click();
  await page.getByRole("list", { name: "Steps" }).getByText("done").first().waitFor();
  assert.equal((await server.ask("GET", `/api/runs?lead_id=${lead.id}`)).items.length, 1);
  // What went in and came out is read by its fields; the JSON is behind a click.
  await page.locator("[data-step=text]").click();
  await page.getByRole("region", { name: "Input" }).getByText("Hello Ann").waitFor();
  await page.getByRole("button", { name: "Input as JSON" }).click();
  await page.getByRole("region", { name: "Input" }).getByText('"body": "Hello Ann"').waitFor();
  await accessible(page, "run-step-light");

  await page.goto(`${server.url}/workflows`);
  await page.getByRole("button", { name: "Import a file" }).waitFor();
  const input = page.locator("input[type=file]");
  await input.setInputFiles({ name: "words.json", mimeType: "application/json", buffer: Buffer.from("not JSON") });
  await page.getByText("words.json is no workflow").waitFor();
  await input.setInputFiles(file);
  await page.waitForSelector(SAVED);
  await page.getByRole("toolbar", { name: "Workflow" }).getByText("Draft").waitFor();
  const { items } = await server.ask("GET", "/api/workflows?limit=200");
  assert.deepEqual(items.filter((one) => one.name.startsWith("Say hello")).map((one) => one.enabled).sort(), [false, true]);
  await close();
}

/** A task is written down for a lead by keyboard, changed, and done. */
export async function taskByHand(browser) {
  const { server, page, close } = await signedIn(browser, "tasks.db", "dark");
  await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  const tasks = async () => (await server.ask("GET", "/api/tasks?limit=200")).items;
  await page.goto(`${server.url}/tasks`);
  await page.getByRole("button", { name: "New task" }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Add" }).click();
  await dialog.getByRole("alert").getByText("What is to be done: expected 1 to 200 characters").waitFor();
  await dialog.getByLabel("What is to be done").fill("Call Ann back");
  await dialog.getByLabel("Priority").selectOption("urgent");
  await dialog.getByLabel("About the lead").selectOption({ label: "Ann Lee" });
  await accessible(page, "task-new-dark");
  await dialog.getByRole("button", { name: "Add" }).focus();
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  await page.getByText("Call Ann back").waitFor();
  await page.getByRole("button", { name: "Edit Call Ann back" }).click();
  await dialog.getByLabel("Notes").fill("She asked for a quote");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("She asked for a quote").waitFor();
  await page.getByRole("checkbox", { name: "Done: Call Ann back" }).click();
  await until("the task is done", async () => (await tasks()).find((one) => one.title === "Call Ann back")?.status === "done");
  const [task] = (await tasks()).filter((one) => one.title === "Call Ann back");
  assert.deepEqual([task.priority, task.notes, task.lead_id !== null], ["urgent", "She asked for a quote", true]);
  await close([422]);
}

/** A text message is simulated: it stands among the messages, and the workflow that waits for one answers it. */
export async function simulatedText(browser) {
  const { server, page, close } = await signedIn(browser, "simulated.db", "light");
  await server.ask("POST", "/api/workflows", {
    name: "Answer",
    enabled: true,
    trigger: { type: "sms.received" },
    nodes: [{ id: "answer", type: "send_sms", params: { body: "We heard: {{ trigger.data.body }}" } }],
    edges: [{ from: "trigger", to: "answer" }],
  });
  await page.getByRole("button", { name: "Simulate a call or text" }).click();
  await page.getByRole("menuitem", { name: "The customer writes a text message" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Send it" }).click();
  await dialog.getByRole("alert").getByText("What the customer writes: expected 1 to 1600 characters").waitFor();
  await dialog.getByLabel("What the customer writes").fill("Is Tuesday still free?");
  await accessible(page, "simulate-text-light");
  await dialog.getByRole("button", { name: "Send it" }).click();
  await page.getByRole("button", { name: "See the messages" }).click();
  await page.getByText("Is Tuesday still free?", { exact: true }).waitFor();
  await page.getByText("We heard: Is Tuesday still free?").waitFor();
  await page.getByText("would have been sent").first().waitFor();
  // Whose role starts no runs is refused, and not offered it.
  const person = { email: "kim@example.com", password: "correct horse 7", name: "Kim", role: "agent" };
  await server.ask("POST", "/api/users", person);
  const headers = { "Content-Type": "application/json" };
  const login = await fetch(`${server.url}/api/auth/login`, { method: "POST", headers, body: JSON.stringify({ email: person.email, password: person.password }) });
  const { access_token } = await login.json();
  const refused = await fetch(`${server.url}/api/simulations`, { method: "POST", headers: { ...headers, Authorization: `Bearer ${access_token}` }, body: JSON.stringify({ sms: "Hello" }) });
  assert.equal(refused.status, 403);
  await close([422]);
}
