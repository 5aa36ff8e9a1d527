import { useQuery } from "@tanstack/react-query";
import type { SelectHTMLAttributes } from "react";
import { api, body } from "@/lib/api";
import { leadName } from "@/lib/lead-name";
import { keys } from "@/lib/query";
import { Select } from "./field";

interface LeadSelectProps extends SelectHTMLAttributes<HTMLSelectElement> {
  /** What it is when no lead is chosen. */
  nobody: string;
}

/** One of the leads that changed last. */
export function LeadSelect({ nobody, ...rest }: LeadSelectProps) {
  const leads = useQuery({ queryKey: [...keys.leads, "choice"], queryFn: () => body(api.GET("/api/leads", { params: { query: { limit: 100 } } })) });
  return (
    <Select {...rest}>
      <option value="">{nobody}</option>
      {leads.data?.items.map((lead) => (
        <option key={lead.id} value={lead.id}>
          {leadName(lead)}
        </option>
      ))}
    </Select>
  );
}
