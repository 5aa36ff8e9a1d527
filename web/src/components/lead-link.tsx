import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, body } from "@/lib/api";
import { leadName } from "@/lib/lead-name";
import { keys } from "@/lib/query";

/** Names change rarely: a list of fifty is not asked again for every call that comes in. */
const NAMES_MS = 60_000;

/** Whom something is about, by name: rows read the same otherwise. */
export function LeadLink({ id }: { id: string | null | undefined }) {
  const { t } = useTranslation();
  const lead = useQuery({ queryKey: keys.leadName(id ?? ""), enabled: Boolean(id), staleTime: NAMES_MS, queryFn: () => body(api.GET("/api/leads/{id}", { params: { path: { id: id ?? "" } } })) });
  if (!id) return "–";
  return (
    <Link to="/leads/$leadId" params={{ leadId: id }} className="text-primary underline">
      {lead.data ? leadName(lead.data) : t("Open the lead")}
    </Link>
  );
}
