import { useMutation, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Answer } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { useMay } from "@/lib/me";
import { keys } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { dateTime } from "@/lib/words";
import { useBuilder } from "./store";

/** The published versions, each to take back as the draft. */
export function Versions({ workflowId, isOpen, onClose, onRestored }: { workflowId: string; isOpen: boolean; onClose: () => void; onRestored: (workflow: Schemas["Workflow"]) => void }) {
  const { t } = useTranslation();
  const mayEdit = useMay("admin");
  const query = useQuery({ queryKey: [...keys.versions(workflowId), "list"], enabled: isOpen, queryFn: () => body(api.GET("/api/workflows/{id}/versions", { params: { path: { id: workflowId } } })) });
  const restore = useMutation({
    mutationFn: (version: number) =>
      body(api.POST("/api/workflows/{id}/versions/{version}/restore", { params: { path: { id: workflowId, version }, header: { "If-Match": `"${useBuilder.getState().revision}"` } } })),
    onSuccess: (workflow) => {
      onRestored(workflow);
      onClose();
    },
    onError: toastError,
  });
  return (
    <Dialog title={t("Versions")} text={t("A published version never changes. Taking one back makes it the draft; it acts once it is published.")} isOpen={isOpen} onClose={onClose}>
      <Answer query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="text-muted">{t("Nothing is published yet.")}</p>
          ) : (
            <ul className="flex flex-col gap-2">
              {items.map((version) => (
                <li key={version.version} className="flex items-center justify-between gap-3 rounded-md border p-2">
                  <span className="flex flex-wrap items-center gap-2">
                    v{version.version} · {dateTime(version.published_at)} · {t("{{count}} steps", { count: readSteps(version.definition) })}
                    {version.version === newest(items) && <Badge tone="ok">{t("acts now")}</Badge>}
                  </span>
                  <Button disabled={!mayEdit || restore.isPending} aria-label={t("Take v{{version}} back as draft", { version: version.version })} onClick={() => restore.mutate(version.version)}>
                    {t("Take back as draft")}
                  </Button>
                </li>
              ))}
            </ul>
          )
        }
      </Answer>
    </Dialog>
  );
}

/** The version that runs take: whatever is taken back is published as a later one. */
function newest(versions: { version: number }[]): number {
  return Math.max(...versions.map(({ version }) => version));
}

function readSteps(definition: Record<string, unknown>): number {
  return Array.isArray(definition.nodes) ? definition.nodes.length : 0;
}
