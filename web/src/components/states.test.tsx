import type { UseQueryResult } from "@tanstack/react-query";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, it } from "vitest";
import "@/lib/i18n";
import { ApiError } from "@/lib/api";
import { Answer, Empty } from "./states";

function shown(query: { data?: string[]; error: Error | null }): string {
  const result = query as unknown as UseQueryResult<string[], Error>;
  return renderToStaticMarkup(<Answer query={result}>{(items) => (items.length === 0 ? <Empty title="Nothing" text="Do this." /> : <p>{items.join()}</p>)}</Answer>);
}

it("says that it loads while the server is slow", () => {
  expect(shown({ error: null })).toContain('role="status"');
});

it("says what went wrong and offers to try again", () => {
  const html = shown({ error: new ApiError(503, "busy", "The server is busy: try again") });
  expect(html).toContain('role="alert"');
  expect(html).toContain("The server is busy: try again");
  expect(html).toContain("Try again");
});

it("says what to do when there is nothing", () => {
  expect(shown({ data: [], error: null })).toContain("Do this.");
});

it("keeps what it has when asking again failed", () => {
  expect(shown({ data: ["kept"], error: new Error("later") })).toContain("kept");
});
