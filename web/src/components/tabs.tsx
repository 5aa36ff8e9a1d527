import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef } from "react";

export interface Tab {
  id: string;
  label: string;
  content: ReactNode;
}

/** Several contents in one place. The arrow keys go from tab to tab, Tab into the content. */
export function Tabs({ tabs, label, value, onChange }: { tabs: Tab[]; label: string; value: string; onChange: (id: string) => void }) {
  const name = useId();
  const shown = tabs.find((tab) => tab.id === value) ?? tabs[0];
  const selected = useRef<HTMLButtonElement>(null);
  // On a narrow page the row of tabs scrolls: the one that is open is in sight.
  useEffect(() => {
    const [tab, row] = [selected.current, selected.current?.parentElement];
    if (!tab || !row) return;
    // The row alone: the page stays where it is.
    const [inner, outer] = [tab.getBoundingClientRect(), row.getBoundingClientRect()];
    row.scrollLeft += Math.min(0, inner.left - outer.left) + Math.max(0, inner.right - outer.right);
  }, [shown?.id, tabs.length]);
  const onKey = (event: KeyboardEvent<HTMLElement>) => {
    const at = tabs.findIndex((tab) => tab.id === shown?.id);
    const targets: Record<string, number> = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 };
    const to = targets[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs.at(to % tabs.length);
    if (next === undefined) return;
    onChange(next.id);
    document.getElementById(`${name}-${next.id}`)?.focus();
  };
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <div role="tablist" aria-label={label} onKeyDown={onKey} className="flex gap-1 overflow-x-auto border-b px-3">
        {tabs.map((tab) => (
          <button
            key={tab.id}
            ref={tab === shown ? selected : undefined}
            type="button"
            role="tab"
            id={`${name}-${tab.id}`}
            aria-selected={tab === shown}
            aria-controls={`${name}-content`}
            tabIndex={tab === shown ? 0 : -1}
            onClick={() => onChange(tab.id)}
            className="-mb-px border-b-2 border-transparent px-2.5 py-2 text-sm font-medium whitespace-nowrap text-muted aria-selected:border-primary aria-selected:text-foreground"
          >
            {tab.label}
          </button>
        ))}
      </div>
      {shown && (
        <div key={shown.id} role="tabpanel" id={`${name}-content`} aria-labelledby={`${name}-${shown.id}`} tabIndex={0} className="min-h-0 flex-1 overflow-y-auto">
          {shown.content}
        </div>
      )}
    </div>
  );
}
