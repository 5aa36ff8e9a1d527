import { Braces } from "lucide-react";
import { DropdownMenu as Radix } from "radix-ui";
import { useTranslation } from "react-i18next";
import { useBuilder } from "../store";
import { dataAt } from "./data";

/** Puts a datum into a text, chosen from what is known at the selected step. */
export function DataPicker({ label, onPick }: { label: string; onPick: (path: string) => void }) {
  const { t } = useTranslation();
  const definition = useBuilder((state) => state.definition);
  const stepId = useBuilder((state) => state.selected.at(-1)) ?? "trigger";
  if (definition === null) return null;
  return (
    <Radix.Root>
      <Radix.Trigger className="flex items-center gap-1 rounded px-1 text-xs text-primary hover:bg-panel" aria-label={t("Insert data into {{label}}", { label })}>
        <Braces size={12} aria-hidden />
        {t("Data")}
      </Radix.Trigger>
      <Radix.Portal>
        <Radix.Content align="end" className="z-50 max-h-72 w-80 overflow-y-auto rounded-md border bg-background p-1 shadow-lg">
          {dataAt(definition, stepId).map(({ path, sample }) => (
            <Radix.Item key={path} onSelect={() => onPick(path)} className="flex cursor-pointer justify-between gap-3 rounded px-2 py-1 text-xs outline-none data-[highlighted]:bg-panel">
              <code>{path}</code>
              <span className="truncate text-muted">{sample}</span>
            </Radix.Item>
          ))}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
