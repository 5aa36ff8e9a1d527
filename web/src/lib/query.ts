// The cache of what the server said, and the keys it is found by.

import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "./api";

const RETRIES_MAX = 2;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 10_000,
      // What the server refused stays refused; a lost line may come back.
      retry: (count, error) => count < RETRIES_MAX && (!(error instanceof ApiError) || error.status === 0 || error.status >= 500),
    },
  },
});

export const keys = {
  me: ["me"] as const,
  account: ["account"] as const,
  blocks: ["blocks"] as const,
  workflows: ["workflows"] as const,
  workflow: (id: string) => ["workflows", id] as const,
  history: (id: string) => ["workflows", id, "history"] as const,
  versions: (id: string) => ["workflows", id, "versions"] as const,
  templates: ["templates"] as const,
  runs: ["runs"] as const,
  run: (id: string) => ["runs", id] as const,
  calls: ["calls"] as const,
  // Told by the live stream from then on: not asked again with the lists of calls.
  transcript: (id: string) => ["transcripts", id] as const,
  lookBack: ["look-back"] as const,
  alerts: ["alerts"] as const,
  leads: ["leads"] as const,
  duplicates: ["leads", "duplicates"] as const,
  lead: (id: string) => ["leads", id] as const,
  // For links to it: not asked again with the lists of leads.
  leadName: (id: string) => ["lead-names", id] as const,
  timeline: (id: string) => ["leads", id, "timeline"] as const,
  imports: ["imports"] as const,
  import: (id: string) => ["imports", id] as const,
  appointments: ["appointments"] as const,
  quotes: ["quotes"] as const,
  payments: ["payments"] as const,
  tasks: ["tasks"] as const,
  messages: ["messages"] as const,
  users: ["users"] as const,
  audit: ["audit"] as const,
  sessions: ["sessions"] as const,
  apiKeys: ["keys"] as const,
  webhooks: ["webhooks"] as const,
  webhook: (id: string) => ["webhooks", id] as const,
  numbers: ["numbers"] as const,
  agents: ["agents"] as const,
  catalogue: ["catalogue"] as const,
};
