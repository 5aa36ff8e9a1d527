import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import type { Schemas } from "@/lib/api";

/** Whether messages and calls may go to a lead. */
export function Reach({ lead }: { lead: Schemas["Lead"] }) {
  const { t } = useTranslation();
  if (lead.opted_out) return <Badge tone="danger">{t("opted out")}</Badge>;
  const out = lead.opted_out_of ?? [];
  return out.length > 0 ? <Badge tone="warn">{t("not by {{channels}}", { channels: out.join(", ") })}</Badge> : <Badge tone="ok">{t("yes")}</Badge>;
}
