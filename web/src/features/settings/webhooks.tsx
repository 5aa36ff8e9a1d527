import { useMutation, useQuery } from "@tanstack/react-query";
import { RotateCcw, Settings2, Trash2 } from "lucide-react";
import { type FormEvent, lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Field, Input } from "@/components/field";
import { HeldList } from "@/components/held-list";
import { Panel } from "@/components/page";
import { Answer, Slow } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { dateTime } from "@/lib/words";

const WebhookDesk = lazy(() => import("./webhook-source").then(({ WebhookDesk }) => ({ default: WebhookDesk })));

const refresh = () => queryClient.invalidateQueries({ queryKey: keys.webhooks });

/** Addresses that other systems post events to. */
export function Webhooks() {
  const { t } = useTranslation();
  const [made, setMade] = useState<Schemas["MadeWebhook"] | null>(null);
  const [shown, setShown] = useState<Schemas["Webhook"] | null>(null);
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
          <HeldList className="mb-4 flex flex-col gap-1">
            {items.length === 0 && <li className="text-muted">{t("No webhooks yet.")}</li>}
            {items.map((webhook) => (
              <li key={webhook.id} className="flex flex-wrap items-center gap-2">
                <span className="font-medium">{webhook.name}</span>
                <span className="text-muted">{t("since {{at}}", { at: dateTime(webhook.created_at) })}</span>
                <Button look="quiet" aria-label={t("Set up {{name}}: who posts, last deliveries, trial", { name: webhook.name })} onClick={() => setShown(webhook)}>
                  <Settings2 size={14} aria-hidden />
                  {t("Set up")}
                </Button>
                <Button look="quiet" disabled={rotate.isPending} aria-label={t("Replace the address of {{name}}", { name: webhook.name })} onClick={() => rotate.mutate(webhook.id)}>
                  <RotateCcw size={14} aria-hidden />
                  {t("New address")}
                </Button>
                <Button look="quiet" isIcon aria-label={t("Delete the webhook {{name}}", { name: webhook.name })} onClick={() => remove.mutate(webhook.id)}>
                  <Trash2 size={14} aria-hidden />
                </Button>
              </li>
            ))}
          </HeldList>
        )}
      </Answer>
      {made && <Address webhook={made} onSetUp={() => setShown(made)} />}
      <Dialog title={t("Webhook “{{name}}”", { name: shown?.name })} isOpen={shown !== null} onClose={() => setShown(null)} isWide>
        <Suspense fallback={<Slow />}>{shown !== null && <WebhookDesk id={shown.id} />}</Suspense>
      </Dialog>
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
function Address({ webhook, onSetUp }: { webhook: Schemas["MadeWebhook"]; onSetUp: () => void }) {
  const { t } = useTranslation();
  const example = `curl -d '{"data": {"phone": "+14155550100"}}' -H 'content-type: application/json' ${webhook.url}`;
  return (
    <div role="status" className="mb-4 flex flex-col gap-2 rounded-md border bg-warn-soft p-3 text-warn">
      <p>{t("Copy the address of “{{name}}”; it is shown this once, and whoever knows it may post:", { name: webhook.name })}</p>
      <code className="break-all">{webhook.url}</code>
      <p className="text-xs">{t("To try it:")}</p>
      <code className="text-xs break-all">{example}</code>
      <div>
        <Button onClick={onSetUp}>{t("It is for Stripe, Shopify, Calendly or a form")}</Button>
      </div>
    </div>
  );
}
