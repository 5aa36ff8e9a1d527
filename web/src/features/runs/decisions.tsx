import { useMutation } from "@tanstack/react-query";
import { CircleHelp } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { api, body, type Schemas } from "@/lib/api";
import { type Kind, titleOf } from "@/lib/blocks";
import { useMay } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { toastInfo } from "@/lib/toast";

type Step = Schemas["RunStep"];

/** What a run waits for a person's word on, above everything else on its page. */
export function Decisions({ run, kinds }: { run: Schemas["Run"]; kinds: ReadonlyMap<string, Kind> }) {
  const { t } = useTranslation();
  const mayDecide = useMay("supervisor");
  // Without an error it is still being looked up or repeated.
  const asking = run.steps.filter((step) => step.status === "unknown" && step.effect && step.error);
  if (run.ended_at || asking.length === 0) return null;
  if (!mayDecide) return <p className="rounded-lg border border-warn bg-warn-soft p-4 text-warn">{t("This run needs a decision of a supervisor before it goes on.")}</p>;
  return (
    <section aria-label={t("Your word is needed")} className="flex flex-col gap-3 rounded-lg border-2 border-warn bg-warn-soft p-4">
      <h2 className="flex items-center gap-2 text-base font-semibold text-warn">
        <CircleHelp size={18} aria-hidden />
        {t("Your word is needed")}
      </h2>
      <ul className="flex flex-col gap-3">
        {asking.map((step) => (
          <Decide key={`${step.node}-${step.visit}-${step.item ?? ""}`} runId={run.id} step={step} title={titleOf(step.kind, kinds)} />
        ))}
      </ul>
    </section>
  );
}

/** Nobody can say whether it was carried out: a person chooses, nothing is guessed. */
function Decide({ runId, step, title }: { runId: string; step: Step; title: string }) {
  const { t } = useTranslation();
  const effectKey = step.effect?.key ?? "";
  const decide = useMutation({
    mutationFn: (choice: Schemas["Choice"]) => body(api.POST("/api/runs/{id}/decide", { params: { path: { id: runId } }, body: { choice, effect_key: effectKey } })),
    onSuccess: (run) => {
      queryClient.setQueryData(keys.run(runId), run);
      toastInfo(t("Decided: the run goes on"));
    },
  });
  const where = { title, node: step.node };
  return (
    <li data-asks={step.node} className="flex flex-col gap-2">
      <p>{t("It is not known whether “{{title}}” ({{node}}) was carried out. Look at the provider, then choose; the run waits until then.", where)}</p>
      {step.error && <p className="text-xs text-muted">{step.error.message}</p>}
      <div className="flex flex-wrap gap-2">
        <Button look="primary" disabled={decide.isPending} aria-label={t("It was not carried out, do it again: {{node}}", where)} onClick={() => decide.mutate("resend")}>
          {t("It was not carried out: do it again")}
        </Button>
        <Button disabled={decide.isPending} aria-label={t("It was carried out, go on: {{node}}", where)} onClick={() => decide.mutate("skip")}>
          {t("It was carried out: go on")}
        </Button>
      </div>
      <p role="alert" className="text-danger empty:hidden">
        {decide.error?.message}
      </p>
    </li>
  );
}
