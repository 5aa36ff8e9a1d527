import { MoreHorizontal } from "lucide-react";
import { DropdownMenu as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { Button } from "./button";

export interface MenuItem {
  label: string;
  icon?: ReactNode;
  isDanger?: boolean;
  isDisabled?: boolean;
  run: () => void;
}

/** A button with what else one can do. */
export function Menu({ label, items, trigger }: { label: string; items: MenuItem[]; trigger?: ReactNode }) {
  return (
    <Radix.Root>
      <Radix.Trigger asChild>
        {trigger ?? (
          <Button look="quiet" isIcon aria-label={label}>
            <MoreHorizontal size={16} aria-hidden />
          </Button>
        )}
      </Radix.Trigger>
      <Radix.Portal>
        <Radix.Content align="end" className="z-50 min-w-40 rounded-md border bg-background p-1 shadow-lg">
          {items.map((item) => (
            <Radix.Item
              key={item.label}
              disabled={item.isDisabled}
              onSelect={item.run}
              className={`flex cursor-pointer items-center gap-2 rounded px-2 py-1.5 text-sm outline-none data-[disabled]:opacity-60 data-[highlighted]:bg-panel ${item.isDanger ? "text-danger" : ""}`}
            >
              {item.icon}
              {item.label}
            </Radix.Item>
          ))}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
