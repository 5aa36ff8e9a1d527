import { Copy, CopyPlus, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { BlockIcon } from "@/components/block-icon";
import { Button } from "@/components/button";
import { type Kind, summaryOf, titleOf } from "@/lib/blocks";
import type { Step } from "@/lib/graph/definition";
import { toastError, toastInfo } from "@/lib/toast";
import { copied, doubleSelected, removeSelected } from "../clipboard";
import { useBuilder } from "../store";

/** What can be done with all steps that are selected at once. */
export function SeveralSteps({ steps, kinds }: { steps: Step[]; kinds: ReadonlyMap<string, Kind> }) {
  const { t } = useTranslation();
  const isReadOnly = useBuilder((state) => state.isReadOnly);
  const select = useBuilder((state) => state.select);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(copied() ?? "");
      toastInfo(t("Copied: paste them with Ctrl-V, here or in another workflow"));
    } catch {
      toastError(new Error(t("This browser does not let a button copy: press Ctrl-C")));
    }
  };
  return (
    <div className="flex flex-col gap-3 p-3">
      <div className="flex flex-wrap gap-2">
        <Button onClick={() => void copy()}>
          <Copy size={14} aria-hidden />
          {t("Copy")}
        </Button>
        {!isReadOnly && (
          <>
            <Button onClick={doubleSelected}>
              <CopyPlus size={14} aria-hidden />
              {t("Duplicate")}
            </Button>
            <Button look="danger" onClick={removeSelected}>
              <Trash2 size={14} aria-hidden />
              {t("Delete")}
            </Button>
          </>
        )}
      </div>
      <ul aria-label={t("Selected steps")} className="flex flex-col gap-1">
        {steps.map((step) => (
          <li key={step.id}>
            <button type="button" onClick={() => select([step.id])} className="flex w-full items-center gap-2 rounded-md border p-2 text-left hover:border-primary">
              <BlockIcon type={step.type} />
              <span className="min-w-0 flex-1">
                <span className="block truncate font-medium">{titleOf(step.type, kinds)}</span>
                <span className="block truncate text-xs text-muted">{summaryOf(step)}</span>
              </span>
            </button>
          </li>
        ))}
      </ul>
      <p className="text-xs text-muted">{t("Ctrl-C copies, Ctrl-X cuts, Ctrl-V pastes, Ctrl-D duplicates, Ctrl-A selects all, Delete removes them.")}</p>
    </div>
  );
}
