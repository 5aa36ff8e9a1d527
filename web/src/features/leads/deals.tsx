// The three kinds of records, and their forms.

import { useTranslation } from "react-i18next";
import { Field, Input, TextArea } from "@/components/field";
import { api, asRead, body, type Schemas } from "@/lib/api";
import { localTime, momentOf, textOf } from "@/lib/fields";
import { i18next } from "@/lib/i18n";
import { decimal, minorUnits, money } from "@/lib/money";
import { keys } from "@/lib/query";
import { dateTime } from "@/lib/words";
import type { RecordKind } from "./records";

type Appointment = Schemas["Appointment"];
type Quote = Schemas["Quote"];
type Payment = Schemas["Payment"];

const PAGE = 50;

function price(fields: FormData): { amount: number; currency: string } {
  const currency = (textOf(fields, "currency") ?? "").toLowerCase();
  const amount = minorUnits(textOf(fields, "amount") ?? "", currency);
  if (amount === null) throw new Error(i18next.t("Write the amount like 12.50, and the currency like usd."));
  return { amount, currency };
}

export const APPOINTMENTS: RecordKind<Appointment, Schemas["AppointmentStatus"]> = {
  key: keys.appointments,
  label: "Appointments",
  empty: { title: "No appointments yet", text: "Meetings with leads, from here or over the API. Booking one starts the workflows that wait for it." },
  create: "New appointment",
  statuses: ["booked", "completed", "cancelled", "no_show"],
  least: "agent",
  titleOf: (one) => one.title,
  list: (query) => body(api.GET("/api/appointments", { params: { query: { ...query, limit: PAGE } } })),
  setStatus: (one, status) => body(api.PATCH("/api/appointments/{id}", { ...asRead(one), body: { status } })),
  add: (fields, lead_id) => body(api.POST("/api/appointments", { body: { title: textOf(fields, "title") ?? "", starts_at: momentOf(fields, "starts_at") ?? "", ends_at: momentOf(fields, "ends_at"), location: textOf(fields, "location"), notes: textOf(fields, "notes"), lead_id } })),
  read: (id) => body(api.GET("/api/appointments/{id}", { params: { path: { id } } })),
  edit: (one, fields) =>
    body(
      api.PATCH("/api/appointments/{id}", {
        ...asRead(one),
        body: { title: textOf(fields, "title") ?? "", starts_at: momentOf(fields, "starts_at"), ends_at: momentOf(fields, "ends_at") ?? null, location: textOf(fields, "location") ?? null, notes: textOf(fields, "notes") ?? "" },
      }),
    ),
  remove: (id, init) => api.DELETE("/api/appointments/{id}", { params: { path: { id } }, ...init }),
  columns: (t) => [
    { accessorKey: "title", header: t("What about") },
    { accessorKey: "starts_at", header: t("Starts"), cell: ({ row }) => dateTime(row.original.starts_at) },
    { accessorKey: "ends_at", header: t("Ends"), cell: ({ row }) => dateTime(row.original.ends_at) },
    { accessorKey: "location", header: t("Where") },
  ],
  form: (record) => <AppointmentForm record={record} />,
};

export const QUOTES: RecordKind<Quote, Schemas["QuoteStatus"]> = {
  key: keys.quotes,
  label: "Quotes",
  empty: { title: "No quotes yet", text: "Offers to leads, from here or over the API. One that is sent starts the workflows that follow it up." },
  create: "New quote",
  statuses: ["draft", "sent", "accepted", "declined", "expired", "paid"],
  least: "supervisor",
  titleOf: (one) => one.title,
  list: (query) => body(api.GET("/api/quotes", { params: { query: { ...query, limit: PAGE } } })),
  setStatus: (one, status) => body(api.PATCH("/api/quotes/{id}", { ...asRead(one), body: { status } })),
  add: async (fields, lead_id) => body(api.POST("/api/quotes", { body: { title: textOf(fields, "title") ?? "", ...price(fields), valid_until: momentOf(fields, "valid_until"), url: textOf(fields, "url"), notes: textOf(fields, "notes"), lead_id } })),
  read: (id) => body(api.GET("/api/quotes/{id}", { params: { path: { id } } })),
  edit: async (one, fields) =>
    body(
      api.PATCH("/api/quotes/{id}", {
        ...asRead(one),
        body: { title: textOf(fields, "title") ?? "", ...price(fields), valid_until: momentOf(fields, "valid_until") ?? null, url: textOf(fields, "url") ?? null, notes: textOf(fields, "notes") ?? "" },
      }),
    ),
  remove: (id, init) => api.DELETE("/api/quotes/{id}", { params: { path: { id } }, ...init }),
  columns: (t) => [
    { accessorKey: "title", header: t("What is offered") },
    { accessorKey: "amount", header: t("Amount"), cell: ({ row }) => money(row.original.amount, row.original.currency) },
    { accessorKey: "valid_until", header: t("Valid until"), cell: ({ row }) => dateTime(row.original.valid_until) },
    { accessorKey: "updated_at", header: t("Changed"), cell: ({ row }) => dateTime(row.original.updated_at) },
  ],
  form: (record) => <QuoteForm record={record} />,
};

export const PAYMENTS: RecordKind<Payment, Schemas["PaymentStatus"]> = {
  key: keys.payments,
  label: "Payments",
  empty: { title: "No payments yet", text: "Money from leads, from here or over the API. One that is received or fails starts the workflows that wait for it." },
  create: "New payment",
  statuses: ["pending", "received", "failed", "refunded"],
  least: "supervisor",
  titleOf: (one) => [money(one.amount, one.currency), one.reference].filter(Boolean).join(" "),
  list: (query) => body(api.GET("/api/payments", { params: { query: { ...query, limit: PAGE } } })),
  setStatus: (one, status) => body(api.PATCH("/api/payments/{id}", { ...asRead(one), body: { status } })),
  add: async (fields, lead_id) => body(api.POST("/api/payments", { body: { ...price(fields), method: textOf(fields, "method"), reference: textOf(fields, "reference"), lead_id } })),
  read: (id) => body(api.GET("/api/payments/{id}", { params: { path: { id } } })),
  edit: (one, fields) => body(api.PATCH("/api/payments/{id}", { ...asRead(one), body: { method: textOf(fields, "method") ?? null, reference: textOf(fields, "reference") ?? null, reason: textOf(fields, "reason") ?? null } })),
  remove: (id, init) => api.DELETE("/api/payments/{id}", { params: { path: { id } }, ...init }),
  columns: (t) => [
    { accessorKey: "amount", header: t("Amount"), cell: ({ row }) => money(row.original.amount, row.original.currency) },
    { accessorKey: "method", header: t("How") },
    { accessorKey: "reference", header: t("Reference") },
    { accessorKey: "reason", header: t("Why it failed") },
    { accessorKey: "created_at", header: t("Since"), cell: ({ row }) => dateTime(row.original.created_at) },
  ],
  form: (record) => <PaymentForm record={record} />,
};

function AppointmentForm({ record }: { record?: Appointment }) {
  const { t } = useTranslation();
  return (
    <>
      <Field label={t("What about")} isRequired>{(control) => <Input {...control} name="title" required maxLength={200} defaultValue={record?.title} />}</Field>
      <div className="grid gap-3 sm:grid-cols-2">
        <Field label={t("Starts")} isRequired>{(control) => <Input {...control} name="starts_at" type="datetime-local" required defaultValue={localTime(record?.starts_at)} />}</Field>
        <Field label={t("Ends")}>{(control) => <Input {...control} name="ends_at" type="datetime-local" defaultValue={localTime(record?.ends_at)} />}</Field>
      </div>
      <Field label={t("Where")}>{(control) => <Input {...control} name="location" maxLength={500} defaultValue={record?.location ?? ""} />}</Field>
      <Notes text={record?.notes} />
    </>
  );
}

function QuoteForm({ record }: { record?: Quote }) {
  const { t } = useTranslation();
  return (
    <>
      <Field label={t("What is offered")} isRequired>{(control) => <Input {...control} name="title" required maxLength={200} defaultValue={record?.title} />}</Field>
      <Price of={record} />
      <Field label={t("Valid until")}>{(control) => <Input {...control} name="valid_until" type="datetime-local" defaultValue={localTime(record?.valid_until)} />}</Field>
      <Field label={t("Address")} hint={t("Where the lead sees it")}>{(control) => <Input {...control} name="url" type="url" maxLength={2000} defaultValue={record?.url ?? ""} />}</Field>
      <Notes text={record?.notes} />
    </>
  );
}

/** What was paid stays as it is: money is not edited. */
function PaymentForm({ record }: { record?: Payment }) {
  const { t } = useTranslation();
  return (
    <>
      {record === undefined && <Price />}
      <Field label={t("How")} hint={t("card, transfer, cash")}>{(control) => <Input {...control} name="method" maxLength={500} defaultValue={record?.method ?? ""} />}</Field>
      <Field label={t("Reference")} hint={t("The number that others know it by")}>{(control) => <Input {...control} name="reference" maxLength={500} defaultValue={record?.reference ?? ""} />}</Field>
      {record !== undefined && <Field label={t("Why it failed")}>{(control) => <Input {...control} name="reason" maxLength={500} defaultValue={record.reason ?? ""} />}</Field>}
    </>
  );
}

function Notes({ text }: { text?: string }) {
  const { t } = useTranslation();
  return <Field label={t("Notes")}>{(control) => <TextArea {...control} name="notes" rows={3} maxLength={4000} defaultValue={text} />}</Field>;
}

function Price({ of: record }: { of?: { amount: number; currency: string } }) {
  const { t } = useTranslation();
  return (
    <div className="grid grid-cols-[1fr_6rem] gap-3">
      <Field label={t("Amount")} isRequired>
        {(control) => <Input {...control} name="amount" required inputMode="decimal" placeholder="12.50" defaultValue={record && decimal(record.amount, record.currency)} />}
      </Field>
      <Field label={t("Currency")} isRequired>{(control) => <Input {...control} name="currency" required defaultValue={record?.currency ?? "usd"} pattern="[A-Za-z]{3}" />}</Field>
    </div>
  );
}
