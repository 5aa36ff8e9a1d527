import { Link } from "@tanstack/react-router";
import { ArrowLeft, History, LayoutGrid, ListTree, Network, Play, Plus, Redo2, Send, StickyNote, Undo2 } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Input } from "@/components/field";
import type { Schemas } from "@/lib/api";
import { type Definition, TRIGGER } from "@/lib/graph/definition";
import { NODE_WIDTH, positionsOf } from "@/lib/graph/layout";
import { usePicker } from "./picker-store";
import { placeAfterSelection } from "./place";
import { SaveBadge } from "./save-badge";
import { useBuilder } from "./store";

const NOTE_GAP = 24;

export type View = "canvas" | "outline";

interface ToolbarProps {
  workflow: Schemas["Workflow"];
  definition: Definition;
  view: View;
  onView: (view: View) => void;
  onTest: () => void;
  onVersions: () => void;
  onPublish: () => void;
}

export function Toolbar({ workflow, definition, view, onView, onTest, onVersions, onPublish }: ToolbarProps) {
  const { t } = useTranslation();
  const { isReadOnly, problems, rename } = useBuilder();
  return (
    <div role="toolbar" aria-label={t("Workflow")} className="flex flex-wrap items-center gap-2 border-b p-2">
      <Link to="/workflows" aria-label={t("Back to the workflows")} className="grid size-8 place-items-center rounded-md hover:bg-panel">
        <ArrowLeft size={16} aria-hidden />
      </Link>
      <Input aria-label={t("Name of the workflow")} value={definition.name} maxLength={200} readOnly={isReadOnly} onChange={(event) => rename(event.target.value)} className="max-w-56 min-w-32 flex-1 border-transparent font-semibold hover:border-control" />
      {workflow.published_version ? <Badge tone={workflow.enabled ? "ok" : "plain"}>{`v${workflow.published_version} ${workflow.enabled ? t("on") : t("off")}`}</Badge> : <Badge tone="warn">{t("Draft")}</Badge>}
      {!isReadOnly && <SaveBadge />}
      {problems.length > 0 && <Badge tone="danger">{t("{{count}} problems", { count: problems.length })}</Badge>}
      <div className="ml-auto flex flex-wrap items-center gap-1">
        {!isReadOnly && <Edits definition={definition} view={view} />}
        <Button look="quiet" aria-pressed={view === "outline"} onClick={() => onView(view === "outline" ? "canvas" : "outline")}>
          {view === "outline" ? <Network size={16} aria-hidden /> : <ListTree size={16} aria-hidden />}
          {view === "outline" ? t("Canvas") : t("Outline")}
        </Button>
        {!isReadOnly && (
          <Button onClick={add}>
            <Plus size={16} aria-hidden />
            {t("Add a step")}
          </Button>
        )}
        <Button onClick={onVersions}>
          <History size={16} aria-hidden />
          {t("Versions")}
        </Button>
        <Button onClick={onTest}>
          <Play size={16} aria-hidden />
          {t("Dry run")}
        </Button>
        {!isReadOnly && (
          <Button look="primary" onClick={onPublish}>
            <Send size={16} aria-hidden />
            {t("Publish")}
          </Button>
        )}
      </div>
    </div>
  );
}

function Edits({ definition, view }: Pick<ToolbarProps, "definition" | "view">) {
  const { t } = useTranslation();
  const { past, future, undo, redo, tidy, addNote } = useBuilder();
  /** Beside the selected step, each a little lower than the one before. */
  const note = () => {
    const places = positionsOf(definition);
    const [x, y] = places[useBuilder.getState().selected.at(-1) ?? TRIGGER] ?? [0, 0];
    addNote(t("Write here"), [x + NODE_WIDTH + NOTE_GAP, y + (definition.notes?.length ?? 0) * NOTE_GAP]);
  };
  return (
    <>
      <Button look="quiet" isIcon aria-label={t("Undo")} disabled={past.length === 0} onClick={undo}>
        <Undo2 size={16} aria-hidden />
      </Button>
      <Button look="quiet" isIcon aria-label={t("Redo")} disabled={future.length === 0} onClick={redo}>
        <Redo2 size={16} aria-hidden />
      </Button>
      <Button look="quiet" isIcon aria-label={t("Lay out by itself")} onClick={tidy}>
        <LayoutGrid size={16} aria-hidden />
      </Button>
      <Button look="quiet" isIcon aria-label={t("Add a note")} disabled={view === "outline"} onClick={note}>
        <StickyNote size={16} aria-hidden />
      </Button>
    </>
  );
}

function add(): void {
  const place = placeAfterSelection();
  if (place !== null) usePicker.getState().open(place);
}
