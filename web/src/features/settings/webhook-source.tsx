// Who posts to an incoming webhook: the service, what it signs with, what its words are with us; what came last, and a trial.

import { useMutation, useQuery } from "@tanstack/react-query";
import { Plus, RotateCcw, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Badge, type Tone } from "@/components/badge";
import { Button } from "@/components/button";
import { Field, Input, Select, TextArea } from "@/components/field";
import { Json } from "@/components/json";
import { SaveForm } from "@/components/save-form";
import { Answer, Empty } from "@/components/states";
import { Tabs } from "@/components/tabs";
import { api, body, type Schemas } from "@/lib/api";
import { textOf } from "@/lib/fields";
import { useHeldFocus } from "@/lib/focus";
import { keys, queryClient } from "@/lib/query";
import { toastError, toastInfo } from "@/lib/toast";
import { dateTime, sentence } from "@/lib/words";

type Source = Schemas["Source"];
type View = Schemas["SourceView"];

/** Services that are read in their own words, with what they call their secret and what is understood without a mapping. */
const SOURCES: { source: Source; label: string; secret?: string; known: string }[] = [
  { source: "stripe", label: "Stripe", secret: "The endpoint's signing secret, whsec_…", known: "payment_intent.succeeded, payment_intent.payment_failed, checkout.session.completed, quote.finalized" },
  { source: "shopify", label: "Shopify", secret: "The secret that Shopify signs webhooks with", known: "orders/paid" },
  { source: "calendly", label: "Calendly", secret: "The signing key of the webhook subscription", known: "invitee.created, invitee.canceled, invitee_no_show.created" },
  { source: "form", label: "A form on a web page", known: "" },
];

/** What a request of each looks like, to begin a trial with. */
const TRIALS: Record<Source, { body: unknown; headers: Record<string, string> }> = {
  stripe: { body: { id: "evt_1", type: "payment_intent.succeeded", data: { object: { id: "pi_1", amount_received: 4900, currency: "usd", receipt_email: "ann@example.com" } } }, headers: {} },
  shopify: { body: { id: 1001, email: "ann@example.com", total_price: "49.00", currency: "USD" }, headers: { "X-Shopify-Topic": "orders/paid" } },
  calendly: { body: { event: "invitee.created", payload: { uri: "https://api.calendly.com/invitees/1", email: "ann@example.com", name: "Ann Lee" } }, headers: {} },
  form: { body: { name: "Ann Lee", email: "ann@example.com", phone: "+14155550100" }, headers: {} },
};

/** The source of a webhook; null while it takes any JSON. */
function useSource(id: string) {
  return useQuery({
    queryKey: [...keys.webhook(id), "source"],
    queryFn: () => body(api.GET("/api/webhooks/{id}/source", { params: { path: { id } } })),
  });
}

export function WebhookDesk({ id }: { id: string }) {
  const { t } = useTranslation();
  const [tab, setTab] = useState("source");
  const source = useSource(id);
  const stacked = (content: ReactNode) => <div className="flex min-h-72 flex-col gap-3 py-3">{content}</div>;
  const tabs = [
    { id: "source", label: t("Who posts"), content: stacked(<Answer query={source}>{(view) => <SourceForm key={view?.updated_at} id={id} view={view} />}</Answer>) },
    { id: "deliveries", label: t("Last deliveries"), content: stacked(<Deliveries id={id} />) },
    { id: "trial", label: t("Try it"), content: stacked(<Answer query={source}>{(view) => <Trial id={id} source={view?.source ?? null} />}</Answer>) },
  ];
  return <Tabs label={t("The webhook")} tabs={tabs} value={tab} onChange={setTab} />;
}

function SourceForm({ id, view }: { id: string; view: View | null }) {
  const { t } = useTranslation();
  const [source, setSource] = useState<Source | "json">(view?.source ?? "json");
  const service = SOURCES.find((one) => one.source === source);
  const save = async (fields: FormData) => {
    const path = { params: { path: { id } } };
    if (service === undefined) {
      if (view !== null) await api.DELETE("/api/webhooks/{id}/source", path);
      return;
    }
    const secret = service.secret ? textOf(fields, "secret") : undefined;
    await body(api.PUT("/api/webhooks/{id}/source", { ...path, body: { source: service.source, secret, events: mappingOf(fields) } }));
  };
  const hasSecret = view?.source === source && view.has_secret;
  return (
    <SaveForm
      submit={t("Save")}
      save={save}
      onSaved={() => {
        toastInfo(t("Saved: it holds for the next request"));
        void queryClient.invalidateQueries({ queryKey: keys.webhook(id) });
      }}
    >
      <Field label={t("Who posts to this address")}>
        {(control) => (
          <Select {...control} value={source} onChange={(event) => setSource(SOURCES.find((one) => one.source === event.target.value)?.source ?? "json")}>
            <option value="json">{t("Your own program, JSON as our documentation says")}</option>
            {SOURCES.map((one) => (
              <option key={one.source} value={one.source}>
                {t(one.label)}
              </option>
            ))}
          </Select>
        )}
      </Field>
      {service?.secret && (
        <Field label={t("Secret")} hint={hasSecret ? t("There is one; it is never shown. Leave this empty to keep it.") : t("{{what}}. What is not signed with it is refused.", { what: t(service.secret) })} isRequired={!hasSecret}>
          {(control) => <Input {...control} name="secret" type="password" autoComplete="off" required={!hasSecret} maxLength={500} />}
        </Field>
      )}
      {service && <Mapping key={service.source} known={service.known} events={view?.source === source ? view.events : {}} />}
    </SaveForm>
  );
}

/** Word by word; a word without a name beside it is ignored, a row without a word counts for nothing. */
function mappingOf(fields: FormData): Record<string, string> {
  const [words, names] = [fields.getAll("word"), fields.getAll("event")];
  const pairs = words.map((word, at): [string, string] => [String(word).trim(), String(names[at] ?? "").trim()]);
  return Object.fromEntries(pairs.filter(([word]) => word !== ""));
}

/** What the service's words are with us, beside those that are understood by themselves. */
function Mapping({ known, events }: { known: string; events: Record<string, string> }) {
  const { t } = useTranslation();
  const [rows, setRows] = useState(() => Object.entries(events).map(([word, event], id) => ({ id, word, event })));
  const [next, setNext] = useState(rows.length);
  const list = useHeldFocus<HTMLUListElement>();
  const add = () => {
    setRows([...rows, { id: next, word: "", event: "" }]);
    setNext(next + 1);
  };
  return (
    <fieldset className="flex flex-col gap-2 rounded-lg border p-3">
      <legend className="px-1 font-medium">{t("Its words with us")}</legend>
      <p className="text-xs text-muted">
        {known === "" ? t("What comes is an event under the webhook's name.") : t("Understood by themselves: {{known}}. Others are events by their own name.", { known })} {t("Here you can say otherwise; without an event of ours a word is ignored.")}
      </p>
      <ul ref={list} className="flex flex-col gap-2">
        {rows.map((row, at) => (
          <li key={row.id} className="flex items-center gap-2">
            <Input name="word" aria-label={t("Word {{number}} of the service", { number: at + 1 })} defaultValue={row.word} placeholder="invoice.paid" maxLength={100} />
            <span aria-hidden>→</span>
            <Input name="event" aria-label={t("Event for word {{number}}", { number: at + 1 })} defaultValue={row.event} placeholder="payment.received" maxLength={100} />
            <Button look="quiet" isIcon aria-label={t("Take word {{number}} out", { number: at + 1 })} onClick={() => setRows(rows.filter((one) => one !== row))}>
              <Trash2 size={14} aria-hidden />
            </Button>
          </li>
        ))}
      </ul>
      <Button className="self-start" onClick={add}>
        <Plus size={14} aria-hidden />
        {t("Add a word")}
      </Button>
    </fieldset>
  );
}

const OUTCOMES: Record<Schemas["DeliveryOutcome"], Tone> = { accepted: "ok", duplicate: "plain", ignored: "plain", refused: "danger" };

function Deliveries({ id }: { id: string }) {
  const { t } = useTranslation();
  const queryKey = [...keys.webhook(id), "deliveries"];
  const query = useQuery({ queryKey, staleTime: 0, queryFn: () => body(api.GET("/api/webhooks/{id}/deliveries", { params: { path: { id } } })) });
  const replay = useMutation({
    mutationFn: (delivery_id: string) => body(api.POST("/api/webhooks/{id}/deliveries/{delivery_id}/replay", { params: { path: { id, delivery_id } } })),
    onSuccess: () => toastInfo(t("Taken in once more, as a new event")),
    onError: toastError,
    // Deliveries are written once a second.
    onSettled: () => setTimeout(() => void queryClient.invalidateQueries({ queryKey }), 1200),
  });
  return (
    <>
      <div className="flex items-center justify-between gap-3">
        <p className="text-muted">{t("The last ten requests, refused ones too.")}</p>
        <Button disabled={query.isFetching} onClick={() => void query.refetch()}>
          <RotateCcw size={14} aria-hidden />
          {t("Look again")}
        </Button>
      </div>
      <Answer query={query}>
        {({ items }) => {
          if (items.length === 0) return <Empty title={t("Nothing has come yet")} text={t("What is posted to the address appears here within a second or two.")} />;
          return (
            <ol className="flex flex-col gap-2">
              {items.map((delivery) => (
                <Delivered key={delivery.id} delivery={delivery} isBusy={replay.isPending} onReplay={() => replay.mutate(delivery.id)} />
              ))}
            </ol>
          );
        }}
      </Answer>
    </>
  );
}

interface DeliveredProps {
  delivery: Schemas["Delivery"];
  isBusy: boolean;
  onReplay: () => void;
}

function Delivered({ delivery, isBusy, onReplay }: DeliveredProps) {
  const { t } = useTranslation();
  const at = dateTime(delivery.at);
  return (
    <li data-delivery={delivery.id} className="flex items-start gap-3 rounded-lg border p-2.5">
      <details className="min-w-0 flex-1">
        <summary className="cursor-pointer">
          <Badge tone={OUTCOMES[delivery.outcome]}>{t(delivery.outcome)}</Badge> <span className="font-medium">{delivery.event ?? "–"}</span> <time className="text-xs text-muted">{at}</time>{" "}
          {delivery.replay_of && <Badge>{t("replay")}</Badge>}
          {delivery.error && <span className="block text-danger">{delivery.error}</span>}
        </summary>
        <div className="mt-2 flex flex-col gap-2">
          <Json label={t("Headers")} value={delivery.headers} />
          <pre tabIndex={0} role="region" aria-label={t("Body")} className="max-h-64 overflow-auto rounded-md border bg-panel p-2 text-xs break-all whitespace-pre-wrap">
            {delivery.body}
          </pre>
        </div>
      </details>
      <Button disabled={isBusy || !delivery.is_whole} title={delivery.is_whole ? undefined : t("The body was too long to be kept whole")} aria-label={t("Replay the delivery of {{at}}", { at })} onClick={onReplay}>
        {t("Replay")}
      </Button>
    </li>
  );
}

/** What a request would be: nothing is kept, nothing starts. */
function Trial({ id, source }: { id: string; source: Source | null }) {
  const { t } = useTranslation();
  const attempt = useMutation({
    mutationFn: async (fields: FormData) => {
      const text = textOf(fields, "body") ?? "";
      const topic = textOf(fields, "topic");
      return body(api.POST("/api/webhooks/{id}/test", { params: { path: { id } }, body: { body: parsed(text), headers: topic ? { "X-Shopify-Topic": topic } : {} } }));
    },
  });
  if (source === null) return <Empty title={t("There is nothing to translate")} text={t("This webhook takes JSON as it is. Say first who posts to it.")} />;
  const example = TRIALS[source];
  return (
    <form
      key={source}
      className="flex flex-col gap-3"
      onSubmit={(event) => {
        event.preventDefault();
        attempt.mutate(new FormData(event.currentTarget));
      }}
    >
      {source === "shopify" && <Field label="X-Shopify-Topic">{(control) => <Input {...control} name="topic" defaultValue={example.headers["X-Shopify-Topic"]} />}</Field>}
      <Field label={t("Body of the request")} hint={t("No signature is asked for, nothing is kept, and nothing starts.")}>
        {(control) => <TextArea {...control} name="body" rows={7} className="font-mono text-xs" defaultValue={JSON.stringify(example.body, null, 2)} />}
      </Field>
      <Button type="submit" look="primary" className="self-start" disabled={attempt.isPending}>
        {t("What would it be?")}
      </Button>
      <p role="alert" className="whitespace-pre-line text-danger empty:hidden">
        {attempt.error?.message}
      </p>
      {attempt.data && <Translated result={attempt.data} />}
    </form>
  );
}

/** JSON as an object, anything else as the text that it is. */
function parsed(text: string): Schemas["Trial"]["body"] {
  try {
    return JSON.parse(text) as Schemas["Trial"]["body"];
  } catch {
    return text as unknown as Schemas["Trial"]["body"];
  }
}

function Translated({ result }: { result: Schemas["TrialResult"] }) {
  const { t } = useTranslation();
  return (
    <div role="status" className="flex flex-col gap-2 rounded-lg border p-3">
      <p>
        {result.event === null || result.event === undefined
          ? t("“{{word}}” would be ignored.", { word: result.word })
          : t("“{{word}}” would be “{{event}}”{{name}}.", { word: result.word, event: sentence(result.event), name: result.name ? ` (${result.name})` : "" })}
      </p>
      <Json label={t("What workflows would see")} value={result.data} />
    </div>
  );
}
