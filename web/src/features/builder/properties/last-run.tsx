import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { StatusBadge } from "@/components/badge";
import { Data } from "@/components/data";
import { Answer } from "@/components/states";
import { api, body } from "@/lib/api";
import { keys } from "@/lib/query";
import { dateTime } from "@/lib/words";

/** What the step did in the newest run of this workflow. */
export function LastRun({ workflowId, stepId }: { workflowId: string; stepId: string | null }) {
  const { t } = useTranslation();
  const query = useQuery({
    queryKey: [...keys.runs, "last", workflowId],
    queryFn: async () => {
      const page = await body(api.GET("/api/runs", { params: { query: { workflow_id: workflowId, limit: 1 } } }));
      const newest = page.items[0];
      return newest ? body(api.GET("/api/runs/{id}", { params: { path: { id: newest.id } } })) : null;
    },
  });
  return (
    <div className="flex flex-col gap-3 p-3">
      <Answer query={query}>
        {(run) => {
          if (run === null) return <p className="text-muted">{t("This workflow has not run yet.")}</p>;
          const steps = run.steps.filter((step) => stepId === null || step.node === stepId);
          return (
            <>
              <p className="flex flex-wrap items-center gap-2">
                <Link to="/runs/$runId" params={{ runId: run.id }} className="text-primary underline">
                  {dateTime(run.started_at)}
                </Link>
                <StatusBadge status={run.status} />
              </p>
              {steps.length === 0 && <p className="text-muted">{t("The run did not come to this step.")}</p>}
              {steps.map((step) => (
                <div key={`${step.node}-${step.visit}`} className="flex flex-col gap-2">
                  <p className="flex items-center gap-2 font-medium">
                    {step.node} <StatusBadge status={step.status} />
                  </p>
                  {step.error && <p className="text-danger">{step.error.message}</p>}
                  {step.input !== undefined && step.input !== null && <Data value={step.input} label={t("Input")} />}
                  {step.output !== undefined && step.output !== null && <Data value={step.output} label={t("Output")} />}
                </div>
              ))}
            </>
          );
        }}
      </Answer>
    </div>
  );
}
