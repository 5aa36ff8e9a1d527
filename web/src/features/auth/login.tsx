import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Field, Input } from "@/components/field";
import { ApiError, api, body } from "@/lib/api";
import { keepTokens } from "@/lib/session";
import { Door } from "./door";

export function Login() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [asksForCode, setAsksForCode] = useState(false);
  const signIn = useMutation({
    mutationFn: (fields: FormData) =>
      body(
        api.POST("/api/auth/login", {
          body: {
            email: String(fields.get("email")),
            password: String(fields.get("password")),
            code: fields.get("code") === null ? null : String(fields.get("code")),
          },
        }),
      ),
    onError: (error) => {
      if (isCodeNeeded(error)) setAsksForCode(true);
    },
    onSuccess: (pair) => {
      keepTokens(pair);
      void navigate({ to: "/live" });
    },
  });
  return (
    <Door title={t("Sign in")} error={isCodeNeeded(signIn.error) ? null : (signIn.error?.message ?? null)} onSubmit={signIn.mutate}>
      <Field label={t("E-mail")}>{(control) => <Input {...control} name="email" type="email" autoComplete="username" required autoFocus />}</Field>
      <Field label={t("Password")}>{(control) => <Input {...control} name="password" type="password" autoComplete="current-password" required />}</Field>
      {asksForCode ? <Field label={t("Code of your authenticator")} hint={t("Or one of your recovery codes")}>{(control) => <Input {...control} name="code" inputMode="numeric" autoComplete="one-time-code" required autoFocus />}</Field> : null}
      <Button type="submit" look="primary" disabled={signIn.isPending}>
        {t("Sign in")}
      </Button>
    </Door>
  );
}

/** The password was right: what is missing is the second factor. */
function isCodeNeeded(error: Error | null): boolean {
  return error instanceof ApiError && error.code === "code_needed";
}
