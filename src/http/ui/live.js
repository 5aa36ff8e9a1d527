// The live view: what happens now, from the stream; what was there before, from the API.

import { call, forgetTokens, isSignedIn, keepTokens, post } from "/ui/session.js";
import { watch } from "/ui/stream.js";
import { clockTime, element, mood, offset, sentimentLine, words } from "/ui/draw.js";

// Entries kept on the page per list; older ones leave it.
const SHOWN_MAX = { calls: 20, alerts: 50, runs: 30, messages: 50 };
const STATES = { connecting: "Connecting", live: "Live", waiting: "Connection lost, trying again", "signed-out": "Signed out" };

const at = (id) => document.getElementById(id);
const calls = new Map();
const alerts = new Map();
const runs = new Map();
// Names of workflows by their id.
const names = new Map();
let stream = null;
let messagesTimer = null;

async function start() {
  const ticket = new URLSearchParams(location.hash.slice(1)).get("ticket");
  if (ticket) {
    // A ticket works once: it has no place in the history.
    history.replaceState(null, "", "/");
    const answer = await post("/api/auth/ticket", { ticket });
    if (answer.ok) keepTokens(answer.body);
  }
  if (isSignedIn()) openFloor();
  else openDoor();
}

function openDoor() {
  stream?.stop();
  stream = null;
  show("door");
  state("signed-out");
  at("email").focus();
}

async function openFloor() {
  show("floor");
  stream = watch({ onMessage: take, onState: (name) => (name === "signed-out" ? openDoor() : state(name)) });
  await lookBack();
}

function show(name) {
  at("door").hidden = name !== "door";
  at("floor").hidden = name !== "floor";
  at("sign-out").hidden = name !== "floor";
}

function state(name) {
  at("connection").textContent = STATES[name];
  at("connection").className = name === "live" ? "live" : "";
}

// What was there before the stream began, or what it missed.
async function lookBack() {
  const [workflowList, callList, alertList, runList] = await Promise.all([
    call("GET", "/api/workflows?limit=200"),
    call("GET", `/api/calls?limit=${SHOWN_MAX.calls}`),
    call("GET", `/api/alerts?limit=${SHOWN_MAX.alerts}`),
    call("GET", `/api/runs?limit=${SHOWN_MAX.runs}`),
  ]);
  if (callList.status === 401) return openDoor();
  for (const one of workflowList.body?.items ?? []) names.set(one.id, one.name);
  for (const one of (callList.body?.items ?? []).toReversed()) {
    takeCall(one);
    await lookBackOn(one);
  }
  for (const one of (alertList.body?.items ?? []).toReversed()) takeAlert(one);
  for (const one of (runList.body?.items ?? []).toReversed()) {
    takeRun({ run_id: one.id, name: names.get(one.workflow_id), trigger: one.trigger, at: one.started_at });
    endRun({ run_id: one.id, status: one.status, error: one.error });
    if (one === runList.body.items[0] || one.ended_at === null) await lookBackOnRun(one.id);
  }
  countMessages();
}

async function lookBackOn(record) {
  const answer = await call("GET", `/api/calls/${record.id}/transcript`);
  const said = answer.body?.items ?? [];
  for (const one of said) takeFinal({ call_id: record.id, ...one });
  // How the trend went is told by the stream only; where it stands is in the record.
  const isUntold = entryOf(record.id).trend.length === 0;
  if (isUntold && record.trend !== null && said.length > 0) {
    takeTrend({ call_id: record.id, trend: record.trend, at_ms: said.at(-1).end_ms });
  }
}

async function lookBackOnRun(id) {
  const answer = await call("GET", `/api/runs/${id}`);
  for (const step of answer.body?.steps ?? []) takeStep({ run_id: id, node: step.node, kind: step.kind, status: step.status });
}

function take(message) {
  switch (message.type) {
    case "call.started":
    case "call.updated":
    case "call.ended":
      return takeCall(message.call);
    case "transcript.partial":
      return takePartial(message);
    case "transcript.final":
      return takeFinal(message);
    case "sentiment.trend":
      return takeTrend(message);
    case "alert.raised":
      return takeAlert(message.alert);
    case "alert.acked":
      return ackAlert(message.alert_id);
    case "run.started":
      return takeRun(message);
    case "run.step":
      takeStep(message);
      return countMessagesSoon();
    case "run.ended":
      endRun(message);
      return countMessagesSoon();
    case "gap":
      return lookBack();
    default:
      return undefined;
  }
}

function entryOf(id) {
  let entry = calls.get(id);
  if (entry === undefined) {
    entry = { record: null, lines: new Map(), partials: new Map(), trend: [], box: makeCall() };
    calls.set(id, entry);
    at("calls").prepend(entry.box.article);
    trim(calls, SHOWN_MAX.calls, (old) => old.box.article.remove());
    count("calls", calls.size);
  }
  return entry;
}

function makeCall() {
  const title = element("h3", { text: "Call" });
  const badge = element("span", { class: "badge", text: "starting" });
  const meta = element("span", { class: "meta" });
  const line = element("span", { class: "holder" });
  const head = element("div", { class: "head" }, title, badge, meta, line);
  const transcript = element("div", { class: "transcript", role: "log", tabindex: "0", "aria-label": "Transcript" });
  const article = element("article", {}, head, transcript);
  line.replaceWith(sentimentLine([]));
  return { article, title, badge, meta, transcript };
}

function takeCall(record) {
  const entry = entryOf(record.id);
  entry.record = record;
  const other = record.direction === "inbound" ? record.from : record.to;
  entry.box.title.textContent = `${record.direction === "inbound" ? "From" : "To"} ${other}`;
  // A call that was taken in but that no agent answered is completed for the provider and missed for us.
  const isMissed = record.status === "completed" && record.dial_status !== null && record.dial_status !== "completed";
  const status = isMissed ? record.dial_status : record.status;
  entry.box.badge.textContent = words(status);
  entry.box.badge.className = `badge ${status}`;
  const gaps = record.gaps > 0 ? `, ${record.gaps} gaps in the audio` : "";
  entry.box.meta.textContent = `${clockTime(record.started_at)}${gaps}`;
  entry.box.article.classList.toggle("over", record.ended_at !== null);
  if (record.ended_at !== null) {
    entry.partials.forEach((line) => line.remove());
    entry.partials.clear();
  }
}

function takePartial(message) {
  const entry = entryOf(message.call_id);
  entry.partials.get(message.speaker)?.remove();
  const line = makeLine(message, true);
  entry.partials.set(message.speaker, line);
  append(entry, line);
}

function takeFinal(message) {
  const entry = entryOf(message.call_id);
  entry.partials.get(message.speaker)?.remove();
  entry.partials.delete(message.speaker);
  entry.lines.get(message.ordinal)?.remove();
  const line = makeLine(message, false);
  entry.lines.set(message.ordinal, line);
  append(entry, line);
}

function makeLine(message, isPartial) {
  const feeling = message.sentiment ? message.sentiment.label : "";
  const line = element("div", { class: `line ${message.speaker} ${isPartial ? "partial" : feeling}` },
    element("time", { text: offset(message.start_ms) }),
    element("span", { class: "who", text: message.speaker === "customer" ? "Customer" : "Agent" }),
    element("p", { text: message.text }));
  line.dataset.start = message.start_ms;
  if (feeling && !isPartial) line.title = `${feeling} (${message.sentiment.score.toFixed(2)})`;
  return line;
}

// Lines stand in the order in which they were begun; the view follows the newest unless the reader has scrolled up.
function append(entry, line) {
  const box = entry.box.transcript;
  const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const start = Number(line.dataset.start);
  const after = [...box.children].find((other) => Number(other.dataset.start) > start);
  box.insertBefore(line, after ?? null);
  if (isAtEnd) box.scrollTop = box.scrollHeight;
}

function takeTrend(message) {
  const entry = entryOf(message.call_id);
  entry.trend.push({ at_ms: message.at_ms, trend: message.trend });
  entry.box.article.querySelector(".sentiment").replaceWith(sentimentLine(entry.trend));
  entry.box.article.dataset.mood = mood(message.trend);
}

function takeAlert(alert) {
  alerts.get(alert.id)?.remove();
  const item = element("li", { "data-alert": alert.id },
    element("h3", { text: alert.title }),
    element("p", { class: "meta", text: `${words(alert.kind)}, ${clockTime(alert.raised_at)}` }));
  const excerpt = alert.evidence?.excerpt;
  if (excerpt) item.append(element("p", { text: `“${excerpt}”` }));
  item.prepend(element("span", { class: `badge ${alert.severity}`, text: alert.severity }));
  const button = element("button", { type: "button", text: "Acknowledge", "aria-label": `Acknowledge: ${alert.title}` });
  button.addEventListener("click", async () => {
    button.disabled = true;
    const answer = await call("POST", `/api/alerts/${alert.id}/ack`);
    if (answer.ok) ackAlert(alert.id);
    else button.disabled = false;
  });
  item.append(button);
  alerts.set(alert.id, item);
  at("alerts").prepend(item);
  trim(alerts, SHOWN_MAX.alerts, (old) => old.remove());
  if (alert.acked_at !== null) ackAlert(alert.id);
  countAlerts();
}

function ackAlert(id) {
  const item = alerts.get(id);
  if (item === undefined || item.classList.contains("acked")) return;
  item.classList.add("acked");
  item.querySelector("button").replaceWith(element("p", { class: "meta", text: "Acknowledged" }));
  countAlerts();
}

function countAlerts() {
  const open = [...alerts.values()].filter((item) => !item.classList.contains("acked")).length;
  count("alerts", open, alerts.size);
}

function takeRun(message) {
  const name = message.name ?? words(message.trigger);
  const known = runs.get(message.run_id);
  if (known !== undefined) {
    if (message.name) known.title.textContent = message.name;
    return known;
  }
  const title = element("h3", { text: name });
  const badge = element("span", { class: "badge", text: "running" });
  const steps = element("ol", { "aria-label": "Steps" });
  const note = element("p", { class: "meta", text: `started by ${message.trigger ?? "a fact"}${message.at ? `, ${clockTime(message.at)}` : ""}` });
  const item = element("li", { "data-run": message.run_id }, element("div", { class: "head" }, title, badge), note, steps);
  const run = { item, title, badge, steps, byNode: new Map() };
  runs.set(message.run_id, run);
  at("runs").prepend(item);
  trim(runs, SHOWN_MAX.runs, (old) => old.item.remove());
  count("runs", runs.size);
  return run;
}

function takeStep(message) {
  const run = runs.get(message.run_id) ?? takeRun({ run_id: message.run_id, name: "Workflow", trigger: "a fact" });
  let step = run.byNode.get(message.node);
  if (step === undefined) {
    step = element("li");
    step.className = "step";
    run.byNode.set(message.node, step);
    run.steps.append(step);
  }
  step.replaceChildren(`${message.node} (${words(message.kind)}) `, element("span", { class: `badge ${message.status}`, text: words(message.status) }));
}

function endRun(message) {
  const run = runs.get(message.run_id);
  if (run === undefined) return;
  run.badge.textContent = words(message.status);
  run.badge.className = `badge ${message.status}`;
  run.item.querySelector(".error")?.remove();
  if (message.error) run.item.append(element("p", { class: "error", text: message.error }));
}

// Messages have no fact of their own in the stream: a step that moved may have sent one.
function countMessagesSoon() {
  clearTimeout(messagesTimer);
  messagesTimer = setTimeout(countMessages, 250);
}

async function countMessages() {
  const answer = await call("GET", `/api/messages?limit=${SHOWN_MAX.messages}`);
  if (!answer.ok) return;
  const items = answer.body.items.map((message) => element("li", {},
    element("div", { class: "head" },
      element("h3", { text: `${words(message.channel)} ${message.direction === "outbound" ? "to" : "from"} ${message.direction === "outbound" ? message.to : message.from}` }),
      element("span", { class: "badge", text: message.status === "outbox" ? "would have been sent" : words(message.status) })),
    element("p", { text: message.body }),
    element("time", { text: clockTime(message.created_at) })));
  at("messages").replaceChildren(...items);
  const more = answer.body.next_cursor === null ? "" : "+";
  count("messages", items.length);
  at("messages-count").textContent = `${items.length}${more}`;
}

function count(name, shown, all = shown) {
  at(`${name}-count`).textContent = shown;
  at(`${name}-empty`).hidden = all > 0;
}

function trim(map, most, leave) {
  while (map.size > most) {
    const [id, oldest] = map.entries().next().value;
    map.delete(id);
    leave(oldest);
  }
}

at("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("sign-in-error").textContent = "";
  const answer = await post("/api/auth/login", { email: at("email").value, password: at("password").value });
  if (!answer.ok) {
    at("sign-in-error").textContent = answer.body.detail;
    return;
  }
  keepTokens(answer.body);
  at("password").value = "";
  openFloor();
});

at("sign-out").addEventListener("click", async () => {
  await call("POST", "/api/auth/logout");
  forgetTokens();
  location.reload();
});

start();
