// One's own second factor: set up with an authenticator, confirmed by a code, switched off by the password.

import { useMutation } from "@tanstack/react-query";
import { Download } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Field, Input } from "@/components/field";
import { Panel } from "@/components/page";
import { SaveForm } from "@/components/save-form";
import { api, body, type Schemas } from "@/lib/api";
import { download } from "@/lib/download";
import { textOf } from "@/lib/fields";
import { useMe } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { toastInfo } from "@/lib/toast";

/** Few ever need it: loaded when somebody does. */
const QrCode = lazy(() => import("./qr-code"));

type Begun = Schemas["BegunSecondFactor"];
/** Where somebody is on the way: nothing of it outlives the page. */
type Step = { at: "start" } | { at: "begun"; begun: Begun } | { at: "confirmed"; codes: string[] };

const refresh = () => queryClient.invalidateQueries({ queryKey: keys.me });
const passwordOf = (fields: FormData) => String(fields.get("password") ?? "");

export function SecondFactor() {
  const { t } = useTranslation();
  const isOn = useMe().data?.user.second_factor;
  const [step, setStep] = useState<Step>({ at: "start" });
  return (
    <Panel className="flex flex-col gap-3 p-4" label={t("Second factor")}>
      <div>
        <h2 className="flex items-center gap-2 font-semibold">
          {t("Second factor")}
          {isOn !== undefined && <Badge tone={isOn ? "ok" : "plain"}>{isOn ? t("on") : t("off")}</Badge>}
        </h2>
        <p className="text-muted">{t("When it is on, signing in asks for a code of an authenticator on your telephone besides the password.")}</p>
      </div>
      {step.at === "confirmed" && <Codes codes={step.codes} onDone={() => setStep({ at: "start" })} />}
      {step.at === "begun" && <Confirm begun={step.begun} onCancel={() => setStep({ at: "start" })} onConfirmed={(codes) => setStep({ at: "confirmed", codes })} />}
      {step.at === "start" && isOn === false && <Begin onBegun={(begun) => setStep({ at: "begun", begun })} />}
      {step.at === "start" && isOn === true && <SwitchOff />}
    </Panel>
  );
}

function Begin({ onBegun }: { onBegun: (begun: Begun) => void }) {
  const { t } = useTranslation();
  const begin = useMutation({ mutationFn: (password: string) => body(api.POST("/api/auth/second-factor", { body: { password } })), onSuccess: onBegun });
  return <PasswordForm submit={t("Set it up")} isPending={begin.isPending} error={begin.error} onSubmit={begin.mutate} />;
}

function SwitchOff() {
  const { t } = useTranslation();
  const disable = useMutation({
    mutationFn: (password: string) => api.POST("/api/auth/second-factor/disable", { body: { password } }),
    onSuccess: () => {
      toastInfo(t("The second factor is off"));
      void refresh();
    },
  });
  return <PasswordForm submit={t("Switch it off")} isPending={disable.isPending} error={disable.error} onSubmit={disable.mutate} />;
}

interface PasswordFormProps {
  submit: string;
  isPending: boolean;
  error: Error | null;
  onSubmit: (password: string) => void;
}

function PasswordForm({ submit, isPending, error, onSubmit }: PasswordFormProps) {
  const { t } = useTranslation();
  return (
    <form
      className="flex flex-wrap items-end gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit(passwordOf(new FormData(event.currentTarget)));
      }}
    >
      <Field label={t("Your password")}>{(control) => <Input {...control} name="password" type="password" required autoComplete="current-password" />}</Field>
      <Button type="submit" disabled={isPending}>
        {submit}
      </Button>
      <p role="alert" className="w-full text-danger empty:hidden">
        {error?.message}
      </p>
    </form>
  );
}

interface ConfirmProps {
  begun: Begun;
  onConfirmed: (codes: string[]) => void;
  onCancel: () => void;
}

function Confirm({ begun, onConfirmed, onCancel }: ConfirmProps) {
  const { t } = useTranslation();
  const confirm = async (fields: FormData) => {
    const { recovery_codes } = await body(api.POST("/api/auth/second-factor/confirm", { body: { code: (textOf(fields, "code") ?? "").replaceAll(" ", "") } }));
    onConfirmed(recovery_codes);
    void refresh();
  };
  return (
    <div className="flex flex-wrap items-start gap-6">
      <Suspense fallback={<div className="size-52 rounded-md border" />}>
        <QrCode text={begun.otpauth_url} label={t("QR code for your authenticator")} />
      </Suspense>
      <div className="flex max-w-md min-w-64 flex-1 flex-col gap-3">
        <ol className="flex list-decimal flex-col gap-2 pl-5">
          <li>
            {t("Scan the picture with an authenticator, or type this secret into it:")} <code className="font-semibold break-all">{begun.secret.match(/.{1,4}/g)?.join(" ")}</code>
          </li>
          <li>{t("Enter the code that it shows. Nothing is asked for at sign-in before that.")}</li>
        </ol>
        <SaveForm submit={t("Switch it on")} save={confirm} onSaved={() => undefined}>
          <Field label={t("Code")} isRequired>
            {(control) => <Input {...control} name="code" required inputMode="numeric" autoComplete="one-time-code" maxLength={10} autoFocus />}
          </Field>
        </SaveForm>
        <Button look="quiet" className="self-start" onClick={onCancel}>
          {t("Leave it off")}
        </Button>
      </div>
    </div>
  );
}

/** What opens the door when the authenticator is lost; the server does not show it again. */
function Codes({ codes, onDone }: { codes: string[]; onDone: () => void }) {
  const { t } = useTranslation();
  return (
    <div role="status" className="flex flex-col items-start gap-3 rounded-md border bg-warn-soft p-3 text-warn">
      <p>{t("The second factor is on. Keep these recovery codes where your telephone is not: each signs you in once in place of a code, and they are shown this once.")}</p>
      <ul aria-label={t("Recovery codes")} className="grid grid-cols-2 gap-x-8 gap-y-1">
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ul>
      <div className="flex gap-2">
        <Button onClick={() => download("recovery-codes.txt", "text/plain", `${codes.join("\n")}\n`)}>
          <Download size={14} aria-hidden />
          {t("Download")}
        </Button>
        <Button look="primary" onClick={onDone}>
          {t("I have kept them")}
        </Button>
      </div>
    </div>
  );
}
