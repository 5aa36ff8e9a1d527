import { expect, it } from "vitest";
import { i18next } from "@/lib/i18n";
import { gateWords } from "./gate-words";

const t = i18next.t;

it("says why a message was let through, and to whom it did not go", () => {
  const gate = {
    decision: "go",
    channel: "sms",
    zones: ["America/New_York"],
    zone_from: "number",
    window_until: null,
    consent: "given",
    is_reply: true,
    contacts: { day: 1, week: 3 },
    left_out: [{ receivers: ["kim@example.com"], code: "opted_out", message: "opted out of e-mails" }],
  };
  expect(gateWords(gate, t)).toEqual([
    "Their time is America/New_York, by the number",
    "Consent: given",
    "It answers what they wrote or said",
    "Contact 1 of the day and 3 of the week",
    "Not to kim@example.com: opted out of e-mails",
  ]);
});

it("says nothing where nobody had to judge", () => {
  expect(gateWords(null, t)).toEqual([]);
  expect(gateWords({}, t)).toEqual([]);
  expect(gateWords("go", t)).toEqual([]);
});
