// Who is signed in on this tab: keeps the pair of tokens, buys the next one in time, and sends requests with it.
// The tokens live in this tab's session storage: no cookie goes along by itself, and closing the tab forgets them.

const KEY = "patchcord.session";
// The next pair is bought this long before the access token ends.
const EARLY_MS = 60_000;

let refreshing = null;

export function keepTokens(answer) {
  const until = Date.now() + answer.expires_in * 1000;
  sessionStorage.setItem(KEY, JSON.stringify({ access: answer.access_token, refresh: answer.refresh_token, until }));
}

export function forgetTokens() {
  sessionStorage.removeItem(KEY);
}

export function isSignedIn() {
  return sessionStorage.getItem(KEY) !== null;
}

// The access token, fresh enough to use; null when the person has to sign in.
export async function accessToken() {
  const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  if (kept === null) return null;
  if (kept.until - EARLY_MS > Date.now()) return kept.access;
  // A refresh token works once: two requests at a time must share one exchange.
  refreshing ??= refresh(kept.refresh).finally(() => { refreshing = null; });
  return refreshing;
}

async function refresh(token) {
  const answer = await post("/api/auth/refresh", { refresh_token: token });
  if (answer.ok) {
    keepTokens(answer.body);
    return answer.body.access_token;
  }
  if (answer.status === 401) forgetTokens();
  return null;
}

// Sends a request without a token.
export function post(path, body) {
  return send("POST", path, body, null);
}

// Sends a request as the person who is signed in.
export async function call(method, path, body) {
  return send(method, path, body, await accessToken());
}

async function send(method, path, body, token) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  try {
    const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await response.text();
    return { ok: response.ok, status: response.status, body: text === "" ? null : JSON.parse(text) };
  } catch {
    return { ok: false, status: 0, body: { detail: "The server cannot be reached." } };
  }
}
