// The server's description of what workflows are built from, and short readings of a step.

import { useQuery } from "@tanstack/react-query";
import { api, body, type Schemas } from "./api";
import type { Step, Trigger } from "./graph/definition";
import { keys } from "./query";
import { sentence, words } from "./words";

export type Kind = Schemas["KindInfo"];
export type Blocks = Schemas["Blocks"];

export function useBlocks() {
  return useQuery({
    queryKey: keys.blocks,
    queryFn: () => body(api.GET("/api/workflows/blocks")),
    // The program that serves the page serves them: they change with it only.
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function kindsOf(blocks: Blocks | undefined): Map<string, Kind> {
  return new Map((blocks?.nodes ?? []).map((kind) => [kind.type, kind]));
}

/** Params that say best what a step does, the first that is there. */
const TELLING = ["body", "text", "title", "subject", "if", "for", "until", "event", "url", "items", "say", "stage", "rule", "value", "reason", "workflow", "mode"];

export function summaryOf(step: Step): string {
  for (const name of TELLING) {
    const value = step.params[name];
    if (typeof value === "string" && value !== "") return value;
    if (Array.isArray(value) && value.length > 0) return value.map(String).join(", ");
  }
  return "";
}

export function triggerSummary(trigger: Trigger): string {
  const params = ["cron", "name", "after"].map((name) => trigger[name]).filter((value) => typeof value === "string");
  return [sentence(trigger.type), ...params, trigger.filter ? `if ${trigger.filter}` : ""].filter(Boolean).join(" · ");
}

export function titleOf(type: string, kinds: ReadonlyMap<string, Kind>): string {
  return kinds.get(type)?.title ?? sentence(words(type));
}
