import { useMutation } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Field, Input } from "@/components/field";
import { Panel } from "@/components/page";
import { api } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { toastInfo } from "@/lib/toast";

/** One's own password. */
export function Password() {
  const { t } = useTranslation();
  const change = useMutation({
    mutationFn: (fields: FormData) => {
      const text = (name: string) => String(fields.get(name) ?? "");
      return api.POST("/api/auth/password", { body: { current_password: text("current"), new_password: text("next") } });
    },
    onSuccess: () => {
      toastInfo(t("Your password is changed"));
      void queryClient.invalidateQueries({ queryKey: keys.sessions });
    },
  });
  return (
    <Panel className="p-4" label={t("Your password")}>
      <h2 className="mb-2 font-semibold">{t("Your password")}</h2>
      <form
        className="flex flex-wrap items-end gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          const form = event.currentTarget;
          change.mutate(new FormData(form), { onSuccess: () => form.reset() });
        }}
      >
        <Field label={t("Present password")}>{(control) => <Input {...control} name="current" type="password" required autoComplete="current-password" />}</Field>
        <Field label={t("New password")}>{(control) => <Input {...control} name="next" type="password" required minLength={8} autoComplete="new-password" />}</Field>
        <Button type="submit" disabled={change.isPending}>
          {t("Change the password")}
        </Button>
        <p role="alert" className="text-danger empty:hidden">
          {change.error?.message}
        </p>
      </form>
    </Panel>
  );
}
