import { useMutation, useQuery } from "@tanstack/react-query";
import type { FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Field, Input, Select } from "@/components/field";
import { Panel } from "@/components/page";
import { Answer } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { toastInfo } from "@/lib/toast";

const ROLES: Schemas["Role"][] = ["agent", "supervisor", "admin", "owner"];

export function People() {
  const { t } = useTranslation();
  const query = useQuery({ queryKey: keys.users, queryFn: () => body(api.GET("/api/users")) });
  return (
    <Panel className="p-4" label={t("People")}>
      <h2 className="mb-2 font-semibold">{t("People")}</h2>
      <Answer query={query}>
        {({ items }) => (
          <ul className="mb-4 flex flex-col gap-1">
            {items.map((user) => (
              <li key={user.id} className="flex flex-wrap items-center gap-2">
                <span className="font-medium">{user.name || user.email}</span>
                <span className="text-muted">{user.email}</span>
                <Badge>{t(user.role)}</Badge>
              </li>
            ))}
          </ul>
        )}
      </Answer>
      <AddPerson />
    </Panel>
  );
}

function AddPerson() {
  const { t } = useTranslation();
  const create = useMutation({
    mutationFn: (fields: FormData) => {
      const text = (name: string) => String(fields.get(name) ?? "");
      return body(api.POST("/api/users", { body: { email: text("email"), name: text("name"), password: text("password"), role: text("role") as Schemas["Role"] } }));
    },
    onSuccess: (user) => {
      toastInfo(t("{{email}} can sign in", { email: user.email }));
      void queryClient.invalidateQueries({ queryKey: keys.users });
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    create.mutate(new FormData(form), { onSuccess: () => form.reset() });
  };
  return (
    <form onSubmit={submit} className="grid items-end gap-3 sm:grid-cols-2 lg:grid-cols-5">
      <Field label={t("Name")}>{(control) => <Input {...control} name="name" autoComplete="off" />}</Field>
      <Field label={t("E-mail")}>{(control) => <Input {...control} name="email" type="email" required autoComplete="off" />}</Field>
      <Field label={t("First password")}>{(control) => <Input {...control} name="password" type="password" required minLength={8} autoComplete="new-password" />}</Field>
      <Field label={t("Role")}>
        {(control) => (
          <Select {...control} name="role" defaultValue="agent">
            {ROLES.map((role) => (
              <option key={role} value={role}>
                {t(role)}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Button type="submit" disabled={create.isPending}>
        {t("Add a person")}
      </Button>
      <p role="alert" className="text-danger empty:hidden sm:col-span-full">
        {create.error?.message}
      </p>
    </form>
  );
}
