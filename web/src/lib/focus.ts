// Keeps the keyboard's place in a list whose entries come and go.

import { type RefObject, useEffect, useRef } from "react";

const FOCUSABLE = "a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea:not(:disabled), summary, [tabindex='0']";

/**
 * When the element with the focus is taken out of the list, the focus goes to what stood after it, else to what stood before it, else to
 * the list itself.
 */
export function useHeldFocus<T extends HTMLElement>(): RefObject<T | null> {
  const list = useRef<T>(null);
  useEffect(() => {
    const box = list.current;
    return box === null ? undefined : hold(box);
  }, []);
  return list;
}

export function hold(box: HTMLElement): () => void {
  let held: HTMLElement | null = null;
  let neighbours: HTMLElement[] = [];
  const take = (event: FocusEvent) => {
    held = event.target as HTMLElement;
    neighbours = [...box.querySelectorAll<HTMLElement>(FOCUSABLE)];
  };
  const leave = () => {
    const left = held;
    // By then it is known whether somebody went elsewhere or the element was taken away.
    setTimeout(() => {
      if (left === held && left?.isConnected && document.activeElement !== left) held = null;
    });
  };
  const mend = () => {
    if (held === null || held.isConnected || (document.activeElement !== document.body && document.activeElement !== null)) return;
    const at = neighbours.indexOf(held);
    const next = [...neighbours.slice(at + 1), ...neighbours.slice(0, Math.max(at, 0)).reverse()].find((one) => one.isConnected && one.matches(FOCUSABLE));
    held = null;
    if (next === undefined) box.tabIndex = -1;
    (next ?? box).focus({ preventScroll: true });
  };
  const watching = new MutationObserver(mend);
  box.addEventListener("focusin", take);
  box.addEventListener("focusout", leave);
  watching.observe(box, { childList: true, subtree: true });
  return () => {
    watching.disconnect();
    box.removeEventListener("focusin", take);
    box.removeEventListener("focusout", leave);
  };
}
