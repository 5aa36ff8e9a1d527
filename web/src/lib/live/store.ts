// The floor as the pages see it. `start` watches the stream for as long as somebody is signed in.

import { create } from "zustand";
import type { QueryKey } from "@tanstack/react-query";
import { keys, queryClient } from "../query";
import { EMPTY, type Floor, fold } from "./floor";
import type { LiveMessage } from "./messages";
import { type LineState, watch } from "./socket";

interface LiveState {
  line: LineState;
  floor: Floor;
  change: (change: (floor: Floor) => Floor) => void;
}

export const useLive = create<LiveState>((set, get) => ({
  line: "connecting",
  floor: EMPTY,
  change: (change) => set({ floor: change(get().floor) }),
}));

/** Lists are asked again this long after the stream said that they changed, at most once in that time. */
const REFRESH_MS = 400;

export function startLive(): () => void {
  const stale = new Map<string, QueryKey>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const refresh = () => {
    timer = undefined;
    for (const key of stale.values()) void queryClient.invalidateQueries({ queryKey: key });
    stale.clear();
  };
  const stop = watch({
    onState: (line) => useLive.setState({ line }),
    onMessages: (messages) => {
      useLive.setState({ floor: messages.reduce(fold, useLive.getState().floor) });
      for (const key of messages.flatMap(changedBy)) stale.set(key.join("/"), key);
      if (stale.size > 0) timer ??= setTimeout(refresh, REFRESH_MS);
    },
  });
  return () => {
    stop();
    clearTimeout(timer);
    useLive.setState({ floor: EMPTY, line: "connecting" });
  };
}

/** Which answers of the server are out of date by a message. */
function changedBy(message: LiveMessage): QueryKey[] {
  switch (message.type) {
    case "run.started":
    case "run.ended":
      return [keys.runs, keys.tasks, keys.messages, keys.workflows];
    case "run.step":
      return [keys.run(message.run_id), keys.messages];
    case "call.started":
    case "call.ended":
      return [keys.calls, keys.leads];
    case "alert.raised":
      // A run that waits for a person's word has not ended: its alert is how lists hear of it.
      return message.alert.run_id ? [keys.runs] : [];
    case "gap":
      return [keys.runs, keys.calls, keys.alerts, keys.tasks, keys.messages];
    default:
      return [];
  }
}
