import { Braces } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Menu } from "@/components/menu";
import { useBuilder } from "../store";
import { dataAt } from "./data";

/** Puts a datum into a text, chosen from what is known at the selected step. */
export function DataPicker({ label, onPick }: { label: string; onPick: (path: string) => void }) {
  const { t } = useTranslation();
  const definition = useBuilder((state) => state.definition);
  const trial = useBuilder((state) => state.trial);
  const stepId = useBuilder((state) => state.selected.at(-1)) ?? "trigger";
  if (definition === null) return null;
  return (
    <Menu
      label={t("Insert data into {{label}}", { label })}
      look="quiet"
      className="-my-1 -mr-2 text-xs text-primary"
      face={
        <>
          <Braces size={12} aria-hidden />
          {t("Data")}
          <span className="sr-only">{t("for {{label}}", { label })}</span>
        </>
      }
      items={dataAt(definition, stepId, trial).map(({ path, sample }) => ({ label: path, hint: sample, run: () => onPick(path) }))}
    />
  );
}
