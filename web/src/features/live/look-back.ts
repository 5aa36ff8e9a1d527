// What was there before the stream began, or what it missed: asked from the API and laid under the stream.

import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, body } from "@/lib/api";
import { takeAlerts, takeCall, takeLines, takeRuns } from "@/lib/live/floor";
import { useLive } from "@/lib/live/store";
import { keys } from "@/lib/query";

/** Calls and runs that are shown from before the page was opened. */
const BEFORE = 20;

/** Newest calls, alerts and runs; returns how asking for them went. */
export function useLookBack() {
  const gaps = useLive((state) => state.floor.gaps);
  const change = useLive((state) => state.change);
  const query = useQuery({
    queryKey: [...keys.lookBack, gaps],
    queryFn: async () => {
      const [calls, alerts, runs, workflows] = await Promise.all([
        body(api.GET("/api/calls", { params: { query: { limit: BEFORE } } })),
        body(api.GET("/api/alerts", { params: { query: { limit: 50 } } })),
        body(api.GET("/api/runs", { params: { query: { limit: BEFORE } } })),
        body(api.GET("/api/workflows", { params: { query: { limit: 200 } } })),
      ]);
      const names = new Map(workflows.items.map((workflow) => [workflow.id, workflow.name]));
      return { calls: calls.items, alerts: alerts.items, runs: runs.items, names };
    },
  });
  useEffect(() => {
    if (query.data === undefined) return;
    const { calls, alerts, runs, names } = query.data;
    change((floor) => takeRuns(takeAlerts(calls.reduce(takeCall, floor), alerts), runs, (id) => names.get(id) ?? ""));
  }, [query.data, change]);
  return query;
}

/** Everything said in a call so far. */
export function useTranscript(callId: string) {
  const change = useLive((state) => state.change);
  const gaps = useLive((state) => state.floor.gaps);
  const query = useQuery({
    queryKey: [...keys.transcript(callId), gaps],
    queryFn: () => body(api.GET("/api/calls/{id}/transcript", { params: { path: { id: callId } } })),
  });
  useEffect(() => {
    if (query.data) change((floor) => takeLines(floor, callId, query.data.items));
  }, [query.data, callId, change]);
  return query.error;
}
