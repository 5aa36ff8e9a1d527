// The live stream: connects, signs in with the first message, and connects again from where it was when the line breaks.

import { accessToken } from "/ui/session.js";

const WAIT_MIN_MS = 500;
const WAIT_MAX_MS = 15_000;
const PING_EVERY_MS = 20_000;
// The server looks at the token again now and then: it is told the next one before the old one ends.
const AUTH_EVERY_MS = 5 * 60_000;
const UNAUTHENTICATED = 4401;

// Calls `onMessage` for every message and `onState` with "connecting", "live", "waiting" or "signed-out".
export function watch({ onMessage, onState }) {
  let since = null;
  let wait = WAIT_MIN_MS;
  let socket = null;
  let stopped = false;

  async function connect() {
    if (stopped) return;
    onState("connecting");
    const token = await accessToken();
    if (token === null) return retryOrLeave();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/ws/supervisor`);
    socket.onopen = () => socket.send(JSON.stringify({ type: "auth", token, since }));
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.type === "ready") {
        wait = WAIT_MIN_MS;
        onState("live");
        // What comes before this place in the stream has been seen only when this is the first connection.
        since ??= message.cursor;
      }
      if (message.cursor && message.type !== "ready") since = message.cursor;
      onMessage(message);
    };
    socket.onclose = (event) => {
      if (stopped) return;
      if (event.code === UNAUTHENTICATED) wait = WAIT_MIN_MS;
      later();
    };
  }

  function retryOrLeave() {
    if (sessionStorage.getItem("patchcord.session") === null) onState("signed-out");
    else later();
  }

  function later() {
    onState("waiting");
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, WAIT_MAX_MS);
  }

  function say(message) {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  }

  const ping = setInterval(() => say({ type: "ping" }), PING_EVERY_MS);
  const auth = setInterval(async () => {
    const token = await accessToken();
    if (token !== null) say({ type: "auth", token });
  }, AUTH_EVERY_MS);

  connect();
  return {
    stop() {
      stopped = true;
      clearInterval(ping);
      clearInterval(auth);
      socket?.close();
    },
  };
}
