import { AlertTriangle } from "lucide-react";
import { useTranslation } from "react-i18next";
import { BlockIcon } from "@/components/block-icon";
import { cn } from "@/lib/cn";
import { words } from "@/lib/words";

export interface StepCardProps {
  type: string;
  title: string;
  summary: string;
  /** The status of the step in the run or dry run that is shown. */
  status?: string;
  problems?: number;
  isSelected?: boolean;
}

const RINGS: Record<string, string> = {
  done: "border-ok",
  failed: "border-danger",
  refused: "border-danger",
  unknown: "border-warn",
  waiting: "border-warn flow-active",
  started: "border-primary flow-active",
  // Between two versions.
  added: "border-ok",
  changed: "border-primary",
  removed: "border-danger border-dashed opacity-80",
};

/** One step, as every canvas draws it. */
export function StepCard({ type, title, summary, status, problems = 0, isSelected }: StepCardProps) {
  const { t } = useTranslation();
  return (
    <div
      className={cn(
        "flex h-[76px] w-[248px] items-center gap-2.5 rounded-lg border-2 bg-background px-3 text-left shadow-sm",
        status ? RINGS[status] : isSelected ? "border-primary" : problems > 0 ? "border-danger" : "border-border",
        isSelected && "ring-2 ring-primary",
      )}
    >
      <span className={cn("grid size-9 shrink-0 place-items-center rounded-md", type === "trigger" ? "bg-warn-soft text-warn" : "bg-info-soft text-info")}>
        <BlockIcon type={type} />
      </span>
      <span className="min-w-0 flex-1">
        <span className="block truncate text-sm font-semibold">{title}</span>
        <span className="block truncate text-xs text-muted">{summary}</span>
        {status && <span className="block text-[11px] font-medium">{t(words(status))}</span>}
      </span>
      {problems > 0 && (
        <span className="flex items-center gap-0.5 rounded-full bg-danger-soft px-1.5 py-0.5 text-xs font-semibold text-danger">
          <AlertTriangle size={12} aria-hidden />
          {problems}
        </span>
      )}
    </div>
  );
}
