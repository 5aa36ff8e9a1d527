// A graph to look at: template previews, runs. Steps are plain elements over drawn ways, so that these pages need not load
// the canvas of the builder.

import { Maximize2, ZoomIn, ZoomOut } from "lucide-react";
import { type PointerEvent, type RefObject, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { type Kind, summaryOf, titleOf, triggerSummary } from "@/lib/blocks";
import { type Definition, edgeId, PORT_OK, portOf, type Step, TRIGGER, wayOf } from "@/lib/graph/definition";
import { type Drawing, drawingOf } from "@/lib/graph/drawing";
import { StepCard } from "./step-card";

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

/** Steps smaller than this cannot be read: the rest is a scroll away. */
const FITTED_MIN = 0.55;
const ZOOM_MIN = 0.15;
const ZOOM_MAX = 1.5;
const ZOOM_STEP = 1.25;
/** What a run is at, as against what it has done. */
const UNDER_WAY = ["started", "waiting", "unknown"];

export function GraphView({ label, definition, kinds, statuses, walked, selected, onSelect }: GraphViewProps) {
  const { t } = useTranslation();
  const host = useRef<HTMLDivElement>(null);
  const drawing = useMemo(() => drawingOf(definition, kinds), [definition, kinds]);
  const [zoom, setZoom] = useState<number | null>(null);
  const fitted = useFitted(host, drawing);
  const scale = zoom ?? Math.max(fitted, FITTED_MIN);
  const change = (factor: number) => setZoom(Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, scale * factor)));
  useFollowed(host, statuses);
  return (
    <div className="relative h-full min-h-64 w-full">
      <div ref={host} role="group" aria-label={label} tabIndex={0} onPointerDown={pan} className="flow-ground h-full overflow-auto rounded-lg">
        <div className="relative mx-auto" style={{ width: drawing.width * scale, height: drawing.height * scale }}>
          <div className="absolute top-0 left-0 origin-top-left" style={{ width: drawing.width, height: drawing.height, transform: `scale(${scale})` }}>
            <Ways definition={definition} drawing={drawing} walked={walked} />
            <Card id={TRIGGER} definition={definition} kinds={kinds} drawing={drawing} status={statuses?.get(TRIGGER)} isSelected={selected === TRIGGER} onSelect={onSelect} />
            {definition.nodes.map((step) => (
              <Card key={step.id} id={step.id} step={step} definition={definition} kinds={kinds} drawing={drawing} status={statuses?.get(step.id)} isSelected={selected === step.id} onSelect={onSelect} />
            ))}
          </div>
        </div>
      </div>
      <div className="absolute bottom-2 left-2 flex gap-1">
        <Button isIcon aria-label={t("Larger")} onClick={() => change(ZOOM_STEP)}>
          <ZoomIn size={14} aria-hidden />
        </Button>
        <Button isIcon aria-label={t("Smaller")} onClick={() => change(1 / ZOOM_STEP)}>
          <ZoomOut size={14} aria-hidden />
        </Button>
        <Button isIcon aria-label={t("Show all of it")} onClick={() => setZoom(Math.max(fitted, ZOOM_MIN))}>
          <Maximize2 size={14} aria-hidden />
        </Button>
      </div>
    </div>
  );
}

function Ways({ definition, drawing, walked }: { definition: Definition; drawing: Drawing; walked?: ReadonlySet<string> }) {
  return (
    <>
      <svg aria-hidden width={drawing.width} height={drawing.height} className="pointer-events-none absolute inset-0">
        {definition.edges.map((edge) => {
          const way = drawing.ways.get(edgeId(edge));
          const isWalked = walked?.has(wayOf(edge.from, portOf(edge)));
          return way && <path key={edgeId(edge)} d={way.path} fill="none" stroke={isWalked ? "var(--ok)" : "var(--control)"} strokeWidth={isWalked ? 2.5 : 1.5} />;
        })}
      </svg>
      {definition.edges.map((edge) => {
        const way = drawing.ways.get(edgeId(edge));
        if (way === undefined || edge.from === TRIGGER || portOf(edge) === PORT_OK) return null;
        return (
          <span key={edgeId(edge)} style={{ left: way.middle[0], top: way.middle[1] }} className="pointer-events-none absolute -translate-1/2 rounded bg-background px-1 text-xs font-medium text-muted">
            {portOf(edge)}
          </span>
        );
      })}
    </>
  );
}

interface CardProps {
  id: string;
  step?: Step;
  definition: Definition;
  kinds: ReadonlyMap<string, Kind>;
  drawing: Drawing;
  status?: string;
  isSelected: boolean;
  onSelect?: (id: string) => void;
}

function Card({ id, step, definition, kinds, drawing, status, isSelected, onSelect }: CardProps) {
  const { t } = useTranslation();
  const [left, top] = drawing.places.get(id) ?? [0, 0];
  const title = step ? titleOf(step.type, kinds) : t("Starts when");
  const summary = step ? summaryOf(step) : triggerSummary(definition.trigger);
  const card = <StepCard type={step?.type ?? TRIGGER} title={title} summary={summary} status={status} isSelected={isSelected} />;
  const isUnderWay = status !== undefined && UNDER_WAY.includes(status);
  const place = { className: "absolute rounded-lg", style: { left, top }, "data-step": id, "data-under-way": isUnderWay || undefined };
  if (onSelect === undefined) return <div {...place}>{card}</div>;
  return (
    <button type="button" aria-pressed={isSelected} onClick={() => onSelect(id)} {...place}>
      {card}
    </button>
  );
}

/** How large the whole graph can be drawn here, at most its own size. */
function useFitted(host: RefObject<HTMLElement | null>, { width, height }: Drawing): number {
  const [fitted, setFitted] = useState(1);
  useLayoutEffect(() => {
    const box = host.current;
    if (box === null) return;
    const measure = () => setFitted(Math.min(1, box.clientWidth / width, box.clientHeight / height) || 1);
    measure();
    const watching = new ResizeObserver(measure);
    watching.observe(box);
    return () => watching.disconnect();
  }, [host, width, height]);
  return fitted;
}

/** Keeps the step that is under way in sight, within the graph: the page itself stays where it is. */
function useFollowed(host: RefObject<HTMLElement | null>, statuses: ReadonlyMap<string, string> | undefined): void {
  useEffect(() => {
    const box = host.current;
    const step = box?.querySelector("[data-under-way]");
    if (!box || !step) return;
    const [outer, inner] = [box.getBoundingClientRect(), step.getBoundingClientRect()];
    if (inner.top >= outer.top && inner.bottom <= outer.bottom) return;
    box.scrollTop += inner.top - outer.top - (outer.height - inner.height) / 2;
  }, [host, statuses]);
}

/** Drags the ground. A step under the pointer keeps its click. */
function pan(event: PointerEvent<HTMLElement>): void {
  const box = event.currentTarget;
  if (event.pointerType !== "mouse" || event.button !== 0 || (event.target as Element).closest("button")) return;
  const [left, top] = [box.scrollLeft + event.clientX, box.scrollTop + event.clientY];
  const move = (at: globalThis.PointerEvent) => box.scrollTo(left - at.clientX, top - at.clientY);
  const end = () => box.removeEventListener("pointermove", move);
  box.setPointerCapture(event.pointerId);
  box.addEventListener("pointermove", move);
  box.addEventListener("lostpointercapture", end, { once: true });
}
