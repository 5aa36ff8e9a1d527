import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Field, Input } from "@/components/field";
import { Panel } from "@/components/page";
import { Answer } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { textOf } from "@/lib/fields";
import { keys, queryClient } from "@/lib/query";
import { toastInfo } from "@/lib/toast";

type Kept = Schemas["Retention"];

const KINDS: { name: keyof Kept; label: string; hint: string }[] = [
  { name: "transcripts_days", label: "Transcripts of calls", hint: "Counted from the call; the call itself stays." },
  { name: "messages_days", label: "Texts of messages", hint: "Counted from when it was sent or came; between whom and when stays." },
  { name: "runs_days", label: "Steps of ended runs", hint: "Counted from the run's end; the run stays in lists and counts." },
];
const DAYS_MAX = 3650;

/** How long what was said and done is kept. */
export function Retention() {
  const { t } = useTranslation();
  const query = useQuery({ queryKey: keys.account, queryFn: () => body(api.GET("/api/account")) });
  return (
    <Panel className="flex flex-col gap-3 p-4" label={t("How long things are kept")}>
      <div>
        <h2 className="font-semibold">{t("How long things are kept")}</h2>
        <p className="text-muted">{t("What is older is taken away for good, day by day; the audit log says how much. To take away one person, erase the lead.")}</p>
      </div>
      <Answer query={query}>{({ retention }) => <Days key={JSON.stringify(retention)} kept={retention} />}</Answer>
    </Panel>
  );
}

function Days({ kept }: { kept: Kept }) {
  const { t } = useTranslation();
  const [wanted, setWanted] = useState<Kept | null>(null);
  const change = useMutation({
    mutationFn: (retention: Kept) => body(api.PATCH("/api/account", { body: { retention } })),
    onSuccess: (account) => {
      setWanted(null);
      toastInfo(t("Saved: what is older goes from now on"));
      queryClient.setQueryData(keys.account, account);
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const next = daysOf(new FormData(event.currentTarget));
    change.reset();
    // To keep things longer loses nothing.
    if (KINDS.some(({ name }) => isShorter(next[name], kept[name]))) setWanted(next);
    else change.mutate(next);
  };
  const problem = (
    <p role="alert" className="whitespace-pre-line text-danger empty:hidden">
      {change.error?.message}
    </p>
  );
  const footer = (
    <Button look="danger" disabled={change.isPending} onClick={() => wanted && change.mutate(wanted)}>
      {t("Take older ones away")}
    </Button>
  );
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <div className="grid gap-4 sm:grid-cols-3">
        {KINDS.map(({ name, label, hint }) => (
          <Field key={name} label={t("{{what}}, days", { what: t(label) })} hint={t(hint)}>
            {(control) => <Input {...control} name={name} type="number" min={1} max={DAYS_MAX} defaultValue={kept[name] ?? ""} placeholder={t("for good")} />}
          </Field>
        ))}
      </div>
      {wanted === null && problem}
      <Button type="submit" look="primary" className="self-end" disabled={change.isPending}>
        {t("Save")}
      </Button>
      <Dialog title={t("Take away what is older?")} text={t("It begins within a minute, and there is no way back.")} isOpen={wanted !== null} onClose={() => setWanted(null)} footer={footer}>
        <ul className="list-disc pl-5">
          {KINDS.filter(({ name }) => isShorter(wanted?.[name], kept[name])).map(({ name, label }) => (
            <li key={name}>{t("{{what}}: what is older than {{count}} days", { what: t(label), count: wanted?.[name] ?? 0 })}</li>
          ))}
        </ul>
        {problem}
      </Dialog>
    </form>
  );
}

function daysOf(fields: FormData): Kept {
  const days = (name: keyof Kept) => Number(textOf(fields, name) ?? 0) || null;
  return { transcripts_days: days("transcripts_days"), messages_days: days("messages_days"), runs_days: days("runs_days") };
}

/** Whether less is kept than before; nothing stands for good. */
function isShorter(days: number | null | undefined, before: number | null | undefined): boolean {
  return (days ?? Number.POSITIVE_INFINITY) < (before ?? Number.POSITIVE_INFINITY);
}
