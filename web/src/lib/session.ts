// Who is signed in on this tab: keeps the pair of tokens and buys the next one in time.
// The tokens live in the tab's session storage: no cookie goes along by itself, and closing the tab forgets them.

const KEY = "patchcord.session";
// The next pair is bought this long before the access token ends.
const EARLY_MS = 60_000;

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

type Listener = () => void;

const listeners = new Set<Listener>();
let refreshing: Promise<string | null> | null = null;

export function keepTokens(pair: TokenPair): void {
  const kept: Kept = { access: pair.access_token, refresh: pair.refresh_token, until: Date.now() + pair.expires_in * 1000 };
  sessionStorage.setItem(KEY, JSON.stringify(kept));
  tell();
}

export function forgetTokens(): void {
  sessionStorage.removeItem(KEY);
  tell();
}

export function isSignedIn(): boolean {
  return sessionStorage.getItem(KEY) !== null;
}

/** Calls `listener` when somebody signs in or out; returns how to stop. */
export function onSessionChange(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The access token, fresh enough to use; null when the person has to sign in. */
export async function accessToken(): Promise<string | null> {
  const text = sessionStorage.getItem(KEY);
  if (text === null) return null;
  const kept = JSON.parse(text) as Kept;
  if (kept.until - EARLY_MS > Date.now()) return kept.access;
  // A refresh token works once: requests at the same time share one exchange.
  refreshing ??= refresh(kept).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

async function refresh(kept: Kept): Promise<string | null> {
  try {
    const response = await fetch("/api/auth/refresh", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ refresh_token: kept.refresh }),
    });
    if (response.ok) {
      const pair = (await response.json()) as TokenPair;
      keepTokens(pair);
      return pair.access_token;
    }
    if (response.status === 401) forgetTokens();
    return null;
  } catch {
    // The line is down: the old token may still do until the server says otherwise.
    return kept.access;
  }
}

function tell(): void {
  for (const listener of listeners) listener();
}
