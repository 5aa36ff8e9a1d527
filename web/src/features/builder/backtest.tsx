import { useMutation } from "@tanstack/react-query";
import { Scale } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Badge, type Tone } from "@/components/badge";
import { Button } from "@/components/button";
import { api, body, type Schemas } from "@/lib/api";
import type { Definition } from "@/lib/graph/definition";
import { dateTime, words } from "@/lib/words";

const TONES: Record<Schemas["Verdict"], Tone> = { gains: "ok", loses: "danger", changed: "warn", same: "plain" };

/** What really happened lately, played through the published version and the edited one: who gets what then. */
export function Backtest({ workflowId, definition }: { workflowId: string; definition: Definition }) {
  const { t } = useTranslation();
  const run = useMutation({
    mutationFn: () => body(api.POST("/api/workflows/{id}/backtest", { params: { path: { id: workflowId } }, body: { definition: { ...definition } } })),
  });
  return (
    <section aria-label={t("Backtest")} className="flex flex-col gap-2 border-t p-3">
      <Button disabled={run.isPending} onClick={() => run.mutate()}>
        <Scale size={14} aria-hidden />
        {t("Compare with what happened")}
      </Button>
      <p className="text-xs text-muted">{t("The newest recorded facts, through the published version and this one. Nothing is sent.")}</p>
      {run.error && (
        <p role="alert" className="whitespace-pre-line text-danger">
          {run.error.message}
        </p>
      )}
      {run.data && <Compared result={run.data} />}
    </section>
  );
}

function Compared({ result }: { result: Schemas["BacktestView"] }) {
  const { t } = useTranslation();
  if (result.cases === 0) return <p className="text-muted">{t("Nothing of this kind was recorded yet.")}</p>;
  return (
    <>
      <p className="flex flex-wrap gap-1">
        {(["gains", "loses", "changed", "same"] as const).map((verdict) => (
          <Badge key={verdict} tone={TONES[verdict]}>
            {t(verdict)} {result[verdict]}
          </Badge>
        ))}
      </p>
      <p className="text-xs text-muted">{t("{{before}} tokens before, {{after}} with this one", { before: result.published_tokens, after: result.edited_tokens })}</p>
      <ol className="flex flex-col gap-2">
        {result.differences.map((difference) => (
          <li key={difference.event_id} className="rounded-md border p-2 text-xs">
            <p className="flex items-center gap-2 font-medium">
              {difference.lead_name ?? t("nobody")} <Badge tone={TONES[difference.verdict]}>{t(difference.verdict)}</Badge>
              <time className="text-muted">{dateTime(difference.at)}</time>
            </p>
            <Sent title={t("Published")} outcome={difference.published} />
            <Sent title={t("This one")} outcome={difference.edited} />
          </li>
        ))}
      </ol>
    </>
  );
}

function Sent({ title, outcome }: { title: string; outcome: Schemas["BacktestOutcome"] }) {
  const { t } = useTranslation();
  const told = outcome.sent.map((effect) => `${words(effect.kind)}${effect.text ? `: ${effect.text}` : ""}`);
  return (
    <p className="mt-1">
      <span className="text-muted">{title}: </span>
      {told.join(" · ") || outcome.not_started || outcome.error || t("nothing")}
    </p>
  );
}
