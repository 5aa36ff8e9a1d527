// A graph to look at: template previews, runs, versions. The builder has its own canvas around the same card.

import { Background, Handle, type Node, type NodeProps, Position, ReactFlow, ReactFlowProvider } from "@xyflow/react";
import { memo, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { type Kind, summaryOf, titleOf, triggerSummary } from "@/lib/blocks";
import { type Definition, edgeId, PORT_OK, portOf, TRIGGER, wayOf } from "@/lib/graph/definition";
import { positionsOf } from "@/lib/graph/layout";
import { StepCard, type StepCardProps } from "./step-card";

interface GraphViewProps {
  label: string;
  definition: Definition;
  kinds: ReadonlyMap<string, Kind>;
  /** Status by step, where a run is shown. */
  statuses?: ReadonlyMap<string, string>;
  /** Ways that the run took, as `wayOf` names them. */
  walked?: ReadonlySet<string>;
  selected?: string | null;
  onSelect?: (id: string) => void;
}

type CardNode = Node<StepCardProps & Record<string, unknown>>;

const Card = memo(function Card({ data }: NodeProps<CardNode>) {
  return (
    <>
      <Handle type="target" position={Position.Top} isConnectable={false} />
      <StepCard {...data} />
      <Handle type="source" position={Position.Bottom} isConnectable={false} />
    </>
  );
});

const NODE_TYPES = { card: Card };

export function GraphView({ label, definition, kinds, statuses, walked, selected, onSelect }: GraphViewProps) {
  const { t } = useTranslation();
  const nodes = useMemo(() => {
    const places = positionsOf(definition);
    const node = (id: string, type: string, title: string, summary: string): CardNode => {
      const [x, y] = places[id] ?? [0, 0];
      const status = statuses?.get(id);
      return { id, type: "card", position: { x, y }, ariaLabel: `${title}: ${summary}`, data: { type, title, summary, status, isSelected: selected === id } };
    };
    const trigger = node(TRIGGER, TRIGGER, t("Starts when"), triggerSummary(definition.trigger));
    return [trigger, ...definition.nodes.map((step) => node(step.id, step.type, titleOf(step.type, kinds), summaryOf(step)))];
  }, [definition, kinds, statuses, selected, t]);
  const edges = useMemo(
    () =>
      definition.edges.map((edge) => ({
        id: edgeId(edge),
        source: edge.from,
        target: edge.to,
        label: edge.from === TRIGGER || portOf(edge) === PORT_OK ? undefined : portOf(edge),
        labelBgStyle: { fill: "var(--background)" },
        labelStyle: { fill: "var(--foreground)" },
        focusable: false,
        className: walked?.has(wayOf(edge.from, portOf(edge))) ? "flow-edge-walked" : undefined,
      })),
    [definition, walked],
  );
  return (
    <div role="group" aria-label={label} className="h-full min-h-64 w-full">
      <ReactFlowProvider>
        <ReactFlow
          nodes={nodes}
          edges={edges}
          nodeTypes={NODE_TYPES}
          fitView
          fitViewOptions={{ maxZoom: 1, padding: 0.15 }}
          minZoom={0.1}
          nodesDraggable={false}
          nodesConnectable={false}
          nodesFocusable={onSelect !== undefined}
          elementsSelectable={onSelect !== undefined}
          onNodeClick={(_, node) => onSelect?.(node.id)}
          proOptions={{ hideAttribution: true }}
        >
          <Background />
        </ReactFlow>
      </ReactFlowProvider>
    </div>
  );
}
