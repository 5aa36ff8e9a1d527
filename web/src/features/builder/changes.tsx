import { lazy, Suspense, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Slow } from "@/components/states";
import { type Kind, kindsOf, titleOf, useBlocks } from "@/lib/blocks";
import type { Definition, Step } from "@/lib/graph/definition";
import { differenceOf, type FieldChange, fieldChanges, isEmpty, stepChanges, united } from "@/lib/graph/difference";
import { words } from "@/lib/words";
import { type FieldSchema, fieldsOf } from "./properties/schema";

const GraphView = lazy(() => import("@/components/flow/graph-view").then((module) => ({ default: module.GraphView })));

interface ChangesProps {
  title: string;
  /** What is said when nothing differs. */
  same: string;
  before: Definition;
  after: Definition;
}

/** How two versions differ: in the graph, and field by field. */
export function Changes({ title, same, before, after }: ChangesProps) {
  const { t } = useTranslation();
  const blocks = useBlocks();
  const kinds = useMemo(() => kindsOf(blocks.data), [blocks.data]);
  const both = useMemo(() => united(before, after), [before, after]);
  const difference = useMemo(() => differenceOf(before, after), [before, after]);
  return (
    <section aria-label={title}>
      <h3 className="mb-1 font-semibold">{title}</h3>
      {isEmpty(difference) ? (
        <p className="text-muted">{same}</p>
      ) : (
        <div className="flex flex-col gap-3">
          <div className="h-64 rounded-lg border">
            <Suspense fallback={<Slow />}>
              <GraphView label={t("Both versions in one graph")} definition={both.definition} kinds={kinds} statuses={both.marks} />
            </Suspense>
          </div>
          <Told {...{ difference, before, after, kinds }} />
        </div>
      )}
    </section>
  );
}

interface ToldProps {
  difference: ReturnType<typeof differenceOf>;
  before: Definition;
  after: Definition;
  kinds: ReadonlyMap<string, Kind>;
}

function Told({ difference, before, after, kinds }: ToldProps) {
  const { t } = useTranslation();
  const find = (id: string, nodes: Step[]) => nodes.find((step) => step.id === id);
  /** By what people call it; the id tells two of a kind apart. */
  const named = (id: string) => `${titleOf((find(id, after.nodes) ?? find(id, before.nodes))?.type ?? "", kinds)} (${id})`;
  const list = (ids: string[]) => ids.map(named).join(", ");
  return (
    <ul className="flex flex-col gap-1">
      {difference.added.length > 0 && <li className="text-ok">{t("Added: {{steps}}", { steps: list(difference.added) })}</li>}
      {difference.removed.length > 0 && <li className="text-danger">{t("Removed: {{steps}}", { steps: list(difference.removed) })}</li>}
      {difference.changed.map((id) => {
        const [old, fresh] = [find(id, before.nodes), find(id, after.nodes)];
        if (old === undefined || fresh === undefined) return null;
        return <Changed key={id} what={t("Changed: {{steps}}", { steps: named(id) })} changes={stepChanges(old, fresh)} schema={kinds.get(fresh.type)?.schema} />;
      })}
      {difference.isTriggerChanged && <Changed what={t("The trigger changed")} changes={fieldChanges(before.trigger, after.trigger)} />}
      {difference.areSettingsChanged && <Changed what={t("The settings changed")} changes={fieldChanges(before.settings, after.settings)} />}
      {difference.ways > 0 && <li className="text-info">{t("Ways between steps changed")}</li>}
    </ul>
  );
}

function Changed({ what, changes, schema }: { what: string; changes: FieldChange[]; schema?: unknown }) {
  const { t } = useTranslation();
  const titles = new Map<string, FieldSchema>(fieldsOf(schema ?? {}));
  return (
    <li className="text-info">
      {what}
      <ul className="mt-1 flex flex-col gap-1 border-l pl-3 text-xs text-foreground">
        {changes.map(({ field, before, after }) => (
          <li key={field} className="break-words whitespace-pre-line">
            <span className="text-muted">{titles.get(field)?.title ?? words(field)}: </span>
            {before !== undefined && <del className="text-danger">{textOf(before)}</del>} {after !== undefined && <ins className="text-ok no-underline">{textOf(after)}</ins>}
            {after === undefined && <span className="text-muted">{t("taken out")}</span>}
          </li>
        ))}
      </ul>
    </li>
  );
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
