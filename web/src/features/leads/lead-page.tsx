import { useInfiniteQuery, useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Field, Select } from "@/components/field";
import { Json } from "@/components/json";
import { Page, Panel } from "@/components/page";
import { Answer, Failed, Slow } from "@/components/states";
import { Switch } from "@/components/switch";
import { Tabs } from "@/components/tabs";
import { api, body, type Schemas } from "@/lib/api";
import { useHeldFocus } from "@/lib/focus";
import { useMay } from "@/lib/me";
import { money } from "@/lib/money";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { dateTime, sentence, words } from "@/lib/words";
import { APPOINTMENTS, PAYMENTS, QUOTES } from "./deals";
import { LeadActions } from "./lead-actions";
import { Records } from "./records";

type Lead = Schemas["Lead"];

const CHANNELS = ["sms", "call", "email"] as const;
const STANDINGS: Schemas["Standing"][] = ["unknown", "granted", "denied"];

const route = getRouteApi("/shell/leads/$leadId");

export function LeadPage() {
  const { leadId } = route.useParams();
  const query = useQuery({ queryKey: keys.lead(leadId), queryFn: () => body(api.GET("/api/leads/{id}", { params: { path: { id: leadId } } })) });
  return <Answer query={query}>{(lead) => <Shown lead={lead} />}</Answer>;
}

function Shown({ lead }: { lead: Lead }) {
  const { t } = useTranslation();
  const facts: [string, string | number | null | undefined][] = [
    [t("Phone"), lead.phone],
    [t("E-mail"), lead.email],
    [t("Stage"), words(lead.stage)],
    [t("Score"), lead.score],
    [t("Time zone"), lead.timezone],
    [t("Known since"), dateTime(lead.created_at)],
  ];
  return (
    <Page title={lead.name || lead.phone || lead.email || t("A lead without a name")} actions={<LeadActions lead={lead} />}>
      <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-4 lg:grid-cols-[20rem_minmax(0,1fr)]">
        <div className="flex flex-col gap-4">
          <Panel className="p-4" label={t("Who it is")}>
            <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5">
              {facts.map(([name, value]) => (
                <div key={name} className="contents">
                  <dt className="text-muted">{name}</dt>
                  <dd className="break-words">{value === 0 ? 0 : value || "–"}</dd>
                </div>
              ))}
            </dl>
            {Object.keys(lead.fields).length > 0 && <Json value={lead.fields} label={t("Own fields")} />}
          </Panel>
          <Consent lead={lead} />
        </div>
        <About lead={lead} />
      </div>
    </Page>
  );
}

/** What the person allows. The server's gate asks this right before every message and call. */
function Consent({ lead }: { lead: Lead }) {
  const { t } = useTranslation();
  const change = useMutation({
    mutationFn: (wanted: Schemas["LeadChange"]) => body(api.PATCH("/api/leads/{id}", { params: { path: { id: lead.id } }, body: wanted })),
    onSuccess: (changed) => queryClient.setQueryData(keys.lead(lead.id), changed),
    onError: toastError,
  });
  const isFixed = !useMay("supervisor") || change.isPending;
  return (
    <Panel className="flex flex-col gap-3 p-4" label={t("Consent")}>
      <h2 className="font-semibold">{t("Consent")}</h2>
      {CHANNELS.map((channel) => (
        <Field key={channel} label={t(sentence(channel))}>
          {(control) => (
            <Select {...control} value={lead.consent?.[channel] ?? "unknown"} disabled={isFixed} onChange={(event) => change.mutate({ consent: { [channel]: event.target.value as Schemas["Standing"] } })}>
              {STANDINGS.map((standing) => (
                <option key={standing} value={standing}>
                  {t(standing)}
                </option>
              ))}
            </Select>
          )}
        </Field>
      ))}
      <label className="flex items-center justify-between gap-2">
        {t("Opted out of everything")}
        <Switch label={t("Opted out of everything")} isOn={lead.opted_out} isDisabled={isFixed} onChange={(opted_out) => change.mutate({ opted_out })} />
      </label>
    </Panel>
  );
}

/** What happened with the lead, and what is agreed. */
function About({ lead }: { lead: Lead }) {
  const { t } = useTranslation();
  const [tab, setTab] = useState("timeline");
  const tabs = [
    { id: "timeline", label: t("Timeline"), content: <Timeline id={lead.id} /> },
    { id: "appointments", label: t(APPOINTMENTS.label), content: <Records kind={APPOINTMENTS} leadId={lead.id} /> },
    { id: "quotes", label: t(QUOTES.label), content: <Records kind={QUOTES} leadId={lead.id} /> },
    { id: "payments", label: t(PAYMENTS.label), content: <Records kind={PAYMENTS} leadId={lead.id} /> },
  ];
  return <Tabs label={t("About the lead")} tabs={tabs} value={tab} onChange={setTab} />;
}

function Timeline({ id }: { id: string }) {
  const { t } = useTranslation();
  const timeline = useInfiniteQuery({
    queryKey: keys.timeline(id),
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) => body(api.GET("/api/leads/{id}/timeline", { params: { path: { id }, query: { limit: 50, cursor: pageParam } } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const held = useHeldFocus<HTMLElement>();
  const entries = timeline.data?.pages.flatMap((page) => page.items);
  return (
    <section ref={held} aria-label={t("Timeline")} className="flex flex-col gap-2 py-3">
      {timeline.error && <Failed error={timeline.error} onRetry={() => void timeline.refetch()} />}
      {entries === undefined && !timeline.error && <Slow />}
      {entries?.length === 0 && <p className="text-muted">{t("Nothing has happened yet.")}</p>}
      <ol className="flex flex-col gap-2 border-l pl-4">
        {entries?.map((entry) => (
          <li key={entry.id} className="rounded-lg border p-3">
            <p className="flex flex-wrap items-baseline gap-2">
              <span className="font-medium">{sentence(entry.type)}</span>
              <time className="text-xs text-muted">{dateTime(entry.at)}</time>
              {entry.caused_by && (
                <Link to="/runs/$runId" params={{ runId: entry.caused_by }} className="text-xs text-primary underline">
                  {t("by a workflow")}
                </Link>
              )}
            </p>
            <Told data={entry.data} />
          </li>
        ))}
      </ol>
      {timeline.hasNextPage && (
        <Button className="self-start" onClick={() => void timeline.fetchNextPage()}>
          {t("Show more")}
        </Button>
      )}
    </section>
  );
}

/** The data of a fact, without what is empty and without ids, which say nothing to people. */
function Told({ data }: { data: unknown }) {
  if (typeof data !== "object" || data === null) return null;
  const { currency } = data as { currency?: unknown };
  const told = Object.entries(data).filter(([name, value]) => value !== null && value !== "" && name !== "id" && !name.endsWith("_id") && !(name === "currency" && "amount" in data));
  if (told.length === 0) return null;
  return (
    <dl className="mt-1 grid grid-cols-[auto_1fr] gap-x-3 text-xs">
      {told.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-muted">{words(name)}</dt>
          <dd className="break-words">{valueOf(name, value, currency)}</dd>
        </div>
      ))}
    </dl>
  );
}

function valueOf(name: string, value: unknown, currency: unknown): string {
  if (name === "amount" && typeof value === "number" && typeof currency === "string" && /^[a-z]{3}$/i.test(currency)) return money(value, currency);
  if (/(_at|_until)$/.test(name) && typeof value === "string" && !Number.isNaN(Date.parse(value))) return dateTime(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
