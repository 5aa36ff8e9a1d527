// Leads and what is agreed with them: a file is imported, records are changed and removed, a delete outlives signing out.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { accessible, openTab, signedIn, signIn, startDemo, stop, until } from "./harness.mjs";

const FILE = ["Kunde;Mobile;E-Mail;Plan;Junk", "Ann Lee;415-555-0101;ann@example.com;gold;x", "Bo Berg;415-555-0102;;silver;x", "Nobody;12;;;x", ";;not an address;;x", ""].join("\r\n");

/** A file's columns are shown and mapped, it is sent, its progress is shown, and its bad rows are downloaded. */
export async function leadsImport(browser) {
  const { server, page, close } = await signedIn(browser, "import.db", "light");
  await server.ask("POST", "/api/leads", { name: "Ann", phone: "+14155550101" });
  await page.goto(`${server.url}/leads?tab=imports`);
  await page.getByText("No imports yet").waitFor();
  await page.getByRole("button", { name: "Import a file" }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("File").setInputFiles({ name: "leads.csv", mimeType: "text/csv", buffer: Buffer.from(FILE) });
  const fills = (header) => dialog.getByLabel(`What “${header}” fills`);
  assert.equal(await fills("Mobile").inputValue(), "phone");
  assert.equal(await fills("Plan").inputValue(), "fields.plan");
  await fills("Kunde").selectOption("phone");
  await fills("Junk").selectOption("");
  await dialog.getByRole("button", { name: "Import", exact: true }).click();
  await dialog.getByRole("alert").getByText("two columns fill `phone`").waitFor();
  await fills("Kunde").selectOption("name");
  await dialog.getByLabel("Country calling code").fill("1");
  await accessible(page, "import-mapping-light");
  await dialog.getByRole("button", { name: "Import", exact: true }).focus();
  await page.keyboard.press("Enter");
  await dialog.getByText("4 of 4 rows").waitFor();
  await dialog.getByText("done", { exact: true }).waitFor();
  await dialog.getByText("No workflow starts").waitFor();
  await accessible(page, "import-report-light");
  const [saved] = await Promise.all([page.waitForEvent("download"), dialog.getByRole("button", { name: "Download the report" }).click()]);
  const report = readFileSync(await saved.path(), "utf8");
  assert.match(report, /^row,column,value,what to do\r\n4,Mobile,12,/);
  assert.match(report, /\n5,E-Mail,not an address,/);
  await page.keyboard.press("Escape");
  await page.getByRole("region", { name: "Imports" }).getByText("done").first().waitFor();
  const { items } = await server.ask("GET", "/api/leads?limit=50");
  assert.deepEqual(items.filter((one) => one.name !== "Dana Whitfield").map((one) => [one.name, one.phone, one.fields.plan]).sort(), [["Ann Lee", "+14155550101", "gold"], ["Bo Berg", "+14155550102", "silver"]]);
  await page.getByRole("tab", { name: "People" }).click();
  await page.getByRole("link", { name: "Bo Berg" }).waitFor();
  await close([422]);
}

/** An appointment is changed, not over somebody else's change, and one is removed and taken back; payments are told apart from money. */
export async function recordsEdited(browser) {
  const { server, page, close } = await signedIn(browser, "records.db", "light");
  const made = await server.ask("POST", "/api/appointments", { title: "First look", starts_at: "2031-01-02T10:00:00Z", location: "Main street 1", notes: "Bring a ladder" });
  await server.ask("POST", "/api/quotes", { title: "Roof repair", amount: 125_000, currency: "usd" });
  await server.ask("POST", "/api/payments", { amount: 1250, currency: "usd", reference: "INV-7" });
  await page.goto(`${server.url}/leads?tab=appointments`);
  const dialog = page.getByRole("dialog");
  const act = async (name, action) => {
    await page.getByRole("button", { name: `Actions for ${name}` }).click();
    await page.getByRole("menuitem", { name: action }).click();
  };
  await act("First look", "Edit");
  assert.equal(await dialog.getByLabel("Notes").inputValue(), "Bring a ladder");
  await dialog.getByLabel("Where").fill("Main street 2");
  await accessible(page, "appointment-edit-light");
  await server.ask("PATCH", `/api/appointments/${made.id}`, { title: "Second look" });
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("alert").getByText("Somebody else has changed this").waitFor();
  await accessible(page, "appointment-moved-light");
  await dialog.getByRole("button", { name: "Show it as it is now" }).click();
  await until("it is shown as it is", async () => (await dialog.getByLabel("What about").inputValue()) === "Second look");
  await dialog.getByLabel("Where").fill("Main street 3");
  await page.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  const kept = await server.ask("GET", `/api/appointments/${made.id}`);
  assert.deepEqual([kept.title, kept.location, kept.starts_at.slice(0, 16)], ["Second look", "Main street 3", "2031-01-02T10:00"]);

  await act("Second look", "Remove");
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("Second look").waitFor();
  await page.getByRole("tab", { name: "Quotes" }).click();
  await act("Roof repair", "Edit");
  await dialog.getByLabel("Amount").fill("1300");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("$1,300.00").waitFor();
  await page.getByRole("tab", { name: "Payments" }).click();
  await act("$12.50 INV-7", "Edit");
  assert.equal(await dialog.getByLabel("Amount").count(), 0);
  await dialog.getByLabel("Reference").fill("INV-8");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("INV-8").waitFor();
  await act("$12.50 INV-8", "Remove");
  await page.getByText("No payments yet").waitFor();
  await until("the payment is gone", async () => (await server.ask("GET", "/api/payments")).items.length === 0);
  await close([409]);
}

/** A lead's record is changed on its page, and removed from the list with a way back. */
export async function leadEdited(browser) {
  const { server, page, close } = await signedIn(browser, "lead.db", "dark");
  const lead = await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  await page.goto(`${server.url}/leads/${lead.id}`);
  const act = async (action) => {
    await page.getByRole("button", { name: /^Actions for/ }).click();
    await page.getByRole("menuitem", { name: action }).click();
  };
  const dialog = page.getByRole("dialog");
  await act("Edit");
  await dialog.getByLabel("Phone").fill("415");
  await page.keyboard.press("Enter");
  await dialog.getByRole("alert").getByText("Phone: expected a phone number").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-invalid")), "true");
  await dialog.getByLabel("Phone").fill("+14155550124");
  await dialog.getByLabel("Name").fill("Ann Lee-Roth");
  await dialog.getByLabel("Score").fill("80");
  await accessible(page, "lead-edit-dark");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Ann Lee-Roth" }).waitFor();
  const kept = await server.ask("GET", `/api/leads/${lead.id}`);
  assert.deepEqual([kept.name, kept.phone, kept.score, kept.stage], ["Ann Lee-Roth", "+14155550124", 80, lead.stage]);
  await act("Remove from the list");
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByRole("heading", { name: "Leads" }).waitFor();
  await page.getByRole("link", { name: "Ann Lee-Roth" }).waitFor();
  await close([422]);
}

/** Everything known about a person is downloaded, then erased: not before the name is written, and with its progress. */
export async function leadErased(browser) {
  const { server, page, close } = await signedIn(browser, "erased.db", "light");
  const lead = await server.ask("POST", "/api/leads", { name: "Ann Lee", phone: "+14155550123" });
  await server.ask("POST", "/api/appointments", { title: "First look", starts_at: "2031-01-02T10:00:00Z", lead_id: lead.id });
  await page.goto(`${server.url}/leads/${lead.id}`);
  const act = async (action) => {
    await page.getByRole("button", { name: "Actions for Ann Lee" }).click();
    await page.getByRole("menuitem", { name: action }).click();
  };
  const [saved] = await Promise.all([page.waitForEvent("download"), act("Export everything")]);
  const whole = JSON.parse(readFileSync(await saved.path(), "utf8"));
  assert.deepEqual([whole.lead.name, whole.appointments.map((one) => one.title)], ["Ann Lee", ["First look"]]);
  await act("Erase for good");
  const dialog = page.getByRole("dialog");
  const erase = dialog.getByRole("button", { name: "Erase for good" });
  await dialog.getByLabel("To be sure").fill("Ann");
  assert.ok(await erase.isDisabled());
  await dialog.getByLabel("To be sure").fill("Ann Lee");
  await accessible(page, "lead-erase-light");
  await page.keyboard.press("Enter");
  await dialog.getByText("What was known about this person is gone.").waitFor();
  await accessible(page, "lead-erased-light");
  await dialog.getByRole("button", { name: "Back to the leads" }).click();
  await page.getByRole("heading", { name: "Leads" }).waitFor();
  await page.getByText("Dana Whitfield").waitFor();
  assert.equal(await page.getByRole("link", { name: "Ann Lee" }).count(), 0);
  assert.ok((await server.ask("GET", "/api/leads?limit=200")).items.every((one) => one.id !== lead.id));
  await close([404]);
}

/** Somebody deletes a workflow and signs out at once: it is gone all the same. */
export async function signedOutDelete(browser) {
  const { server, page, close } = await signedIn(browser, "signed-out.db", "dark");
  const steps = { trigger: { type: "manual" }, nodes: [{ id: "task", type: "create_task", params: { title: "Call" } }], edges: [{ from: "trigger", to: "task" }] };
  for (const name of ["Goes", "Stays"]) await server.ask("POST", "/api/workflows", { ...steps, name });
  await page.goto(`${server.url}/workflows`);
  await page.getByRole("button", { name: "Actions for Goes" }).click();
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await page.getByRole("link", { name: "Goes" }).waitFor({ state: "detached" });
  // The row is gone, the keyboard's place in the list is not.
  await until("the focus is in the list", () => page.evaluate(() => document.activeElement?.closest("[role=region]") !== null));
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  const names = (await server.ask("GET", "/api/workflows?limit=200")).items.map((one) => one.name);
  assert.ok(!names.includes("Goes") && names.includes("Stays"), "gone by the time that the person is");
  await close();
}

/** Leads are looked for by part of a name, a number or an address; what is looked for stands in the address of the page. */
export async function leadSearch(browser) {
  const { server, page, close } = await signedIn(browser, "lead-search.db", "light");
  for (const [name, phone, email] of [["Zoë Ölmann", "+14155550123", "zoe@example.com"], ["Bo Berg", "+14155550155", null], ["Cy Low", null, "cy.low@office.example"]]) {
    await server.ask("POST", "/api/leads", { name, phone, email });
  }
  await page.goto(`${server.url}/leads`);
  const table = page.getByRole("region", { name: "Leads", exact: true });
  await table.getByRole("link", { name: "Bo Berg" }).waitFor();
  const field = page.getByRole("searchbox", { name: "Search leads" });
  const finds = async (text, name) => {
    await field.fill(text);
    await page.getByRole("status").getByText("1 found.").waitFor();
    await until(`${text} finds ${name} alone`, async () => (await table.getByRole("link").allTextContents()).join() === name);
  };
  await finds("öLM", "Zoë Ölmann");
  assert.equal(new URL(page.url()).searchParams.get("q"), "öLM");
  await finds("555-0155", "Bo Berg");
  await finds("office", "Cy Low");
  await accessible(page, "lead-search-light");
  await page.reload();
  await page.getByRole("status").getByText("1 found.").waitFor();
  assert.equal(await field.inputValue(), "office");
  await field.fill("nobody such");
  await page.getByText("Nobody matches “nobody such”").waitFor();
  await accessible(page, "lead-search-empty-light");
  await page.getByRole("button", { name: "Show everybody" }).click();
  await table.getByRole("link", { name: "Bo Berg" }).waitFor();
  assert.equal(await field.inputValue(), "");
  await close();
}

/** Two leads that are one person are shown side by side; one is kept, what happens is said before, and the other is gone. */
export async function duplicatesMerged(browser) {
  const server = await startDemo("duplicates.db");
  const older = await server.ask("POST", "/api/leads", { name: "Ann Lee", email: "ann@example.com" });
  const newer = await server.ask("POST", "/api/leads", { name: "A. Lee", email: "Ann@Example.com", phone: "+14155550123", opted_out: true });
  for (const scheme of ["light", "dark"]) {
    const { page, faults } = await openTab(browser, server.url, scheme);
    await signIn(page.context(), server);
    await page.goto(`${server.url}/leads`);
    await page.getByRole("link", { name: "Duplicates" }).click();
    await page.getByRole("heading", { name: "Leads with ann@example.com" }).waitFor();
    const card = (lead) => page.locator(`[data-lead="${lead.id}"]`);
    assert.ok(await card(older).getByRole("radio").isChecked(), "the oldest is kept unless somebody says otherwise");
    await accessible(page, `duplicates-${scheme}`);
    await card(newer).getByRole("radio").check();
    await card(older).getByRole("button", { name: /^Merge the lead/ }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("This cannot be undone.").waitFor();
    await accessible(page, `duplicates-merge-${scheme}`);
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await dialog.waitFor({ state: "detached" });
    if (scheme === "dark") {
      await card(older).getByRole("radio").check();
      await card(newer).getByRole("button", { name: /^Merge the lead/ }).click();
      await dialog.getByText("Merge into “Ann Lee”?").waitFor();
      await dialog.getByRole("button", { name: "Merge for good" }).click();
      await page.getByText("Merged: “Ann Lee” is one lead now").waitFor();
      await page.getByText("No duplicates", { exact: true }).waitFor();
      await accessible(page, "duplicates-none-dark");
    }
    assert.deepEqual(faults, []);
    await page.context().close();
  }
  const kept = await server.ask("GET", `/api/leads/${older.id}`);
  assert.deepEqual([kept.name, kept.phone, kept.opted_out], ["Ann Lee", "+14155550123", true]);
  const { items } = await server.ask("GET", "/api/leads?q=lee");
  assert.deepEqual(items.map((lead) => lead.id), [older.id]);
  await stop(server.child);
}
