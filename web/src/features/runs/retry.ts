import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { api, body, type Schemas } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";

/** Takes a run that has ended up again, as another run, and goes there. */
export function useRetry(runId: string) {
  const navigate = useNavigate();
  return useMutation({
    mutationFn: (order: Schemas["Retry"]) => body(api.POST("/api/runs/{id}/retry", { params: { path: { id: runId } }, body: order })),
    onSuccess: ({ run_id }) => {
      void queryClient.invalidateQueries({ queryKey: keys.runs });
      void navigate({ to: "/runs/$runId", params: { runId: run_id } });
    },
    onError: toastError,
  });
}
