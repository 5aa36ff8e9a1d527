// The graph as a canvas: drag steps, draw ways, drop blocks. It changes nothing itself; every gesture is an edit of the store.

import {
  Background, type Connection, Controls, type FinalConnectionState, type FitViewOptions, MiniMap, type EdgeChange, type NodeChange, ReactFlow, useReactFlow,
} from "@xyflow/react";
import { type DragEvent, type RefObject, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { type Kind, summaryOf, titleOf, triggerSummary } from "@/lib/blocks";
import { type Definition, edgeId, PORT_OK, type Point, portOf, TRIGGER, wayOf } from "@/lib/graph/definition";
import { NODE_HEIGHT, NODE_WIDTH, positionsOf } from "@/lib/graph/layout";
import { portsOf } from "@/lib/graph/ports";
import { problemsByStep } from "@/lib/graph/problems";
import { passOf } from "@/lib/graph/ways";
import { type NoteFlowNode, NoteNode } from "./note-node";
import { DRAG_TYPE } from "./palette";
import { usePicker } from "./picker-store";
import { StepEdge, type StepFlowEdge } from "./step-edge";
import { StepNode, type StepFlowNode } from "./step-node";
import { useBuilder } from "./store";
import "./canvas.css";

const NODE_TYPES = { step: StepNode, note: NoteNode };
const EDGE_TYPES = { step: StepEdge };
/** From this many steps on, what is out of sight is not drawn, and a map helps. */
const LARGE = 40;
/** Of a large graph the beginning is shown first, so large that it can be read; the map shows the rest. */
const SHOWN_FIRST = 8;
const READABLE = 0.6;
const DELETE_KEYS = ["Delete", "Backspace"];
/** Before the id of a note, so that none is taken for a step. */
const NOTE = "note:";

type CanvasNode = StepFlowNode | NoteFlowNode;

export function Canvas({ definition, kinds }: { definition: Definition; kinds: ReadonlyMap<string, Kind> }) {
  const { t } = useTranslation();
  const { screenToFlowPosition, fitView } = useReactFlow();
  const [dragged, setDragged] = useState<Record<string, Point>>({});
  const underway = useRef<Record<string, Point>>({});
  const { move, connect, disconnect, remove, select, insert, changeNote } = useBuilder.getState();
  const steps = useNodes(definition, kinds, dragged);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const notes = useNotes(definition, dragged, chosen);
  const nodes = useMemo<CanvasNode[]>(() => [...notes, ...steps], [notes, steps]);
  const edges = useEdges(definition, chosen);
  const isLarge = definition.nodes.length > LARGE;
  const isReadOnly = useBuilder((state) => state.isReadOnly);

  const fitted = useFitted(definition, isLarge);

  // A layout that was just tidied is shown anew.
  const isTidy = Object.keys(definition.layout).length === 0;
  useEffect(() => {
    if (isTidy) void fitView(fitted.current);
  }, [isTidy, fitView, fitted]);

  const choose = useCallback((changes: { id: string; selected: boolean }[]) => {
    if (changes.length > 0) setChosen((before) => withChanges(before, changes));
  }, []);

  const onNodesChange = useCallback(
    (changes: NodeChange<CanvasNode>[]) => {
      const moved = changes.filter((change) => change.type === "position");
      for (const { id, position } of moved) if (position) underway.current[id] = [position.x, position.y];
      if (moved.some((change) => change.dragging === false)) {
        const placed = Object.entries(rounded(underway.current));
        const placedSteps = placed.filter(([id]) => !id.startsWith(NOTE));
        // One by hand fixes all: nobody wants the others to jump.
        if (placedSteps.length > 0) move({ ...rounded(positionsOf(definition)), ...Object.fromEntries(placedSteps) });
        for (const [id, at] of placed) if (id.startsWith(NOTE)) changeNote(id.slice(NOTE.length), { at });
        underway.current = {};
      }
      if (moved.length > 0) setDragged({ ...underway.current });
      const picked = changes.filter((change) => change.type === "select");
      choose(picked.filter((change) => change.id.startsWith(NOTE)));
      const pickedSteps = picked.filter((change) => !change.id.startsWith(NOTE));
      if (pickedSteps.length > 0) select([...withChanges(new Set(useBuilder.getState().selected), pickedSteps)]);
    },
    [definition, move, select, changeNote, choose],
  );

  const onEdgesChange = useCallback((changes: EdgeChange<StepFlowEdge>[]) => choose(changes.filter((change) => change.type === "select")), [choose]);

  /** The store takes out what is to go, as one action, and draws the ways that heal the gap. */
  const onBeforeDelete = useCallback(
    ({ nodes: gone, edges: ways }: { nodes: CanvasNode[]; edges: StepFlowEdge[] }) => {
      const goneSteps = gone.filter((node) => node.type === "step");
      if (goneSteps.length > 0) remove(goneSteps.map((step) => step.id));
      for (const node of gone) if (node.type === "note") changeNote(node.id.slice(NOTE.length), { text: "" });
      if (gone.length === 0) for (const way of ways) if (way.data) disconnect(way.data.edge);
      return Promise.resolve(false);
    },
    [remove, disconnect, changeNote],
  );

  const onConnect = useCallback(({ source, sourceHandle, target }: Connection) => connect(source, sourceHandle ?? PORT_OK, target), [connect]);

  /** A wire dropped on empty space asks which step to put there. */
  const onConnectEnd = useCallback(
    (event: MouseEvent | TouchEvent, state: FinalConnectionState) => {
      if (state.isValid || state.toNode || state.fromNode === null || state.fromHandle?.type !== "source") return;
      const at = "changedTouches" in event ? event.changedTouches[0] : event;
      if (at === undefined) return;
      const { x, y } = screenToFlowPosition({ x: at.clientX, y: at.clientY });
      usePicker.getState().open({ kind: "port", from: state.fromNode.id, port: state.fromHandle.id ?? PORT_OK, at: [Math.round(x - NODE_WIDTH / 2), Math.round(y)] });
    },
    [screenToFlowPosition],
  );

  const onDrop = (event: DragEvent) => {
    const type = event.dataTransfer.getData(DRAG_TYPE);
    if (type === "") return;
    event.preventDefault();
    const { x, y } = screenToFlowPosition({ x: event.clientX, y: event.clientY });
    const edge = nearestEdge(definition, steps, [x, y]);
    insert(type, edge ? { kind: "edge", edge } : { kind: "free", at: [Math.round(x - NODE_WIDTH / 2), Math.round(y - NODE_HEIGHT / 2)] });
  };

  return (
    <div role="group" aria-label={t("Canvas")} className="h-full min-h-0 w-full">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        edgeTypes={EDGE_TYPES}
        onNodesChange={onNodesChange}
        onEdgesChange={onEdgesChange}
        onBeforeDelete={onBeforeDelete}
        onConnect={onConnect}
        onConnectEnd={onConnectEnd}
        onPaneClick={() => select([])}
        onDrop={onDrop}
        onDragOver={(event) => {
          event.preventDefault();
          event.dataTransfer.dropEffect = "copy";
        }}
        onlyRenderVisibleElements={isLarge}
        nodesDraggable={!isReadOnly}
        nodesConnectable={!isReadOnly}
        deleteKeyCode={isReadOnly ? null : DELETE_KEYS}
        multiSelectionKeyCode={["Shift", "Control", "Meta"]}
        fitView
        fitViewOptions={fitted.current}
        minZoom={0.1}
        proOptions={{ hideAttribution: true }}
      >
        <Background />
        <Controls showInteractive={false} />
        {isLarge && <MiniMap pannable zoomable ariaLabel={t("Map")} />}
      </ReactFlow>
    </div>
  );
}

/** What is shown of a graph at first, as of now. */
function useFitted(definition: Definition, isLarge: boolean): RefObject<FitViewOptions> {
  const first = [TRIGGER, ...definition.nodes.slice(0, SHOWN_FIRST).map((node) => node.id)].map((id) => ({ id }));
  const fitted = useRef<FitViewOptions>({});
  fitted.current = { maxZoom: 1, padding: 0.15, ...(isLarge ? { minZoom: READABLE, nodes: first } : {}) };
  return fitted;
}

function useNodes(definition: Definition, kinds: ReadonlyMap<string, Kind>, dragged: Record<string, Point>): StepFlowNode[] {
  const { t } = useTranslation();
  const selected = useBuilder((state) => state.selected);
  const problems = useBuilder((state) => state.problems);
  const played = useBuilder((state) => state.played);
  const places = useMemo(() => positionsOf(definition), [definition]);
  const still = useMemo(() => {
    const byStep = problemsByStep(problems, definition);
    const data = (id: string, type: string, title: string, summary: string, ports: string[]) => ({
      id,
      type: "step" as const,
      data: { type, title, summary, ports, status: played?.get(id), problems: byStep.get(id)?.length ?? 0 },
      ariaLabel: `${title}: ${summary}`,
    });
    const trigger = data(TRIGGER, TRIGGER, t("Starts when"), triggerSummary(definition.trigger), [PORT_OK]);
    const steps = definition.nodes.map((step) => data(step.id, step.type, titleOf(step.type, kinds), summaryOf(step), portsOf(step, kinds.get(step.type))));
    return [{ ...trigger, deletable: false }, ...steps];
  }, [definition, kinds, problems, played, t]);
  const drawn = useRef(new Map<string, Drawn>());
  return useMemo(() => {
    const chosen = new Set(selected);
    const next = new Map<string, Drawn>();
    for (const from of still) {
      const [x, y] = dragged[from.id] ?? places[from.id] ?? [0, 0];
      const isChosen = chosen.has(from.id);
      const before = drawn.current.get(from.id);
      const isSame = before?.from === from && before.node.position.x === x && before.node.position.y === y && before.node.selected === isChosen;
      next.set(from.id, isSame ? before : { from, node: { ...from, position: { x, y }, selected: isChosen } });
    }
    drawn.current = next;
    return [...next.values()].map(({ node }) => node);
  }, [still, dragged, places, selected]);
}

/** A node as it was last given to the canvas. One that did not change stays the same object: only what moves is drawn again. */
interface Drawn {
  from: Omit<StepFlowNode, "position">;
  node: StepFlowNode;
}

function useNotes(definition: Definition, dragged: Record<string, Point>, chosen: ReadonlySet<string>): NoteFlowNode[] {
  return useMemo(
    () =>
      (definition.notes ?? []).map((note) => {
        const id = NOTE + note.id;
        const [x, y] = dragged[id] ?? note.at;
        return { id, type: "note" as const, position: { x, y }, data: { id: note.id, text: note.text }, selected: chosen.has(id) };
      }),
    [definition.notes, dragged, chosen],
  );
}

function withChanges(before: ReadonlySet<string>, changes: { id: string; selected: boolean }[]): Set<string> {
  const after = new Set(before);
  for (const change of changes) change.selected ? after.add(change.id) : after.delete(change.id);
  return after;
}

function useEdges(definition: Definition, chosen: ReadonlySet<string>): StepFlowEdge[] {
  const passes = usePasses(definition);
  const walked = useBuilder((state) => (state.played === null ? null : state.walked));
  return useMemo(
    () =>
      definition.edges.map((edge) => ({
        id: edgeId(edge),
        type: "step" as const,
        source: edge.from,
        sourceHandle: edge.from === TRIGGER ? PORT_OK : portOf(edge),
        target: edge.to,
        data: { edge, pass: passes.get(edgeId(edge)) ?? null },
        focusable: false,
        className: walked?.has(wayOf(edge.from, portOf(edge))) ? "flow-edge-walked" : undefined,
        selected: chosen.has(edgeId(edge)),
      })),
    [definition.edges, passes, walked, chosen],
  );
}

/** Ways that have to pass beside a step. As the steps stood before one is dragged. */
function usePasses(definition: Definition) {
  const places = positionsOf(definition);
  return useMemo(() => {
    const corners = Object.values(places);
    return new Map(
      definition.edges.map((edge) => {
        const [from, to] = [places[edge.from] ?? [0, 0], places[edge.to] ?? [0, 0]];
        return [edgeId(edge), passOf([from[0] + NODE_WIDTH / 2, from[1] + NODE_HEIGHT], [to[0] + NODE_WIDTH / 2, to[1]], corners)];
      }),
    );
  }, [definition.edges, places]);
}

function rounded(positions: Record<string, Point>): Record<string, Point> {
  return Object.fromEntries(Object.entries(positions).map(([id, [x, y]]) => [id, [Math.round(x), Math.round(y)]]));
}

/** The way a block was dropped on: the one whose middle is near. */
function nearestEdge(definition: Definition, nodes: StepFlowNode[], [x, y]: Point) {
  const NEAR = 60;
  const at = new Map(nodes.map((node) => [node.id, node.position]));
  return definition.edges.find((edge) => {
    const [from, to] = [at.get(edge.from), at.get(edge.to)];
    if (from === undefined || to === undefined) return false;
    const middle = [(from.x + to.x + NODE_WIDTH) / 2, (from.y + NODE_HEIGHT + to.y) / 2] as const;
    return Math.hypot(middle[0] - x, middle[1] - y) < NEAR;
  });
}
