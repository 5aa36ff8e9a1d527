import { Handle, type Node, type NodeProps, Position } from "@xyflow/react";
import { memo } from "react";
import { StepCard, type StepCardProps } from "@/components/flow/step-card";
import { PORT_OK, TRIGGER } from "@/lib/graph/definition";

export type StepNodeData = StepCardProps & { ports: string[] } & Record<string, unknown>;
export type StepFlowNode = Node<StepNodeData, "step">;

/** A step on the canvas: its card, one way in, one way out for each port. */
export const StepNode = memo(function StepNode({ id, data, selected, isConnectable }: NodeProps<StepFlowNode>) {
  const { ports } = data;
  return (
    <>
      {id !== TRIGGER && <Handle type="target" position={Position.Top} isConnectable={isConnectable} />}
      <StepCard {...data} isSelected={selected} />
      {ports.map((port, at) => (
        <Handle key={port} id={port} type="source" isConnectable={isConnectable} isConnectableStart={isConnectable} position={Position.Bottom} style={{ left: `${((at + 1) / (ports.length + 1)) * 100}%` }} title={port === PORT_OK ? undefined : port} />
      ))}
    </>
  );
});
