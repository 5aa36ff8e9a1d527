import { AlertTriangle, Plus, Trash2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { BlockIcon } from "@/components/block-icon";
import { Button } from "@/components/button";
import { type Kind, summaryOf, titleOf, triggerSummary } from "@/lib/blocks";
import { cn } from "@/lib/cn";
import { type Definition, TRIGGER } from "@/lib/graph/definition";
import { type OutlineLine, outlineOf } from "@/lib/graph/outline";
import { problemsByStep } from "@/lib/graph/problems";
import { usePicker } from "./picker-store";
import { placeAfter } from "./place";
import { useBuilder } from "./store";

/** The same graph as a list: everything the canvas can do, by keyboard. */
export function Outline({ definition, kinds }: { definition: Definition; kinds: ReadonlyMap<string, Kind> }) {
  const { t } = useTranslation();
  const problems = useBuilder((state) => state.problems);
  const byStep = problemsByStep(problems, definition);
  return (
    <ol aria-label={t("Outline")} className="mx-auto flex h-full max-w-2xl flex-col gap-1 overflow-y-auto p-4">
      {outlineOf(definition).map((line, at) => (
        <Line key={`${line.id}-${at}`} line={line} definition={definition} kinds={kinds} problems={byStep.get(line.id)?.length ?? 0} />
      ))}
    </ol>
  );
}

interface LineProps {
  line: OutlineLine;
  definition: Definition;
  kinds: ReadonlyMap<string, Kind>;
  problems: number;
}

function Line({ line, definition, kinds, problems }: LineProps) {
  const { t } = useTranslation();
  const isSelected = useBuilder((state) => state.selected.includes(line.id));
  const played = useBuilder((state) => state.played?.get(line.id));
  const isReadOnly = useBuilder((state) => state.isReadOnly);
  const { select, remove } = useBuilder.getState();
  const title = line.step ? titleOf(line.step.type, kinds) : t("Starts when");
  const summary = line.step ? summaryOf(line.step) : triggerSummary(definition.trigger);
  const place = placeAfter(line.id);
  return (
    <li style={{ marginLeft: `${line.depth * 1.5}rem` }} className="flex items-center gap-1">
      {line.port && <span className="rounded bg-panel px-1.5 text-xs text-muted">{line.port}</span>}
      <button
        type="button"
        aria-pressed={isSelected}
        onClick={() => select([line.id])}
        className={cn("flex min-w-0 flex-1 items-center gap-2 rounded-md border p-2 text-left", isSelected ? "border-primary ring-1 ring-primary" : "border-border")}
      >
        <BlockIcon type={line.step?.type ?? TRIGGER} />
        <span className="min-w-0 flex-1">
          <span className="block truncate font-medium">{line.isAgain ? t("goes on with {{title}}", { title }) : title}</span>
          {!line.isAgain && <span className="block truncate text-xs text-muted">{summary}</span>}
        </span>
        {played && <span className="text-xs font-medium text-ok">{t(played)}</span>}
        {problems > 0 && (
          <span className="flex items-center gap-0.5 text-xs text-danger">
            <AlertTriangle size={12} aria-hidden />
            {t("{{count}} problems", { count: problems })}
          </span>
        )}
      </button>
      {!line.isAgain && !isReadOnly && (
        <>
          <Button look="quiet" isIcon disabled={place === null} aria-label={t("Add a step after {{title}}", { title })} onClick={() => place && usePicker.getState().open(place)}>
            <Plus size={14} aria-hidden />
          </Button>
          {line.step && (
            <Button look="quiet" isIcon aria-label={t("Delete {{title}}", { title })} onClick={() => remove([line.id])}>
              <Trash2 size={14} aria-hidden />
            </Button>
          )}
        </>
      )}
    </li>
  );
}
