import { useTranslation } from "react-i18next";
import { segmentsOf } from "./segments";

/** The price list: one token and two cents a segment. */
const CENTS = 2;

/** What a text will cost. Data in braces is counted as written, so the real text may differ. */
export function SmsCount({ text }: { text: string }) {
  const { t } = useTranslation();
  const { count, units, isGsm } = segmentsOf(text);
  return (
    <p className="-mt-3 text-xs text-muted">
      {t("{{units}} characters", { units })} · {t("{{count}} segments", { count })} · ${((count * CENTS) / 100).toFixed(2)}
      {!isGsm && ` · ${t("special characters: 70 a segment")}`}
      {text.includes("{{") && ` · ${t("about: data is filled in later")}`}
    </p>
  );
}
