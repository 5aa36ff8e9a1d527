import { Plus, Trash2 } from "lucide-react";
import { lazy, Suspense } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Field, Select } from "@/components/field";
import { Slow } from "@/components/states";
import { Tabs } from "@/components/tabs";
import { type Blocks, type Kind, titleOf } from "@/lib/blocks";
import { type Definition, type Step, TRIGGER } from "@/lib/graph/definition";
import { fieldOf, problemsByStep, type Problem } from "@/lib/graph/problems";
import { usePicker } from "../picker-store";
import { placeAfter } from "../place";
import { useBuilder } from "../store";
import { said, StepForm } from "./step-form";
import { TriggerForm } from "./trigger-form";
import { WorkflowSettings } from "./workflow-settings";

// What comes after a click only.
const Backtest = lazy(() => import("../backtest").then((module) => ({ default: module.Backtest })));
const DryRun = lazy(() => import("../dry-run").then((module) => ({ default: module.DryRun })));
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
  const id = useBuilder((state) => state.selected.at(-1)) ?? TRIGGER;
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
  return (
    <aside aria-label={t("Properties")} className="flex min-h-0 w-full flex-col border-l bg-background lg:w-96">
      <header className="flex items-center gap-2 p-3">
        <h2 className="min-w-0 flex-1 truncate font-semibold">{step ? titleOf(step.type, kinds) : t("What starts it")}</h2>
        {!isReadOnly && <StepActions id={step ? step.id : TRIGGER} />}
      </header>
      <Tabs
        label={t("About this step")}
        value={tab}
        onChange={onTab}
        tabs={[
          { id: "settings", label: t("Settings"), content: <fieldset disabled={isReadOnly} className="min-w-0 p-3">{settings}</fieldset> },
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
  const changeStep = useBuilder((state) => state.changeStep);
  const ofParams = Object.keys((kind?.schema as { properties?: object } | undefined)?.properties ?? {});
  const others = problems.filter((one) => !ofParams.some((name) => fieldOf(one).startsWith(name)));
  const canFail = kind?.ports.includes("error");
  return (
    <div className="flex flex-col gap-4">
      {others.map((problem) => (
        <p key={problem.path + problem.code} className="text-danger">
          {said(problem)}
        </p>
      ))}
      {kind ? <StepForm step={step} schema={kind.schema} problems={problems} /> : <p className="text-danger">{t("This server does not know such a step.")}</p>}
      {canFail && (
        <Field label={t("When it fails")} hint={t("A way from its error port comes before this.")}>
          {(control) => (
            <Select {...control} value={step.on_error ?? "fail"} onChange={(event) => changeStep(step.id, { on_error: event.target.value as "fail" | "continue" }, "on_error")}>
              <option value="fail">{t("the run fails")}</option>
              <option value="continue">{t("the run goes on")}</option>
            </Select>
          )}
        </Field>
      )}
    </div>
  );
}
