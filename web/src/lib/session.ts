// Who is signed in on this tab: keeps the pair of tokens and buys the next one in time.
//
// The tokens live in the tab's session storage: no cookie goes along by itself, nothing is left on the disk when the last tab is
// closed. Tabs of this origin hand them to one another over a channel: another tab is signed in at once, and a refresh token,
// which works once, is exchanged by one tab for all that share it.

const KEY = "patchcord.session";
// The next pair is bought this long before the access token ends.
const EARLY_MS = 60_000;
// How long a tab that opens waits for another to hand over its session.
const ASK_MS = 150;
// What another tab bought while this one waited for its turn may still be on its way.
const NEWS_MS = 50;

interface Kept {
  access: string;
  refresh: string;
  until: number;
}

export interface TokenPair {
  access_token: string;
  refresh_token: string;
  expires_in: number;
}

/** What tabs tell one another. */
type Word = { say: "who" } | { say: "here"; kept: Kept } | { say: "next"; kept: Kept; instead: string } | { say: "gone"; refresh: string };

type Listener = () => void;
const listeners = new Set<Listener>();
let refreshing: Promise<string | null> | null = null;
let isAsking = false;

// A test runs without one.
const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(KEY);
channel?.addEventListener("message", (event: MessageEvent<Word>) => hear(event.data));

function hear(word: Word): void {
  const own = kept();
  switch (word.say) {
    case "who":
      if (own !== null) say({ say: "here", kept: own });
      break;
    case "here":
      if (own === null && isAsking) keep(word.kept);
      break;
    case "next":
      if (own?.refresh === word.instead) keep(word.kept);
      break;
    case "gone":
      if (own?.refresh === word.refresh) forget();
      break;
  }
}

function say(word: Word): void {
  channel?.postMessage(word);
}

/** Takes over the session of another open tab, where there is one. Called once, before any page is drawn. */
export async function shareSession(): Promise<void> {
  // Without locks two tabs would exchange the same refresh token, which ends the session.
  if (isSignedIn() || channel === null || locks() === undefined) return;
  isAsking = true;
  let stop = () => {};
  const heard = new Promise<void>((resolve) => {
    stop = onSessionChange(resolve);
  });
  say({ say: "who" });
  await Promise.race([heard, pause(ASK_MS)]);
  stop();
  isAsking = false;
}

export function keepTokens(pair: TokenPair): void {
  keep({ access: pair.access_token, refresh: pair.refresh_token, until: Date.now() + pair.expires_in * 1000 });
}

export function forgetTokens(): void {
  const own = kept();
  if (own !== null) say({ say: "gone", refresh: own.refresh });
  forget();
}

function keep(next: Kept): void {
  sessionStorage.setItem(KEY, JSON.stringify(next));
  tell();
}

function forget(): void {
  sessionStorage.removeItem(KEY);
  tell();
}

function kept(): Kept | null {
  return JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Kept | null;
}

export function isSignedIn(): boolean {
  return sessionStorage.getItem(KEY) !== null;
}

/** Calls `listener` when somebody signs in or out; returns how to stop. */
export function onSessionChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

/** The access token, fresh enough to use; null when the person has to sign in. */
export async function accessToken(): Promise<string | null> {
  const own = kept();
  if (own === null || isFresh(own)) return own?.access ?? null;
  // Requests at the same time share one exchange.
  refreshing ??= inTurn(refresh).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

/** The access token as it is, however old. */
export function heldToken(): string | null {
  return kept()?.access ?? null;
}

function isFresh({ until }: Kept): boolean {
  return until - EARLY_MS > Date.now();
}

/** One tab after the other. */
async function inTurn(buy: () => Promise<string | null>): Promise<string | null> {
  return locks()?.request(KEY, buy) ?? buy();
}

/** Browsers give locks to pages that came over a secure connection, whatever the type says. */
function locks(): LockManager | undefined {
  return navigator.locks as LockManager | undefined;
}

async function refresh(): Promise<string | null> {
  await pause(NEWS_MS);
  const own = kept();
  if (own === null || isFresh(own)) return own?.access ?? null;
  try {
    const response = await fetch("/api/auth/refresh", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ refresh_token: own.refresh }),
    });
    if (response.ok) {
      keepTokens((await response.json()) as TokenPair);
      const next = kept();
      if (next !== null) say({ say: "next", kept: next, instead: own.refresh });
      return next?.access ?? null;
    }
    if (response.status === 401) forgetTokens();
    return null;
  } catch {
    // The line is down: the old token may still do until the server says otherwise.
    return own.access;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function tell(): void {
  for (const listener of listeners) listener();
}
