import { useMutation, useQuery } from "@tanstack/react-query";
import { RotateCcw, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Field, Input } from "@/components/field";
import { Panel } from "@/components/page";
import { Answer } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { dateTime } from "@/lib/words";

const refresh = () => queryClient.invalidateQueries({ queryKey: keys.webhooks });

/** Addresses that other systems post events to. */
export function Webhooks() {
  const { t } = useTranslation();
  const [made, setMade] = useState<Schemas["MadeWebhook"] | null>(null);
  const query = useQuery({ queryKey: keys.webhooks, queryFn: () => body(api.GET("/api/webhooks")) });
  const show = (webhook: Schemas["MadeWebhook"]) => {
    setMade(webhook);
    void refresh();
  };
  const create = useMutation({ mutationFn: (name: string) => body(api.POST("/api/webhooks", { body: { name } })), onSuccess: show, onError: toastError });
  const rotate = useMutation({ mutationFn: (id: string) => body(api.POST("/api/webhooks/{id}/rotate", { params: { path: { id } } })), onSuccess: show, onError: toastError });
  const remove = useMutation({
    mutationFn: (id: string) => api.DELETE("/api/webhooks/{id}", { params: { path: { id } } }),
    onSuccess: (_, id) => made?.id === id && setMade(null),
    onSettled: refresh,
    onError: toastError,
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    create.mutate(String(new FormData(event.currentTarget).get("name")));
    event.currentTarget.reset();
  };
  return (
    <Panel className="p-4" label={t("Incoming webhooks")}>
      <h2 className="font-semibold">{t("Incoming webhooks")}</h2>
      <p className="mb-3 text-muted">{t("Other systems post what happened there; it starts the workflows whose trigger is a webhook of that name.")}</p>
      <Answer query={query}>
        {({ items }) => (
          <ul className="mb-4 flex flex-col gap-1">
            {items.length === 0 && <li className="text-muted">{t("No webhooks yet.")}</li>}
            {items.map((webhook) => (
              <li key={webhook.id} className="flex flex-wrap items-center gap-2">
                <span className="font-medium">{webhook.name}</span>
                <span className="text-muted">{t("since {{at}}", { at: dateTime(webhook.created_at) })}</span>
                <Button look="quiet" disabled={rotate.isPending} aria-label={t("Replace the address of {{name}}", { name: webhook.name })} onClick={() => rotate.mutate(webhook.id)}>
                  <RotateCcw size={14} aria-hidden />
                  {t("New address")}
                </Button>
                <Button look="quiet" isIcon aria-label={t("Delete the webhook {{name}}", { name: webhook.name })} onClick={() => remove.mutate(webhook.id)}>
                  <Trash2 size={14} aria-hidden />
                </Button>
              </li>
            ))}
          </ul>
        )}
      </Answer>
      {made && <Address webhook={made} />}
      <form onSubmit={submit} className="flex flex-wrap items-end gap-3">
        <Field label={t("Name of the webhook")}>{(control) => <Input {...control} name="name" required maxLength={100} placeholder="orders" />}</Field>
        <Button type="submit" disabled={create.isPending}>
          {t("Make an address")}
        </Button>
      </form>
    </Panel>
  );
}

/** The address is a password: it is shown this once. */
function Address({ webhook }: { webhook: Schemas["MadeWebhook"] }) {
  const { t } = useTranslation();
  const example = `curl -d '{"data": {"phone": "+14155550100"}}' -H 'content-type: application/json' ${webhook.url}`;
  return (
    <div role="status" className="mb-4 flex flex-col gap-2 rounded-md border bg-warn-soft p-3 text-warn">
      <p>{t("Copy the address of “{{name}}”; it is shown this once, and whoever knows it may post:", { name: webhook.name })}</p>
      <code className="break-all">{webhook.url}</code>
      <p className="text-xs">{t("To try it:")}</p>
      <code className="text-xs break-all">{example}</code>
    </div>
  );
}
