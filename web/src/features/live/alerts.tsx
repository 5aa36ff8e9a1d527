import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Check } from "lucide-react";
import { memo } from "react";
import { useTranslation } from "react-i18next";
import { StatusBadge } from "@/components/badge";
import { Button, buttonLook } from "@/components/button";
import { HeldList } from "@/components/held-list";
import { api, body, type Schemas } from "@/lib/api";
import { fold, OUTCOME_UNKNOWN } from "@/lib/live/floor";
import { useLive } from "@/lib/live/store";
import { useMay } from "@/lib/me";
import { toastError } from "@/lib/toast";
import { clockTime, sentence } from "@/lib/words";

type Alert = Schemas["Alert"];

/** Acknowledged alerts that stay in sight. */
const ACKED_SHOWN = 5;

export function Alerts({ alerts, onShow }: { alerts: Alert[]; onShow: (callId: string) => void }) {
  const { t } = useTranslation();
  const open = alerts.filter((alert) => !alert.acked_at);
  const acked = alerts.filter((alert) => alert.acked_at).slice(0, ACKED_SHOWN);
  return (
    <section aria-label={t("Alerts")} className="flex flex-col gap-2">
      <h2 className="font-semibold">{t("Alerts")}</h2>
      {alerts.length === 0 && <p className="text-muted">{t("Nothing to look at.")}</p>}
      <HeldList className="flex flex-col gap-2">
        {[...open, ...acked].map((alert) => (
          <One key={alert.id} alert={alert} onShow={onShow} />
        ))}
      </HeldList>
    </section>
  );
}

/** Drawn again only when it changed itself. */
const One = memo(function One({ alert, onShow }: { alert: Alert; onShow: (callId: string) => void }) {
  const { t } = useTranslation();
  const change = useLive((state) => state.change);
  const mayAct = useMay("supervisor");
  const acknowledge = useMutation({
    mutationFn: () => body(api.POST("/api/alerts/{id}/ack", { params: { path: { id: alert.id } } })),
    onSuccess: (acked) => change((floor) => fold(floor, { type: "alert.raised", alert: acked })),
    onError: toastError,
  });
  const evidence = alert.evidence as { excerpt?: unknown; error?: unknown } | null | undefined;
  const { call_id: callId, run_id: runId } = alert;
  // The run waits for this person's word: nothing on the page is more to be done.
  const asks = mayAct && alert.kind === OUTCOME_UNKNOWN && !alert.acked_at;
  return (
    <li data-alert={alert.id} className={`far-skipped flex flex-col gap-1.5 rounded-lg border p-2.5 ${alert.acked_at ? "bg-panel" : "border-danger"}`}>
      <p className="flex flex-wrap items-center gap-2">
        <StatusBadge status={alert.severity} />
        <span className="text-xs text-muted">
          {sentence(alert.kind)} · {clockTime(alert.raised_at)}
        </span>
      </p>
      <h3 className="font-medium">{alert.title}</h3>
      {typeof evidence?.excerpt === "string" && <p className="text-muted">“{evidence.excerpt}”</p>}
      {!asks && typeof evidence?.error === "string" && evidence.error !== "" && <p className="text-muted">{evidence.error}</p>}
      <div className="flex flex-wrap gap-2">
        {runId && (
          <Link to="/runs/$runId" params={{ runId }} className={buttonLook(asks ? "primary" : "plain")} aria-label={asks ? t("Decide: {{title}}", { title: alert.title }) : t("Open the run: {{title}}", { title: alert.title })}>
            {asks ? t("Decide") : t("Open the run")}
          </Link>
        )}
        {callId && <Button onClick={() => onShow(callId)}>{t("Show the words")}</Button>}
        {alert.acked_at && (
          <p className="flex items-center gap-1 text-xs text-muted">
            <Check size={12} aria-hidden />
            {t("Acknowledged")}
          </p>
        )}
        {!alert.acked_at && mayAct && (
          <Button look={asks ? "plain" : "primary"} disabled={acknowledge.isPending} onClick={() => acknowledge.mutate()} aria-label={t("Acknowledge: {{title}}", { title: alert.title })}>
            {t("Acknowledge")}
          </Button>
        )}
      </div>
    </li>
  );
});
