import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Badge, StatusBadge } from "@/components/badge";
import { HeldList } from "@/components/held-list";
import { type LiveRun, STUCK } from "@/lib/live/floor";
import { sentence } from "@/lib/words";

const SHOWN_MAX = 12;

/** What the workflows do while the calls go on. */
export function LiveRuns({ runs }: { runs: LiveRun[] }) {
  const { t } = useTranslation();
  const shown = runs.toSorted((one, other) => other.id.localeCompare(one.id)).slice(0, SHOWN_MAX);
  return (
    <section aria-label={t("Workflows at work")} className="flex flex-col gap-2">
      <h2 className="font-semibold">{t("Workflows at work")}</h2>
      {shown.length === 0 && <p className="text-muted">{t("No workflow has run yet.")}</p>}
      <HeldList className="flex flex-col gap-2">
        {shown.map((run) => (
          <li key={run.id} data-run={run.id} className="rounded-lg border p-2.5">
            <p className="flex items-center gap-2">
              <Link to="/runs/$runId" params={{ runId: run.id }} className="min-w-0 flex-1 truncate font-medium text-primary hover:underline">
                {run.name || t("Workflow")}
              </Link>
              {run.status === STUCK ? <Badge tone="danger">{t("needs a decision")}</Badge> : <StatusBadge status={run.status} />}
            </p>
            {run.trigger && <p className="text-xs text-muted">{sentence(run.trigger)}</p>}
            <ol aria-label={t("Steps")} className="mt-1 flex flex-wrap gap-1">
              {run.steps.map((step) => (
                <li key={step.node} className="flex items-center gap-1 text-xs">
                  {step.node} <StatusBadge status={step.status} />
                </li>
              ))}
            </ol>
            {run.error && <p className="mt-1 text-xs text-danger">{run.error}</p>}
          </li>
        ))}
      </HeldList>
    </section>
  );
}
