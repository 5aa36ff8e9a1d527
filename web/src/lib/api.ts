// The server's API, typed by its own OpenAPI document.
// In: typed requests. Out: the answer's body, or an `ApiError` that carries the server's problem.

import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./api-types";
import { accessToken, forgetTokens, heldToken } from "./session";

export type Schemas = components["schemas"];

type Problem = Schemas["ProblemDetails"];

/** Why a request was not carried out. `status` 0: the server could not be reached. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;
  readonly fields: { field: string; message: string }[];

  constructor(status: number, code: string, detail: string, fields: { field: string; message: string }[] = []) {
    super(detail);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

const session: Middleware = {
  async onRequest({ request }) {
    // What is to outlive the page cannot wait for the next pair.
    const token = request.keepalive ? heldToken() : await accessToken();
    if (token !== null) request.headers.set("Authorization", `Bearer ${token}`);
    return request;
  },
  async onResponse({ response, schemaPath }) {
    if (response.ok) return response;
    // At the sign-in door 401 means a wrong password, not a session that is over.
    if (response.status === 401 && !schemaPath.startsWith("/api/auth/")) forgetTokens();
    throw await errorOf(response);
  },
  onError({ error }) {
    if (error instanceof ApiError) return error;
    return new ApiError(0, "unreachable", "The server cannot be reached. Check the connection; what you do is kept here until it is back.");
  },
};

async function errorOf(response: Response): Promise<ApiError> {
  try {
    const problem = (await response.json()) as Problem;
    const fields = problem.errors ?? [];
    const detail = fields.length > 0 ? fields.map((one) => (one.field ? `${one.field}: ${one.message}` : one.message)).join("\n") : problem.detail;
    return new ApiError(response.status, problem.code, detail, fields);
  } catch {
    return new ApiError(response.status, "unreadable", `The server answered ${response.status} without saying why.`);
  }
}

export const api = createClient<paths>({
  baseUrl: globalThis.location?.origin ?? "",
  // Looked up at each request, so that tests can put a server of their own behind it.
  fetch: (request) => globalThis.fetch(request),
});
api.use(session);

/** The body of an answer. Failures have been thrown as `ApiError` before this sees them. */
export async function body<T>(call: Promise<{ data?: T }>): Promise<T> {
  const { data } = await call;
  return data as T;
}

/** Where a record is changed, with the revision that was read: the server refuses the change when somebody else was faster. */
export function asRead({ id, revision }: { id: string; revision: number }) {
  return { params: { path: { id }, header: { "If-Match": `"${revision}"` } } };
}

/** As many pages of a list are asked for at most: 1,000 entries. */
const PAGES_MAX = 5;

/** A list that is shown whole, page after page. */
export async function wholeList<T>(ask: (page: { limit: number; cursor?: string }) => Promise<{ items: T[]; next_cursor?: string | null }>): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer = await ask({ limit: 200, cursor });
    items.push(...answer.items);
    if (!answer.next_cursor) break;
    cursor = answer.next_cursor;
  }
  return items;
}
