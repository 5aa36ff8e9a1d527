import { Plus, Trash2 } from "lucide-react";
import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Slow } from "@/components/states";
import { Tabs } from "@/components/tabs";
import { type Blocks, type Kind, titleOf } from "@/lib/blocks";
import { type Definition, type Step, TRIGGER } from "@/lib/graph/definition";
import { fieldOf, problemsByStep, type Problem } from "@/lib/graph/problems";
import { usePicker } from "../picker-store";
import { placeAfter } from "../place";
import { useBuilder } from "../store";
import { StepBehaviour } from "./step-behaviour";
import { said, StepForm } from "./step-form";
import { TriggerForm } from "./trigger-form";
import { WorkflowSettings } from "./workflow-settings";

// What comes after a click only.
const Backtest = lazy(() => import("../backtest").then((module) => ({ default: module.Backtest })));
const DryRun = lazy(() => import("../dry-run").then((module) => ({ default: module.DryRun })));
const SeveralSteps = lazy(() => import("./several-steps").then((module) => ({ default: module.SeveralSteps })));
const LastRun = lazy(() => import("./last-run").then((module) => ({ default: module.LastRun })));

interface PanelProps {
  workflowId: string;
  definition: Definition;
  blocks: Blocks;
  kinds: ReadonlyMap<string, Kind>;
  tab: string;
  onTab: (tab: string) => void;
}

/** Everything about the selected step, beside the canvas. */
export function PropertiesPanel({ workflowId, definition, blocks, kinds, tab, onTab }: PanelProps) {
  const { t } = useTranslation();
  const selected = useBuilder((state) => state.selected);
  const id = selected.at(-1) ?? TRIGGER;
  const several = definition.nodes.filter((node) => selected.includes(node.id));
  const problems = useBuilder((state) => state.problems);
  const isReadOnly = useBuilder((state) => state.isReadOnly);
  const step = definition.nodes.find((node) => node.id === id);
  const own = problemsByStep(problems, definition).get(step ? step.id : TRIGGER) ?? [];
  const settings = step ? <StepSettings step={step} kind={kinds.get(step.type)} problems={own} /> : (
    <>
      <TriggerForm trigger={definition.trigger} blocks={blocks} problems={own} />
      <WorkflowSettings settings={definition.settings} problems={problems} />
    </>
  );
  const heading = step ? titleOf(step.type, kinds) : t("What starts it");
  const isSeveral = several.length > 1;
  return (
    <aside aria-label={t("Properties")} className="flex w-full flex-col border-t bg-background lg:min-h-0 lg:w-96 lg:border-t-0 lg:border-l">
      <header className="flex items-center gap-2 p-3">
        <h2 className="min-w-0 flex-1 truncate font-semibold">{isSeveral ? t("{{count}} steps", { count: several.length }) : heading}</h2>
        {!isReadOnly && !isSeveral && <StepActions id={step ? step.id : TRIGGER} />}
      </header>
      <Tabs
        label={t("About this step")}
        value={tab}
        onChange={onTab}
        tabs={[
          { id: "settings", label: t("Settings"), content: isSeveral ? <Suspense fallback={<Slow />}><SeveralSteps steps={several} kinds={kinds} /></Suspense> : <fieldset disabled={isReadOnly} className="min-w-0 p-3">{settings}</fieldset> },
          { id: "test", label: t("Test"), content: <Test workflowId={workflowId} definition={definition} kinds={kinds} /> },
          { id: "last", label: t("Last run"), content: <Suspense fallback={<Slow />}><LastRun workflowId={workflowId} stepId={step?.id ?? null} /></Suspense> },
        ]}
      />
    </aside>
  );
}

function Test({ workflowId, definition, kinds }: Pick<PanelProps, "workflowId" | "definition" | "kinds">) {
  return (
    <Suspense fallback={<Slow />}>
      <DryRun workflowId={workflowId} definition={definition} kinds={kinds} />
      <Backtest workflowId={workflowId} definition={definition} />
    </Suspense>
  );
}

function StepActions({ id }: { id: string }) {
  const { t } = useTranslation();
  const place = placeAfter(id);
  return (
    <>
      <Button isIcon disabled={place === null} aria-label={t("Add a step after this one")} onClick={() => place && usePicker.getState().open(place)}>
        <Plus size={14} aria-hidden />
      </Button>
      {id !== TRIGGER && (
        <Button isIcon aria-label={t("Delete this step")} onClick={() => useBuilder.getState().remove([id])}>
          <Trash2 size={14} aria-hidden />
        </Button>
      )}
    </>
  );
}

function StepSettings({ step, kind, problems }: { step: Step; kind: Kind | undefined; problems: Problem[] }) {
  const { t } = useTranslation();
  const ofParams = Object.keys((kind?.schema as { properties?: object } | undefined)?.properties ?? {});
  const others = problems.filter((one) => ![...ofParams, "retry."].some((name) => fieldOf(one).startsWith(name)));
  return (
    <div className="flex flex-col gap-4">
      {others.map((problem) => (
        <p key={problem.path + problem.code} className="text-danger">
          {said(problem)}
        </p>
      ))}
      {kind ? <StepForm step={step} schema={kind.schema} problems={problems} /> : <p className="text-danger">{t("This server does not know such a step.")}</p>}
      {kind && <StepBehaviour step={step} kind={kind} problems={problems} />}
    </div>
  );
}
