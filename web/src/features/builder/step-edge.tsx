import { BaseEdge, EdgeLabelRenderer, type Edge as FlowEdge, type EdgeProps, useStore } from "@xyflow/react";
import { Plus } from "lucide-react";
import { memo } from "react";
import { useTranslation } from "react-i18next";
import { type Edge, PORT_OK, portOf, TRIGGER } from "@/lib/graph/definition";
import { wayBetween } from "@/lib/graph/ways";
import { usePicker } from "./picker-store";
import { useBuilder } from "./store";

export type StepFlowEdge = FlowEdge<{ edge: Edge; pass: Parameters<typeof wayBetween>[2] }, "step">;

/** Smaller than this nobody can read a port's name or hit a `+`. */
const NEAR = 0.35;

/** A way between two steps, with its port's name and a `+` that puts a step in between. */
export const StepEdge = memo(function StepEdge(props: EdgeProps<StepFlowEdge>) {
  const { t } = useTranslation();
  const isNear = useStore((state) => state.transform[2] >= NEAR);
  const isReadOnly = useBuilder((state) => state.isReadOnly);
  if (props.data === undefined) return null;
  const { edge, pass } = props.data;
  const { path, middle } = wayBetween([props.sourceX, props.sourceY], [props.targetX, props.targetY], pass);
  if (!isNear) return <BaseEdge id={props.id} path={path} interactionWidth={16} />;
  const port = edge.from === TRIGGER || portOf(edge) === PORT_OK ? null : portOf(edge);
  return (
    <>
      <BaseEdge id={props.id} path={path} interactionWidth={16} />
      <EdgeLabelRenderer>
        <div style={{ transform: `translate(-50%, -50%) translate(${middle[0]}px, ${middle[1]}px)` }} className="nodrag nopan pointer-events-auto absolute flex items-center gap-1">
          {port && <span className="rounded bg-background px-1 text-xs font-medium text-muted">{port}</span>}
          {!isReadOnly && (
            <button
              type="button"
              aria-label={t("Add a step between {{from}} and {{to}}", { from: edge.from, to: edge.to })}
              onClick={() => usePicker.getState().open({ kind: "edge", edge })}
              className="grid size-6 place-items-center rounded-full border border-control bg-background text-foreground hover:border-primary hover:text-primary"
            >
              <Plus size={12} aria-hidden />
            </button>
          )}
        </div>
      </EdgeLabelRenderer>
    </>
  );
});
