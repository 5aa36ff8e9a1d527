import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Download, Eraser, Pencil, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Dialog } from "@/components/dialog";
import { Field, Input } from "@/components/field";
import { Menu, type MenuItem } from "@/components/menu";
import { SaveForm } from "@/components/save-form";
import { api, body, type Schemas } from "@/lib/api";
import { remove } from "@/lib/deletion";
import { download } from "@/lib/download";
import { textOf } from "@/lib/fields";
import { leadName } from "@/lib/lead-name";
import { useMay } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { toastError, toastInfo } from "@/lib/toast";
import { Erase } from "./erase";

type Lead = Schemas["Lead"];

/** What can be done with a lead as a whole, by role. */
export function LeadActions({ lead }: { lead: Lead }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [mayEdit, mayRemove] = [useMay("supervisor"), useMay("admin")];
  const [shown, setShown] = useState<"edit" | "erase" | null>(null);
  const name = leadName(lead);
  const whole = useMutation({
    mutationFn: () => api.GET("/api/leads/{id}/export", { params: { path: { id: lead.id } }, parseAs: "blob" }),
    onMutate: () => toastInfo(t("Everything known about {{name}} is put together", { name })),
    onSuccess: ({ data }) => data && download(`${lead.id}.json`, "application/json", data),
    onError: toastError,
  });
  const removal = () => {
    remove({ id: lead.id, name, list: keys.leads, send: (init) => api.DELETE("/api/leads/{id}", { params: { path: { id: lead.id } }, ...init }) }, t);
    void navigate({ to: "/leads" });
  };
  const forAdmins: MenuItem[] = [
    { label: t("Export everything"), icon: <Download size={14} aria-hidden />, isDisabled: whole.isPending, run: () => whole.mutate() },
    { label: t("Remove from the list"), icon: <Trash2 size={14} aria-hidden />, isDanger: true, run: removal },
    { label: t("Erase for good"), icon: <Eraser size={14} aria-hidden />, isDanger: true, run: () => setShown("erase") },
  ];
  if (!mayEdit) return null;
  return (
    <>
      <Menu
        label={t("Actions for {{name}}", { name })}
        items={[
          { label: t("Edit"), icon: <Pencil size={14} aria-hidden />, run: () => setShown("edit") },
          ...(mayRemove ? forAdmins : []),
        ]}
      />
      <Dialog title={t("Edit {{name}}", { name })} isOpen={shown === "edit"} onClose={() => setShown(null)}>
        <SaveForm
          submit={t("Save")}
          save={async (fields) => queryClient.setQueryData(keys.lead(lead.id), await body(api.PATCH("/api/leads/{id}", { params: { path: { id: lead.id } }, body: written(lead, fields) })))}
          onSaved={() => {
            setShown(null);
            void queryClient.invalidateQueries({ queryKey: keys.leads });
          }}
        >
          <LeadFields lead={lead} />
        </SaveForm>
      </Dialog>
      <Erase lead={lead} isOpen={shown === "erase"} onClose={() => setShown(null)} />
    </>
  );
}

/** Only what is not as it was: what somebody else changes meanwhile stays. */
function written(lead: Lead, fields: FormData): Schemas["LeadChange"] {
  const wanted: Schemas["LeadChange"] = {
    name: textOf(fields, "name") ?? "",
    phone: textOf(fields, "phone") ?? null,
    email: textOf(fields, "email") ?? null,
    stage: textOf(fields, "stage") ?? "",
    score: Number(textOf(fields, "score") ?? 0),
    timezone: textOf(fields, "timezone") ?? null,
  };
  const before = lead as Record<string, unknown>;
  return Object.fromEntries(Object.entries(wanted).filter(([name, value]) => value !== (before[name] ?? null)));
}

function LeadFields({ lead }: { lead: Lead }) {
  const { t } = useTranslation();
  return (
    <>
      <Field label={t("Name")}>{(control) => <Input {...control} name="name" maxLength={200} defaultValue={lead.name} />}</Field>
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label={t("Phone")} hint={t("With its country, like +14155550123")}>
          {(control) => <Input {...control} name="phone" type="tel" defaultValue={lead.phone ?? ""} />}
        </Field>
        <Field label={t("E-mail")}>{(control) => <Input {...control} name="email" type="email" maxLength={254} defaultValue={lead.email ?? ""} />}</Field>
        <Field label={t("Stage")} hint={t("A word of yours: new, qualified, customer")} isRequired>
          {(control) => <Input {...control} name="stage" required maxLength={50} defaultValue={lead.stage} />}
        </Field>
        <Field label={t("Score")} hint={t("0 to 100")}>
          {(control) => <Input {...control} name="score" type="number" min={0} max={100} defaultValue={lead.score} />}
        </Field>
        <Field label={t("Time zone")} hint={t("Like America/New_York; quiet hours go by it")}>
          {(control) => <Input {...control} name="timezone" maxLength={64} defaultValue={lead.timezone ?? ""} />}
        </Field>
      </div>
    </>
  );
}
