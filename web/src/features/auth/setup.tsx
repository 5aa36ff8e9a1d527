import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Field, Input } from "@/components/field";
import { api, body } from "@/lib/api";
import { keepTokens } from "@/lib/session";
import { Door } from "./door";

/** The first administrator, by the address that the server printed when it started. */
export function Setup() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [token] = useState(() => new URLSearchParams(location.search).get("token"));
  useEffect(() => {
    // The token must not stay in the history or go into a referrer.
    history.replaceState(history.state, "", "/setup");
  }, []);
  const register = useMutation({
    mutationFn: (fields: FormData) => {
      const text = (name: string) => String(fields.get(name) ?? "");
      return body(
        api.POST("/api/auth/register", {
          body: { account_name: text("account_name"), name: text("name"), email: text("email"), password: text("password"), setup_token: token ?? "" },
        }),
      );
    },
    onSuccess: (pair) => {
      keepTokens(pair);
      void navigate({ to: "/templates" });
    },
  });
  const missing = token === null ? t("The address carries no token. Use the one that the server printed.") : null;
  return (
    <Door title={t("The first administrator")} text={t("This page works once, with the address that the server printed when it started.")} error={register.error?.message ?? missing} onSubmit={register.mutate}>
      <Field label={t("Team or company")}>{(control) => <Input {...control} name="account_name" autoComplete="organization" maxLength={200} />}</Field>
      <Field label={t("Your name")}>{(control) => <Input {...control} name="name" autoComplete="name" maxLength={200} />}</Field>
      <Field label={t("E-mail")}>{(control) => <Input {...control} name="email" type="email" autoComplete="username" required maxLength={254} />}</Field>
      <Field label={t("Password")} hint={t("At least 8 characters")}>
        {(control) => <Input {...control} name="password" type="password" autoComplete="new-password" required minLength={8} />}
      </Field>
      <Button type="submit" look="primary" disabled={register.isPending}>
        {t("Create the account")}
      </Button>
    </Door>
  );
}
