import { useTranslation } from "react-i18next";
import { cn } from "@/lib/cn";
import { words } from "@/lib/words";

export type Tone = "ok" | "warn" | "danger" | "info" | "plain";

const TONES: Record<Tone, string> = {
  ok: "bg-ok-soft text-ok",
  warn: "bg-warn-soft text-warn",
  danger: "bg-danger-soft text-danger",
  info: "bg-info-soft text-info",
  plain: "bg-panel text-muted border border-border",
};

/** The tone of every status word of the server; an unknown one is plain. */
const OF_STATUS: Record<string, Tone> = {
  running: "info",
  waiting: "warn",
  stuck: "danger",
  completed: "ok",
  failed: "danger",
  cancelled: "plain",
  started: "info",
  done: "ok",
  unknown: "warn",
  held: "warn",
  refused: "danger",
  in_progress: "info",
  ringing: "info",
  no_answer: "warn",
  busy: "warn",
  canceled: "plain",
  open: "info",
  warning: "warn",
  critical: "danger",
  info: "info",
  urgent: "danger",
  high: "warn",
  delivered: "ok",
  sent: "ok",
  undelivered: "danger",
  outbox: "plain",
  erasing: "info",
  negative: "danger",
  positive: "ok",
};

export function toneOf(status: string): Tone {
  return OF_STATUS[status] ?? "plain";
}

export function Badge({ tone = "plain", className, children }: { tone?: Tone; className?: string; children: React.ReactNode }) {
  return <span className={cn("inline-flex items-center gap-1 rounded-full px-2 py-0.5 text-xs font-medium whitespace-nowrap", TONES[tone], className)}>{children}</span>;
}

export function StatusBadge({ status }: { status: string }) {
  const { t } = useTranslation();
  return <Badge tone={toneOf(status)}>{t(words(status))}</Badge>;
}
