// Why the gate let an attempt through, in words; the server's `gate` of an attempt (docs/workflows.md, "The gate").

import type { TFunction } from "i18next";
import { dateTime, words } from "@/lib/words";

interface Shown {
  zones?: unknown;
  zone_from?: unknown;
  window_until?: unknown;
  consent?: unknown;
  is_reply?: unknown;
  contacts?: { day?: unknown; week?: unknown } | null;
  left_out?: unknown;
}

/** One sentence a ground; none for what nobody had to judge. */
export function gateWords(gate: unknown, t: TFunction): string[] {
  if (typeof gate !== "object" || gate === null) return [];
  const { zones, zone_from, window_until, consent, is_reply, contacts, left_out } = gate as Shown;
  const zone = Array.isArray(zones) ? zones.join(", ") : "";
  return [
    zone !== "" && (typeof zone_from === "string" ? t("Their time is {{zone}}, by the {{source}}", { zone, source: words(zone_from) }) : t("Their time is {{zone}}", { zone })),
    typeof window_until === "string" && t("They may be reached until {{at}}", { at: dateTime(window_until) }),
    typeof consent === "string" && t("Consent: {{consent}}", { consent: t(words(consent)) }),
    is_reply === true && t("It answers what they wrote or said"),
    contacts && t("Contact {{day}} of the day and {{week}} of the week", contacts),
    ...(Array.isArray(left_out) ? left_out.map((one: unknown) => leftOut(one, t)) : []),
  ].filter((text) => typeof text === "string");
}

function leftOut(one: unknown, t: TFunction): string | null {
  const { receivers, message } = (one ?? {}) as { receivers?: unknown; message?: unknown };
  return Array.isArray(receivers) ? t("Not to {{who}}: {{why}}", { who: receivers.join(", "), why: String(message ?? "") }) : null;
}
