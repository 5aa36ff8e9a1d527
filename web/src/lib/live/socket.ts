// The live stream: connects, signs in with the first message, and connects again from where it was when the line breaks.

import { accessToken, isSignedIn } from "../session";
import type { LiveMessage } from "./messages";

export type LineState = "connecting" | "live" | "waiting" | "signed-out";

const WAIT_MIN_MS = 500;
const WAIT_MAX_MS = 15_000;
const PING_EVERY_MS = 20_000;
// The server looks at the token again now and then: it is told the next one before the old one ends.
const AUTH_EVERY_MS = 5 * 60_000;

export interface Watcher {
  onMessages: (messages: LiveMessage[]) => void;
  onState: (state: LineState) => void;
}

/** Watches until the returned function is called. Messages of one frame come together: the page draws once for all of them. */
export function watch({ onMessages, onState }: Watcher): () => void {
  let since: string | null = null;
  let wait = WAIT_MIN_MS;
  let socket: WebSocket | null = null;
  let isStopped = false;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let queued: LiveMessage[] = [];
  let frame = 0;

  const flush = () => {
    frame = 0;
    const messages = queued;
    queued = [];
    onMessages(messages);
  };

  const take = (message: LiveMessage) => {
    if (message.type === "ready") {
      wait = WAIT_MIN_MS;
      onState("live");
      since ??= message.cursor ?? null;
    } else if (message.cursor !== undefined) {
      since = message.cursor;
    }
    queued.push(message);
    frame ||= requestAnimationFrame(flush);
  };

  const later = () => {
    if (isStopped) return;
    onState("waiting");
    retry = setTimeout(() => void connect(), wait);
    wait = Math.min(wait * 2, WAIT_MAX_MS);
  };

  const connect = async () => {
    onState("connecting");
    const token = await accessToken();
    if (isStopped) return;
    if (token === null) {
      if (isSignedIn()) later();
      else onState("signed-out");
      return;
    }
    socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/supervisor`);
    socket.onopen = () => say({ type: "auth", token, since });
    socket.onmessage = (event) => take(JSON.parse(String(event.data)) as LiveMessage);
    socket.onclose = later;
  };

  const say = (message: object) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };

  const ping = setInterval(() => say({ type: "ping" }), PING_EVERY_MS);
  const auth = setInterval(() => {
    void accessToken().then((token) => token !== null && say({ type: "auth", token }));
  }, AUTH_EVERY_MS);

  void connect();
  return () => {
    isStopped = true;
    clearInterval(ping);
    clearInterval(auth);
    clearTimeout(retry);
    cancelAnimationFrame(frame);
    socket?.close();
  };
}
