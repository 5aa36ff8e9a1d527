import { MoreHorizontal } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { cn } from "@/lib/cn";
import { Button, type ButtonProps } from "./button";

export interface MenuItem {
  label: string;
  /** At the right: what the choice stands for. */
  hint?: string;
  icon?: ReactNode;
  isDanger?: boolean;
  isDisabled?: boolean;
  run: () => void;
}

interface MenuProps extends Pick<ButtonProps, "look" | "disabled" | "className"> {
  label: string;
  items: MenuItem[];
  /** What the button shows; three dots when left out. */
  face?: ReactNode;
}

const GAP = 4;

/** A button with what else one can do. The list is a popover: above everything, closed by Escape or a click elsewhere. */
export function Menu({ label, items, face, ...button }: MenuProps) {
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLSpanElement>(null);
  const [isOpen, setIsOpen] = useState(false);
  useClosedByScroll(box, isOpen);
  const choose = (item: MenuItem) => {
    // Closed first: the focus is back at the button before anything else takes it.
    box.current?.hidePopover();
    item.run();
  };
  return (
    <span ref={opener} className="inline-flex">
      <Button
        popoverTarget={id}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-label={face === undefined ? label : undefined}
        look={face === undefined ? "quiet" : "plain"}
        isIcon={face === undefined}
        onKeyDown={(event) => {
          if (event.key !== "ArrowDown") return;
          event.preventDefault();
          box.current?.showPopover();
        }}
        {...button}
      >
        {face ?? <MoreHorizontal size={16} aria-hidden />}
      </Button>
      <div
        ref={box}
        id={id}
        popover="auto"
        role="menu"
        aria-label={label}
        onBeforeToggle={(event) => {
          setIsOpen(event.newState === "open");
          if (event.newState === "open") place(event.currentTarget, opener.current);
        }}
        onToggle={(event) => {
          if (event.newState !== "open") return;
          lift(event.currentTarget, opener.current);
          itemsOf(event.currentTarget)[0]?.focus();
        }}
        onKeyDown={onKey}
        className="inset-auto m-0 max-h-72 min-w-40 overflow-y-auto rounded-md border bg-background p-1 text-foreground shadow-lg"
      >
        {isOpen &&
          items.map((item, at) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              // One of them, or a list that scrolls could not be come to by Tab.
              tabIndex={at === 0 ? 0 : -1}
              disabled={item.isDisabled}
              onClick={() => choose(item)}
              className={cn(
                "flex w-full items-center gap-2 rounded px-2 py-1.5 text-left text-sm hover:bg-panel focus:bg-panel focus:outline-none disabled:opacity-60",
                item.isDanger && "text-danger",
              )}
            >
              {item.icon}
              {item.label}
              {item.hint !== undefined && <span className="ml-auto max-w-40 truncate pl-3 text-xs text-muted">{item.hint}</span>}
            </button>
          ))}
      </div>
    </span>
  );
}

/** Below the button, right edges in line. */
function place(menu: HTMLElement, opener: HTMLElement | null): void {
  const at = opener?.getBoundingClientRect();
  if (at === undefined) return;
  menu.style.top = `${at.bottom + GAP}px`;
  menu.style.right = `${Math.max(GAP, document.documentElement.clientWidth - at.right)}px`;
}

/** Above the button where there is no room below. */
function lift(menu: HTMLElement, opener: HTMLElement | null): void {
  const at = opener?.getBoundingClientRect();
  const { height, bottom } = menu.getBoundingClientRect();
  if (at !== undefined && bottom > innerHeight && at.top > height + GAP) menu.style.top = `${at.top - height - GAP}px`;
}

function itemsOf(menu: HTMLElement): HTMLElement[] {
  return [...menu.querySelectorAll<HTMLElement>("[role=menuitem]:not(:disabled)")];
}

function onKey(event: KeyboardEvent<HTMLElement>): void {
  const items = itemsOf(event.currentTarget);
  const at = items.indexOf(document.activeElement as HTMLElement);
  const to = targetOf(event.key, at, items);
  if (event.key === "Tab") event.currentTarget.hidePopover();
  if (to === undefined) return;
  event.preventDefault();
  to.focus();
}

/** Arrows go round, Home and End to the ends, a letter to the next item that begins with it. */
function targetOf(key: string, at: number, items: HTMLElement[]): HTMLElement | undefined {
  if (key === "ArrowDown") return items[(at + 1) % items.length];
  if (key === "ArrowUp") return items.at(at <= 0 ? -1 : at - 1);
  if (key === "Home") return items[0];
  if (key === "End") return items.at(-1);
  if (key.length !== 1 || key === " ") return undefined;
  const begins = (item: HTMLElement) => item.textContent?.toLowerCase().startsWith(key.toLowerCase());
  return [...items.slice(at + 1), ...items.slice(0, at + 1)].find(begins);
}

/** A menu that stays where its button no longer is would lie. */
function useClosedByScroll(box: React.RefObject<HTMLElement | null>, isOpen: boolean): void {
  useEffect(() => {
    if (!isOpen) return;
    const close = (event: Event) => {
      if (event.target instanceof Node && box.current?.contains(event.target)) return;
      box.current?.hidePopover();
    };
    window.addEventListener("scroll", close, true);
    window.addEventListener("resize", close);
    return () => {
      window.removeEventListener("scroll", close, true);
      window.removeEventListener("resize", close);
    };
  }, [box, isOpen]);
}
