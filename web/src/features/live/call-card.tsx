import { PhoneIncoming, PhoneOutgoing } from "lucide-react";
import { memo } from "react";
import { useTranslation } from "react-i18next";
import { Badge, StatusBadge } from "@/components/badge";
import { cn } from "@/lib/cn";
import type { LiveCall } from "@/lib/live/floor";
import { clockTime } from "@/lib/words";
import { SentimentLine } from "./sentiment-line";

interface CallCardProps {
  call: LiveCall;
  isChosen: boolean;
  openAlerts: number;
  onChoose: (id: string) => void;
}

/** Drawn again only when its own call changed: there may be hundreds. */
export const CallCard = memo(function CallCard({ call, isChosen, openAlerts, onChoose }: CallCardProps) {
  const { t } = useTranslation();
  const record = call.record;
  const isInbound = record?.direction !== "outbound";
  return (
    <button
      type="button"
      aria-pressed={isChosen}
      onClick={() => onChoose(call.id)}
      data-call={call.id}
      className={cn("flex w-full flex-col gap-1 rounded-lg border p-2.5 text-left hover:bg-panel", isChosen && "border-primary ring-1 ring-primary")}
    >
      <span className="flex w-full items-center gap-2">
        {isInbound ? <PhoneIncoming size={14} aria-hidden /> : <PhoneOutgoing size={14} aria-hidden />}
        <span className="min-w-0 truncate font-medium">{record ? otherNumber(call) : t("A call")}</span>
        {openAlerts > 0 && <Badge tone="danger" className="ml-auto">{t("{{count}} open", { count: openAlerts })}</Badge>}
      </span>
      <span className="flex w-full items-center gap-2 text-xs text-muted">
        {record && <StatusBadge status={shownStatus(call)} />}
        <span className="whitespace-nowrap">{record && clockTime(record.started_at)}</span>
        <span className="ml-auto flex min-w-0 flex-1 justify-end">
          <SentimentLine call={call} />
        </span>
      </span>
    </button>
  );
});

export function otherNumber(call: LiveCall): string {
  const record = call.record;
  if (record === null) return "";
  return record.direction === "inbound" ? record.from : record.to;
}

/** A call that was taken in but that no agent answered is completed for the provider and missed for us. */
export function shownStatus(call: LiveCall): string {
  const record = call.record;
  if (record === null) return "queued";
  const isMissed = record.status === "completed" && record.dial_status && record.dial_status !== "completed";
  return isMissed ? String(record.dial_status) : record.status;
}
