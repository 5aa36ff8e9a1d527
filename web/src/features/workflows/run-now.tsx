import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Dialog } from "@/components/dialog";
import { Field } from "@/components/field";
import { LeadSelect } from "@/components/lead-select";
import { SaveForm } from "@/components/save-form";
import { api, body, type Schemas } from "@/lib/api";
import { textOf } from "@/lib/fields";
import { keys, queryClient } from "@/lib/query";

/** Starts a run of the published version by hand, and goes to see it. */
export function RunNow({ workflow, onClose }: { workflow: Schemas["WorkflowSummary"]; onClose: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const start = async (fields: FormData) => {
    const { run_id } = await body(api.POST("/api/workflows/{id}/execute", { params: { path: { id: workflow.id } }, body: { lead_id: textOf(fields, "lead_id") } }));
    void queryClient.invalidateQueries({ queryKey: keys.runs });
    void navigate({ to: "/runs/$runId", params: { runId: run_id } });
  };
  return (
    <Dialog title={t("Run “{{name}}” now", { name: workflow.name })} text={t("Version {{version}} runs at once and really acts, whatever starts it otherwise.", { version: workflow.published_version })} isOpen onClose={onClose}>
      <SaveForm submit={t("Run it now")} save={start} onSaved={onClose}>
        <Field label={t("About")} hint={t("Steps that write to or call the lead need one.")}>
          {(control) => <LeadSelect {...control} name="lead_id" nobody={t("nobody")} />}
        </Field>
      </SaveForm>
    </Dialog>
  );
}
