// This tab's own name, by which it keeps what nobody else has yet, and which of the tabs with such names are still open.
//
// A name lives in the session storage, so it stays through a reload; a duplicated tab is given a copy of it. A lock, which the
// browser frees when a tab is gone in whatever way, tells the two apart.

const KEY = "patchcord.tab";
const LOCK = "patchcord.tab.";
/** A page that is loaded again may have to wait for its former self to be gone. */
const CLAIM_MS = 400;

let name = sessionStorage.getItem(KEY) ?? fresh();

/** Makes the name this tab's own. Called once, before any page is drawn. */
export async function claimTab(): Promise<void> {
  if (!(await holds(name))) {
    name = fresh();
    await holds(name);
  }
  sessionStorage.setItem(KEY, name);
}

export function tabName(): string {
  return name;
}

/** The names that open tabs hold. Without locks, as over plain http, no tab but this one is known to be open. */
export async function openTabs(): Promise<ReadonlySet<string>> {
  const held = (await locks()?.query())?.held ?? [];
  return new Set([name, ...held.map((lock) => lock.name ?? "").filter((lock) => lock.startsWith(LOCK)).map((lock) => lock.slice(LOCK.length))]);
}

/** Takes the lock of a name for as long as this page lives; false when another tab has it. */
function holds(wanted: string): Promise<boolean> {
  const manager = locks();
  if (manager === undefined) return Promise.resolve(true);
  return new Promise((resolve) => {
    const forever = () => {
      resolve(true);
      return new Promise<never>(() => undefined);
    };
    manager.request(LOCK + wanted, { signal: AbortSignal.timeout(CLAIM_MS) }, forever).catch(() => resolve(false));
  });
}

function locks(): LockManager | undefined {
  // Absent where the page did not come over a secure connection, whatever its type says.
  return navigator.locks as LockManager | undefined;
}

function fresh(): string {
  return Math.random().toString(36).slice(2);
}
