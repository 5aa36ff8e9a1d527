import type { Node, NodeProps } from "@xyflow/react";
import { X } from "lucide-react";
import { memo } from "react";
import { useTranslation } from "react-i18next";
import { useBuilder } from "./store";

export type NoteFlowNode = Node<{ id: string; text: string }, "note">;

/** Words for people beside the steps: they mean nothing to a run. Moved by its edge. */
export const NoteNode = memo(function NoteNode({ data, selected }: NodeProps<NoteFlowNode>) {
  const { t } = useTranslation();
  const change = useBuilder((state) => state.changeNote);
  const isReadOnly = useBuilder((state) => state.isReadOnly);
  return (
    <div className={`w-56 rounded-md border bg-warn-soft p-2 pt-1 text-warn shadow-sm ${selected ? "border-primary" : "border-warn"}`}>
      <div className="flex items-center justify-between text-xs">
        {t("Note")}
        {!isReadOnly && (
          <button type="button" aria-label={t("Delete this note")} className="nodrag grid size-6 place-items-center" onClick={() => change(data.id, { text: "" })}>
            <X size={12} aria-hidden />
          </button>
        )}
      </div>
      {/* An emptied note would be gone while somebody writes it anew: a space keeps it. */}
      <textarea
        aria-label={t("Text of the note")}
        readOnly={isReadOnly}
        className="nodrag nowheel field-sizing-content min-h-10 w-full resize-none rounded bg-transparent text-sm"
        value={data.text.trimStart()}
        onChange={(event) => change(data.id, { text: event.target.value || " " })}
      />
    </div>
  );
});
