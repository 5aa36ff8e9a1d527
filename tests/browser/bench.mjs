// What the pages cost where they are busiest. `scripts/bench-web` runs it and says what for.
//
// Drag: the time from frame to frame, and how long the main thread worked in each, while one step of 500 is dragged.
// Live: from the server's time stamp of a message to the end of the frame that shows it, while 200 calls come in, go on and end.

import { spawn } from "node:child_process";
import { inBrowser, openTab, signIn, startDemo, stop } from "./harness.mjs";
import { openLargeGraph } from "./builder.mjs";

const PROGRAM = process.env.PATCHCORD_PROGRAM;
const MOVES = 300;
const CALLS = Number(process.env.CALLS ?? 200);
const CALL_S = 20;
const GOALS_MS = { frame: 17, live: 300 };

async function drag(browser) {
  const { server, page } = await openLargeGraph(browser, "bench-large.db");
  const node = page.locator(".react-flow__node").nth(5);
  const box = await node.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2 + 8, box.y + box.height / 2 + 8);
  await page.evaluate(() => {
    const state = { frames: [], works: [], last: performance.now() };
    globalThis.bench_ = state;
    const channel = new MessageChannel();
    let begun = 0;
    // The message comes after the frame was drawn: what lies between is the work of the frame.
    channel.port1.onmessage = () => state.works.push(performance.now() - begun);
    const tick = (now) => {
      state.frames.push(now - state.last);
      state.last = now;
      begun = performance.now();
      channel.port2.postMessage(0);
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  });
  for (let move = 1; move <= MOVES; move++) {
    await page.mouse.move(box.x + box.width / 2 + 150 * Math.sin(move / 20), box.y + box.height / 2 + 80 * Math.cos(move / 20));
  }
  const { frames, works } = await page.evaluate(() => globalThis.bench_);
  await page.mouse.up();
  tell("drag among 500 steps: frame to frame", frames.slice(5), GOALS_MS.frame);
  tell("drag among 500 steps: work in a frame", works.slice(5));
  await page.context().close();
  await stop(server.child);
}

async function live(browser) {
  const server = await startDemo("bench-live.db");
  await server.ask("POST", "/api/workflows", {
    name: "Somebody called",
    trigger: { type: "call.started" },
    nodes: [{ id: "look", type: "alert", params: { title: "A call from {{ call.from }}" } }],
    edges: [{ from: "trigger", to: "look" }],
  });
  const { page } = await openTab(browser, server.url, "light");
  await signIn(page.context(), server);
  await page.addInitScript(watchPixels);
  await page.goto(`${server.url}/live`);
  await page.waitForSelector("[data-line=live]");
  await play(server);
  await page.waitForFunction((calls) => globalThis.bench_.painted.filter((one) => one.type === "call.ended").length >= calls, CALLS);
  const { painted, cards, shown } = await page.evaluate(() => ({ ...globalThis.bench_, shown: document.querySelectorAll("[data-call]").length }));
  for (const type of new Set(painted.map((one) => one.type))) {
    tell(`live: ${type} to pixel`, painted.filter((one) => one.type === type).map((one) => one.ms));
  }
  tell("live: every message to pixel", painted.map((one) => one.ms), GOALS_MS.live);
  tell("live: of that in the page, from the socket to the pixel", painted.map((one) => one.page));
  tell("live: a new call or alert until it stands in the page", cards, GOALS_MS.live);
  console.log(`live: ${CALLS} calls played, ${shown} shown`);
  await page.context().close();
  await stop(server.child);
}

/** In the page: when each message was drawn, and when a card that it brings stood there. */
function watchPixels() {
  const state = { painted: [], cards: [] };
  globalThis.bench_ = state;
  const awaited = new Map();
  const afterFrame = (done) =>
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = done;
      channel.port2.postMessage(0);
    });
  const Real = globalThis.WebSocket;
  globalThis.WebSocket = class extends Real {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", (event) => {
        const message = JSON.parse(event.data);
        if (!message.at) return;
        const at = Date.parse(message.at);
        if (message.type === "call.started") awaited.set(`[data-call="${message.call.id}"]`, at);
        if (message.type === "alert.raised") awaited.set(`[data-alert="${message.alert.id}"]`, at);
        const heard = Date.now();
        afterFrame(() => {
          const now = Date.now();
          state.painted.push({ type: message.type, ms: now - at, page: now - heard });
          for (const [selector, since] of awaited) {
            if (!document.querySelector(selector)) continue;
            awaited.delete(selector);
            state.cards.push(now - since);
          }
        });
      });
    }
  };
}

function play(server) {
  const child = spawn(PROGRAM, ["simulate", "--server", server.url, "--calls", String(CALLS), "--silence", String(CALL_S), "--blind", "--settle", "2"], { stdio: ["ignore", "ignore", "inherit"] });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => (code === 0 ? resolve() : reject(new Error(`simulate ended with ${code}`))));
  });
}

function tell(what, values, goal) {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (part) => (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN).toFixed(1);
  console.log(`${what}: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms of ${sorted.length}${goal === undefined ? "" : ` (goal: p95 at most ${goal} ms)`}`);
}

const parts = [drag, live];
const wanted = process.argv.slice(2);
await inBrowser(parts.filter((part) => wanted.length === 0 || wanted.includes(part.name)));
