// The three kinds of records, and their forms.

import { useTranslation } from "react-i18next";
import { Field, Input } from "@/components/field";
import { api, body, type Schemas } from "@/lib/api";
import { i18next } from "@/lib/i18n";
import { minorUnits, money } from "@/lib/money";
import { keys } from "@/lib/query";
import { dateTime } from "@/lib/words";
import type { RecordKind } from "./records";

type Appointment = Schemas["Appointment"];
type Quote = Schemas["Quote"];
type Payment = Schemas["Payment"];

const PAGE = 50;

const change = (record: { id: string; revision: number }) => ({ params: { path: { id: record.id }, header: { "If-Match": `"${record.revision}"` } } });

/** A field's text, undefined when it is empty. */
function text(fields: FormData, name: string): string | undefined {
  return String(fields.get(name) ?? "").trim() || undefined;
}

function moment(fields: FormData, name: string): string | undefined {
  const at = text(fields, name);
  return at === undefined ? undefined : new Date(at).toISOString();
}

function price(fields: FormData): { amount: number; currency: string } {
  const currency = (text(fields, "currency") ?? "").toLowerCase();
  const amount = minorUnits(text(fields, "amount") ?? "", currency);
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
  setStatus: (one, status) => body(api.PATCH("/api/appointments/{id}", { ...change(one), body: { status } })),
  add: (fields, lead_id) => body(api.POST("/api/appointments", { body: { title: text(fields, "title") ?? "", starts_at: moment(fields, "starts_at") ?? "", ends_at: moment(fields, "ends_at"), location: text(fields, "location"), lead_id } })),
  columns: (t) => [
    { accessorKey: "title", header: t("What about") },
    { accessorKey: "starts_at", header: t("Starts"), cell: ({ row }) => dateTime(row.original.starts_at) },
    { accessorKey: "ends_at", header: t("Ends"), cell: ({ row }) => dateTime(row.original.ends_at) },
    { accessorKey: "location", header: t("Where") },
  ],
  form: () => <AppointmentForm />,
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
  setStatus: (one, status) => body(api.PATCH("/api/quotes/{id}", { ...change(one), body: { status } })),
  add: async (fields, lead_id) => body(api.POST("/api/quotes", { body: { title: text(fields, "title") ?? "", ...price(fields), valid_until: moment(fields, "valid_until"), lead_id } })),
  columns: (t) => [
    { accessorKey: "title", header: t("What is offered") },
    { accessorKey: "amount", header: t("Amount"), cell: ({ row }) => money(row.original.amount, row.original.currency) },
    { accessorKey: "valid_until", header: t("Valid until"), cell: ({ row }) => dateTime(row.original.valid_until) },
    { accessorKey: "updated_at", header: t("Changed"), cell: ({ row }) => dateTime(row.original.updated_at) },
  ],
  form: () => <QuoteForm />,
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
  setStatus: (one, status) => body(api.PATCH("/api/payments/{id}", { ...change(one), body: { status } })),
  add: async (fields, lead_id) => body(api.POST("/api/payments", { body: { ...price(fields), method: text(fields, "method"), reference: text(fields, "reference"), lead_id } })),
  columns: (t) => [
    { accessorKey: "amount", header: t("Amount"), cell: ({ row }) => money(row.original.amount, row.original.currency) },
    { accessorKey: "method", header: t("How") },
    { accessorKey: "reference", header: t("Reference") },
    { accessorKey: "reason", header: t("Why it failed") },
    { accessorKey: "created_at", header: t("Since"), cell: ({ row }) => dateTime(row.original.created_at) },
  ],
  form: () => <PaymentForm />,
};

function AppointmentForm() {
  const { t } = useTranslation();
  return (
    <>
      <Field label={t("What about")} isRequired>{(control) => <Input {...control} name="title" required maxLength={200} />}</Field>
      <Field label={t("Starts")} isRequired>{(control) => <Input {...control} name="starts_at" type="datetime-local" required />}</Field>
      <Field label={t("Ends")}>{(control) => <Input {...control} name="ends_at" type="datetime-local" />}</Field>
      <Field label={t("Where")}>{(control) => <Input {...control} name="location" maxLength={500} />}</Field>
    </>
  );
}

function QuoteForm() {
  const { t } = useTranslation();
  return (
    <>
      <Field label={t("What is offered")} isRequired>{(control) => <Input {...control} name="title" required maxLength={200} />}</Field>
      <Price />
      <Field label={t("Valid until")}>{(control) => <Input {...control} name="valid_until" type="datetime-local" />}</Field>
    </>
  );
}

function PaymentForm() {
  const { t } = useTranslation();
  return (
    <>
      <Price />
      <Field label={t("How")} hint={t("card, transfer, cash")}>{(control) => <Input {...control} name="method" maxLength={500} />}</Field>
      <Field label={t("Reference")} hint={t("The number that others know it by")}>{(control) => <Input {...control} name="reference" maxLength={500} />}</Field>
    </>
  );
}

function Price() {
  const { t } = useTranslation();
  return (
    <div className="grid grid-cols-[1fr_6rem] gap-3">
      <Field label={t("Amount")} isRequired>{(control) => <Input {...control} name="amount" required inputMode="decimal" placeholder="12.50" />}</Field>
      <Field label={t("Currency")} isRequired>{(control) => <Input {...control} name="currency" required defaultValue="usd" pattern="[A-Za-z]{3}" />}</Field>
    </div>
  );
}
