import { useTranslation } from "react-i18next";
import { Badge, type Tone } from "@/components/badge";
import { type SaveState, useBuilder } from "./store";

const STATES: Record<SaveState, { text: string; tone: Tone }> = {
  saved: { text: "Saved", tone: "ok" },
  waiting: { text: "Not saved yet", tone: "plain" },
  saving: { text: "Saving …", tone: "plain" },
  offline: { text: "No connection: kept in this browser", tone: "warn" },
  refused: { text: "Not saved: the server refused it", tone: "danger" },
  conflict: { text: "Not saved: changed elsewhere", tone: "danger" },
};

/** Whether the server has what is on the screen. */
export function SaveBadge() {
  const { t } = useTranslation();
  const { save, refusal } = useBuilder();
  const { text, tone } = STATES[save];
  return (
    <span role="status" data-save={save} title={refusal ?? undefined}>
      <Badge tone={tone}>{t(text)}</Badge>
    </span>
  );
}
