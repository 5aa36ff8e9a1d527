import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { RotateCcw, Square } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Menu } from "@/components/menu";
import { api, body, type Schemas } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { toastError, toastInfo } from "@/lib/toast";

type Run = Schemas["Run"];

/** Cancel what is still under way; take up again what has ended. */
export function RunActions({ run }: { run: Run }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const path = { path: { id: run.id } };
  const cancel = useMutation({
    mutationFn: () => body(api.POST("/api/runs/{id}/cancel", { params: path })),
    onSuccess: () => toastInfo(t("The run is cancelled")),
    onError: toastError,
    onSettled: () => queryClient.invalidateQueries({ queryKey: keys.runs }),
  });
  const retry = useMutation({
    mutationFn: (order: Schemas["Retry"]) => body(api.POST("/api/runs/{id}/retry", { params: path, body: order })),
    onSuccess: ({ run_id }) => void navigate({ to: "/runs/$runId", params: { runId: run_id } }),
    onError: toastError,
  });
  if (!run.ended_at) {
    return (
      <Button look="danger" disabled={cancel.isPending} onClick={() => cancel.mutate()}>
        <Square size={14} aria-hidden />
        {t("Cancel the run")}
      </Button>
    );
  }
  const failed = run.steps.findLast((step) => step.status === "failed");
  const choices: { label: string; order: Schemas["Retry"] }[] = [
    { label: t("From the start, newest version"), order: { from: "start", version: "newest" } },
    { label: t("From the start, same version"), order: { from: "start", version: "pinned" } },
    ...(failed ? [{ label: t("From “{{node}}”, newest version", { node: failed.node }), order: { from: failed.node, version: "newest" } as Schemas["Retry"] }] : []),
  ];
  return (
    <Menu
      label={t("Run again")}
      items={choices.map(({ label, order }) => ({ label, run: () => retry.mutate(order) }))}
      trigger={
        <Button disabled={retry.isPending}>
          <RotateCcw size={14} aria-hidden />
          {t("Run again")}
        </Button>
      }
    />
  );
}
