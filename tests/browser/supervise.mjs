// A supervisor on a live call: listens muted, whispers and barges in at a second click, leaves, and hangs up. The provider is a server
// of the test's own, which remembers what it is asked.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { accessible, openTab, signIn, start, stop, until } from "./harness.mjs";

const ACCOUNT = "AC5eed5eed5eed5eed5eed5eed5eed5eed";
const TOKEN = "a token for this test";
const CALL = "CA00000000000000000000000000000001";
const ROOM = "CF00000000000000000000000000000001";
const OWNER = { email: "owner@example.com", password: "correct horse battery staple" };

/** Answers as the provider's calls and conferences do; `asked` holds path and form of every change. */
async function provider() {
  const asked = [];
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (part) => {
      text += part;
    });
    request.on("end", () => {
      const sid = `CA${String(asked.length + 100).padStart(32, "0")}`;
      if (request.method === "POST") asked.push({ path: request.url, form: Object.fromEntries(new URLSearchParams(text)), sid });
      response.writeHead(201, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ sid, call_sid: sid, status: "in-progress" }));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const leg = (label) => asked.find((one) => one.form.Label?.startsWith(label));
  return { asked, leg, url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** A server with one call on it: the customer waits in the room, and `joins` brings others in. */
async function supervisedCall(twilio) {
  const settings = {
    PATCHCORD_TWILIO__ACCOUNT_SID: ACCOUNT,
    PATCHCORD_TWILIO__AUTH_TOKEN: TOKEN,
    PATCHCORD_TWILIO__API_BASE: twilio.url,
    PATCHCORD_TWILIO__ROUTING: "dial",
    PATCHCORD_TWILIO__DIAL_TO: "+14155550190",
    PATCHCORD_TWILIO__SUPERVISION: "true",
    PATCHCORD_ADMIN__EMAIL: OWNER.email,
    PATCHCORD_ADMIN__PASSWORD: OWNER.password,
  };
  const { child, printed } = await start("serve", "127.0.0.1:0", "supervise.db", (line) => line.startsWith("PATCHCORD_READY"), settings);
  const ready = JSON.parse(/^PATCHCORD_READY (.*)$/m.exec(printed)[1]);
  const tell = async (path, params) => {
    const all = { AccountSid: ACCOUNT, ...params };
    const signed = Object.keys(all).sort().reduce((text, name) => text + name + all[name], ready.url + path);
    const signature = createHmac("sha1", TOKEN).update(signed).digest("base64");
    const response = await fetch(ready.url + path, { method: "POST", headers: { "X-Twilio-Signature": signature }, body: new URLSearchParams(all) });
    assert.ok(response.ok, `${path}: ${response.status}`);
    return response.text();
  };
  const call = { CallSid: CALL, From: "+14155550101", To: "+15550001111", Direction: "inbound" };
  const twiml = await tell("/twilio/voice", { ...call, CallStatus: "ringing" });
  const door = /<Conference[^>]* statusCallback="([^"#]*)/.exec(twiml)[1].replaceAll("&amp;", "&").replace(ready.url, "");
  let sequence = 0;
  const event = (kind, label, sid, more = {}) => {
    sequence += 1;
    return tell(door, { ConferenceSid: ROOM, FriendlyName: CALL, StatusCallbackEvent: kind, SequenceNumber: String(sequence), ParticipantLabel: label, CallSid: sid, ...more });
  };
  await event("participant-join", "customer", CALL);
  const ends = () => tell("/twilio/status", { ...call, CallStatus: "completed", SequenceNumber: "9" });
  return { child, url: ready.url, token: ready.access_token, ...OWNER, event, ends };
}

export async function supervisorOnCall(browser) {
  const twilio = await provider();
  const server = await supervisedCall(twilio);
  const { page, faults } = await openTab(browser, server.url, "light");
  await signIn(page.context(), server);
  await page.goto(`${server.url}/live`);
  const part = page.getByRole("region", { name: "Supervise" });
  const button = (name) => part.getByRole("button", { name });
  const microphone = (mode) => part.locator(`[data-microphone=${mode}]`).waitFor();

  // Alone in the room there is nobody to listen to, and the page says so.
  await part.getByText("as soon as an agent is on the call").waitFor();
  assert.ok(await button("Listen").isDisabled());
  await accessible(page, "supervise-waiting-light");
  await server.event("participant-join", "agent-1", twilio.leg("agent-1").sid);
  await part.getByText("Give the number of your telephone").waitFor();
  await part.getByLabel("Your telephone").fill("123");
  await button("Listen").click();
  await part.getByText("expected", { exact: false }).waitFor();
  assert.equal(twilio.leg("monitor"), undefined, "nothing was dialled");
  // A number that is refused is a failed request: the console says so, and the page did its part.
  faults.length = 0;
  await part.getByLabel("Your telephone").fill("+14155550177");
  await button("Listen").click();
  await part.getByText("Your telephone rings · Microphone muted").waitFor();
  const own = twilio.leg("monitor");
  assert.deepEqual([own.form.To, own.form.Muted, own.form.Coaching, own.form.Beep], ["+14155550177", "true", undefined, "false"]);
  await server.event("participant-join", own.form.Label, own.sid, { Muted: "true" });
  await part.getByText("Microphone muted", { exact: true }).waitFor();
  await accessible(page, "supervise-listening-light");

  // One click is not enough to be heard.
  const before = twilio.asked.length;
  await button("Whisper").click();
  await button("Click again: the agent hears you").waitFor();
  assert.equal(twilio.asked.length, before);
  await button("Click again: the agent hears you").click();
  await microphone("whisper");
  assert.equal(twilio.asked.at(-1).form.CallSidToCoach, twilio.leg("agent-1").sid);
  await button("Barge in").click();
  await accessible(page, "supervise-armed-light");
  await button("Listen").focus();
  await button("Barge in").waitFor();
  await button("Barge in").focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await microphone("barge");
  assert.equal(twilio.asked.at(-1).form.Coaching, "false");
  // What the provider reports is shown, whoever did it.
  await server.event("participant-mute", own.form.Label, own.sid, { Muted: "true", Coaching: "false" });
  await microphone("listen");
  await button("Leave").click();
  await microphone("off");

  // The number is remembered, in this browser.
  await page.reload();
  await microphone("off");
  assert.equal(await part.getByLabel("Your telephone").inputValue(), "+14155550177");
  await page.emulateMedia({ colorScheme: "dark" });
  await page.reload();
  await microphone("off");
  await accessible(page, "supervise-dark");
  assert.deepEqual(faults, []);

  // Who may not is told why, and finds no button.
  const agent = { email: "kim@example.com", password: "correct horse 7", name: "Kim", role: "agent" };
  const made = await fetch(`${server.url}/api/users`, { method: "POST", headers: { Authorization: `Bearer ${server.token}`, "Content-Type": "application/json" }, body: JSON.stringify(agent) });
  assert.ok(made.ok);
  const { page: other, faults: otherFaults } = await openTab(browser, server.url, "dark");
  await signIn(other.context(), { ...agent, url: server.url });
  await other.goto(`${server.url}/live`);
  const denied = other.getByRole("region", { name: "Supervise" });
  await denied.getByText("needs the role supervisor").waitFor();
  assert.equal(await denied.getByRole("button").count(), 0);
  await accessible(other, "supervise-agent-dark");
  assert.deepEqual(otherFaults, []);
  await other.context().close();

  await button("Hang up").click();
  await button("Click again: the call ends for everybody").click();
  await until("the provider is asked to end the call", () => twilio.asked.some((one) => one.path.endsWith(`/Calls/${CALL}.json`) && one.form.Status === "completed"));
  await server.ends();
  await part.waitFor({ state: "detached" });
  await page.context().close();
  await stop(server.child);
  twilio.close();
}
