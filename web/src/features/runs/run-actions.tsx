import { useMutation } from "@tanstack/react-query";
import { RotateCcw, Square } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Menu } from "@/components/menu";
import { api, body, type Schemas } from "@/lib/api";
import { useMay } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { toastError, toastInfo } from "@/lib/toast";
import { useRetry } from "./retry";

/** Cancel what is still under way; take up again what has ended. */
export function RunActions({ run }: { run: Schemas["Run"] }) {
  const { t } = useTranslation();
  const cancel = useMutation({
    mutationFn: () => body(api.POST("/api/runs/{id}/cancel", { params: { path: { id: run.id } } })),
    onSuccess: () => toastInfo(t("The run is cancelled")),
    onError: toastError,
    onSettled: () => queryClient.invalidateQueries({ queryKey: keys.runs }),
  });
  const retry = useRetry(run.id);
  const maySteer = useMay("supervisor");
  if (!maySteer) return null;
  if (!run.ended_at) {
    return (
      <Button look="danger" disabled={cancel.isPending} onClick={() => cancel.mutate()}>
        <Square size={14} aria-hidden />
        {t("Cancel the run")}
      </Button>
    );
  }
  return (
    <Menu
      label={t("Run again")}
      items={[
        { label: t("From the start, newest version"), run: () => retry.mutate({ from: "start", version: "newest" }) },
        { label: t("From the start, same version"), run: () => retry.mutate({ from: "start", version: "pinned" }) },
      ]}
      disabled={retry.isPending}
      face={
        <>
          <RotateCcw size={14} aria-hidden />
          {t("Run again")}
        </>
      }
    />
  );
}

/** Goes on from one step of a run that has ended: what the steps before it gave is taken over. */
export function RetryFrom({ runId, node }: { runId: string; node: string }) {
  const { t } = useTranslation();
  const retry = useRetry(runId);
  const maySteer = useMay("supervisor");
  if (!maySteer) return null;
  return (
    <Menu
      label={t("Run again from {{node}}", { node })}
      items={[
        { label: t("On the newest version"), run: () => retry.mutate({ from: node, version: "newest" }) },
        { label: t("On the same version"), run: () => retry.mutate({ from: node, version: "pinned" }) },
      ]}
      disabled={retry.isPending}
      face={
        <>
          <RotateCcw size={14} aria-hidden />
          {t("Run again from here")}
        </>
      }
    />
  );
}
