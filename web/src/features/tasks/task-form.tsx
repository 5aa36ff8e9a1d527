import { useTranslation } from "react-i18next";
import { Field, Input, Select, TextArea } from "@/components/field";
import { LeadSelect } from "@/components/lead-select";
import { SaveForm } from "@/components/save-form";
import { api, body, type Schemas } from "@/lib/api";
import { localTime, momentOf, textOf } from "@/lib/fields";
import { keys, queryClient } from "@/lib/query";
import { words } from "@/lib/words";

const PRIORITIES: Schemas["Priority"][] = ["low", "normal", "high", "urgent"];

/** Writes a task down, or changes one. Whom it is about is said once. */
export function TaskForm({ task, onSaved }: { task: Schemas["Task"] | null; onSaved: () => void }) {
  const { t } = useTranslation();
  const save = (fields: FormData) => {
    const written = { title: textOf(fields, "title") ?? "", notes: textOf(fields, "notes") ?? "", priority: PRIORITIES.find((one) => one === fields.get("priority")) ?? "normal" };
    const due_at = momentOf(fields, "due_at");
    if (task === null) return body(api.POST("/api/tasks", { body: { ...written, due_at, lead_id: textOf(fields, "lead_id") } }));
    return body(api.PATCH("/api/tasks/{id}", { params: { path: { id: task.id } }, body: { ...written, due_at: due_at ?? null } }));
  };
  const saved = () => {
    void queryClient.invalidateQueries({ queryKey: keys.tasks });
    onSaved();
  };
  return (
    <SaveForm submit={task === null ? t("Add") : t("Save")} save={save} onSaved={saved}>
      <Field label={t("What is to be done")} isRequired>
        {(control) => <Input {...control} name="title" maxLength={200} defaultValue={task?.title} />}
      </Field>
      <Field label={t("Notes")}>{(control) => <TextArea {...control} name="notes" rows={3} maxLength={10_000} defaultValue={task?.notes} />}</Field>
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label={t("Due")}>{(control) => <Input {...control} name="due_at" type="datetime-local" defaultValue={localTime(task?.due_at)} />}</Field>
        <Field label={t("Priority")}>
          {(control) => (
            <Select {...control} name="priority" defaultValue={task?.priority ?? "normal"}>
              {PRIORITIES.map((one) => (
                <option key={one} value={one}>
                  {t(words(one))}
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      {task === null && <Field label={t("About the lead")}>{(control) => <LeadSelect {...control} name="lead_id" nobody={t("nobody")} />}</Field>}
    </SaveForm>
  );
}
