// Workflows as files: one is saved, another is read in as a draft.

import { useMutation } from "@tanstack/react-query";
import { Upload } from "lucide-react";
import { type ChangeEvent, useRef } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { api, body, type Schemas } from "@/lib/api";
import { download } from "@/lib/download";
import { i18next } from "@/lib/i18n";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";

/** The server takes a definition of 256 KiB; this leaves room for how a file may be laid out. */
const BYTES_MAX = 1024 * 1024;

export async function saveAsFile(workflow: Schemas["WorkflowSummary"]): Promise<void> {
  const file = await body(api.GET("/api/workflows/{id}/export", { params: { path: { id: workflow.id } } }));
  const name = workflow.name.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "") || "workflow";
  download(`${name}.json`, "application/json", `${JSON.stringify(file, null, 2)}\n`);
}

/** Reads a file that was saved here or elsewhere: it becomes a draft that is off. */
export function ImportFile({ onImported }: { onImported: (workflow: Schemas["Workflow"]) => void }) {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  const take = useMutation({
    mutationFn: async (file: File) => body(api.POST("/api/workflows/import", { body: await read(file) })),
    onSuccess: (workflow) => {
      void queryClient.invalidateQueries({ queryKey: keys.workflows });
      onImported(workflow);
    },
    onError: toastError,
  });
  const chosen = ({ currentTarget }: ChangeEvent<HTMLInputElement>) => {
    const file = currentTarget.files?.[0];
    // The same file may be chosen again once it is mended.
    currentTarget.value = "";
    if (file) take.mutate(file);
  };
  return (
    <>
      <input ref={input} type="file" accept=".json,application/json" hidden onChange={chosen} />
      <Button disabled={take.isPending} onClick={() => input.current?.click()}>
        <Upload size={16} aria-hidden />
        {t("Import a file")}
      </Button>
    </>
  );
}

async function read(file: File): Promise<Record<string, unknown>> {
  if (file.size > BYTES_MAX) throw new Error(i18next.t("{{name}} is too large for a workflow: at most 1 MiB.", { name: file.name }));
  const unreadable = new Error(i18next.t("{{name}} is no workflow: choose a JSON file that was exported from patchcord.", { name: file.name }));
  const value: unknown = await file.text().then(JSON.parse).catch(() => null);
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw unreadable;
  return value as Record<string, unknown>;
}
