import { Tabs as Radix } from "radix-ui";
import type { ReactNode } from "react";

export interface Tab {
  id: string;
  label: string;
  content: ReactNode;
}

export function Tabs({ tabs, label, value, onChange }: { tabs: Tab[]; label: string; value?: string; onChange?: (id: string) => void }) {
  const controlled = value === undefined ? { defaultValue: tabs[0]?.id } : { value, onValueChange: onChange };
  return (
    <Radix.Root {...controlled} className="flex min-h-0 flex-1 flex-col">
      <Radix.List aria-label={label} className="flex gap-1 border-b px-3">
        {tabs.map((tab) => (
          <Radix.Trigger
            key={tab.id}
            value={tab.id}
            className="-mb-px border-b-2 border-transparent px-2.5 py-2 text-sm font-medium text-muted data-[state=active]:border-primary data-[state=active]:text-foreground"
          >
            {tab.label}
          </Radix.Trigger>
        ))}
      </Radix.List>
      {tabs.map((tab) => (
        <Radix.Content key={tab.id} value={tab.id} className="min-h-0 flex-1 overflow-y-auto">
          {tab.content}
        </Radix.Content>
      ))}
    </Radix.Root>
  );
}
