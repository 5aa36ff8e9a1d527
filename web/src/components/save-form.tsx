// Forms that are sent at once: what is wrong with them is said below in the server's words, with the name that the field has here.

import { useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/lib/api";
import { toastError } from "@/lib/toast";
import { Button } from "./button";

/** Refused because somebody else has changed the record since it was read. */
const MOVED = "moved";

interface SaveFormProps {
  submit: string;
  save: (fields: FormData) => Promise<unknown>;
  onSaved: () => void;
  /** Shows the record as somebody else has left it. */
  onReload?: () => void;
  children: ReactNode;
}

export function SaveForm({ submit, save, onSaved, onReload, children }: SaveFormProps) {
  const { t } = useTranslation();
  const form = useRef<HTMLFormElement>(null);
  const [said, setSaid] = useState("");
  const saving = useMutation({ mutationFn: save, onMutate: () => setSaid(""), onSuccess: onSaved, onError: (error) => setSaid(explained(error, form.current)) });
  const isMoved = onReload !== undefined && saving.error instanceof ApiError && saving.error.code === MOVED;
  const send = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    saving.mutate(new FormData(event.currentTarget));
  };
  return (
    <form ref={form} className="flex flex-col gap-3" onSubmit={send}>
      {children}
      <p role="alert" className="whitespace-pre-line text-danger empty:hidden">
        {isMoved ? t("Somebody else has changed this since you opened it. Nothing of yours was saved.") : said}
      </p>
      <div className="flex flex-wrap justify-end gap-2">
        {isMoved && <Button onClick={onReload}>{t("Show it as it is now")}</Button>}
        <Button type="submit" look="primary" disabled={saving.isPending || isMoved}>
          {submit}
        </Button>
      </div>
    </form>
  );
}

/** What is wrong, by the labels of the fields it is about; the first of them is marked and has the focus. */
function explained(error: Error, form: HTMLFormElement | null): string {
  if (!(error instanceof ApiError) || error.fields.length === 0 || form === null) return error.message;
  const found = error.fields.map(({ field, message }) => ({ field, message, control: controlOf(form, field) }));
  const first = found.find(({ control }) => control !== null)?.control;
  first?.setAttribute("aria-invalid", "true");
  first?.addEventListener("input", () => first.removeAttribute("aria-invalid"), { once: true });
  first?.focus();
  return found.map(({ field, message, control }) => [labelOf(control) ?? field, message].filter(Boolean).join(": ")).join("\n");
}

/** The control of a field of the API: `routing.to` is called `to` here. */
function controlOf(form: HTMLFormElement, field: string): HTMLInputElement | null {
  const control = form.elements.namedItem(field.split(".").at(-1) ?? "");
  return control instanceof HTMLElement ? (control as HTMLInputElement) : null;
}

function labelOf(control: HTMLInputElement | null): string | undefined {
  return control?.labels?.[0]?.textContent?.replace(/ \*$/, "");
}

interface EditFormProps<R> {
  record: R;
  /** Reads the record once more. */
  read: (id: string) => Promise<R>;
  /** Sends the change with the revision of the record that it is given. */
  save: (record: R, fields: FormData) => Promise<unknown>;
  onSaved: () => void;
  children: (record: R) => ReactNode;
}

/** A form over a record as it was when the form was opened, whatever lists hear meanwhile: nobody overwrites what they have not seen. */
export function EditForm<R extends { id: string; revision: number }>({ record, read, save, onSaved, children }: EditFormProps<R>) {
  const { t } = useTranslation();
  const [shown, setShown] = useState(record);
  const reload = useMutation({ mutationFn: () => read(record.id), onSuccess: setShown, onError: toastError });
  return (
    <SaveForm key={shown.revision} submit={t("Save")} save={(fields) => save(shown, fields)} onSaved={onSaved} onReload={() => reload.mutate()}>
      {children(shown)}
    </SaveForm>
  );
}
