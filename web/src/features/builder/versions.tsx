import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Answer } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { readDefinition } from "@/lib/graph/definition";
import { useMay } from "@/lib/me";
import { keys } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { dateTime } from "@/lib/words";
import { Changes } from "./changes";
import { useBuilder } from "./store";

/** The published versions: what the draft has changed since each, and each to take back as the draft. */
export function Versions({ workflowId, isOpen, onClose, onRestored }: { workflowId: string; isOpen: boolean; onClose: () => void; onRestored: (workflow: Schemas["Workflow"]) => void }) {
  const { t } = useTranslation();
  const query = useQuery({ queryKey: [...keys.versions(workflowId), "list"], enabled: isOpen, queryFn: () => body(api.GET("/api/workflows/{id}/versions", { params: { path: { id: workflowId } } })) });
  const [shown, setShown] = useState<number | null>(null);
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
    <Dialog title={t("Versions")} text={t("A published version never changes. Taking one back makes it the draft; it acts once it is published.")} isOpen={isOpen} isWide onClose={onClose}>
      <Answer query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="text-muted">{t("Nothing is published yet.")}</p>
          ) : (
            <ul className="flex flex-col gap-2">
              {items.map((version) => (
                <One
                  key={version.version}
                  version={version}
                  actsNow={version.version === newest(items)}
                  isShown={shown === version.version}
                  isBusy={restore.isPending}
                  onShow={(isShown) => setShown(isShown ? version.version : null)}
                  onRestore={() => restore.mutate(version.version)}
                />
              ))}
            </ul>
          )
        }
      </Answer>
    </Dialog>
  );
}

interface OneProps {
  version: Schemas["WorkflowVersion"];
  actsNow: boolean;
  isShown: boolean;
  isBusy: boolean;
  onShow: (isShown: boolean) => void;
  onRestore: () => void;
}

function One({ version: { version, published_at, definition }, actsNow, isShown, isBusy, onShow, onRestore }: OneProps) {
  const { t } = useTranslation();
  const mayEdit = useMay("admin");
  const draft = useBuilder((state) => state.definition);
  return (
    <li className="flex flex-col gap-3 rounded-md border p-2">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <span className="flex flex-wrap items-center gap-2">
          v{version} · {dateTime(published_at)} · {t("{{count}} steps", { count: readSteps(definition) })}
          {actsNow && <Badge tone="ok">{t("acts now")}</Badge>}
        </span>
        <span className="flex flex-wrap gap-2">
          <Button look="quiet" aria-expanded={isShown} aria-label={t("Compare with the draft: v{{version}}", { version })} onClick={() => onShow(!isShown)}>
            {t("Compare with the draft")}
          </Button>
          <Button disabled={!mayEdit || isBusy} aria-label={t("Take v{{version}} back as draft", { version })} onClick={onRestore}>
            {t("Take back as draft")}
          </Button>
        </span>
      </div>
      {isShown && draft !== null && <Changes title={t("What the draft changes about it")} same={t("Nothing: the draft is the same.")} before={readDefinition(definition)} after={draft} />}
    </li>
  );
}

/** The version that runs take: whatever is taken back is published as a later one. */
function newest(versions: { version: number }[]): number {
  return Math.max(...versions.map(({ version }) => version));
}

function readSteps(definition: Record<string, unknown>): number {
  return Array.isArray(definition.nodes) ? definition.nodes.length : 0;
}
