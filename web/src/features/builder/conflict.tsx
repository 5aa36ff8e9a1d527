import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { readDefinition } from "@/lib/graph/definition";
import type { Side } from "@/lib/graph/merge";
import { toastError } from "@/lib/toast";
import { dateTime } from "@/lib/words";
import { read } from "./autosave";
import { dropDraft, type KeptDraft } from "./drafts";
import { useBuilder } from "./store";

/** Somebody else changed the same as this tab: a person says whose stays. Nothing is overwritten before. */
export function Conflict({ workflowId }: { workflowId: string }) {
  const { t } = useTranslation();
  const { save, clashes } = useBuilder();
  if (save !== "conflict") return null;
  const decide = async (prefer: Side) => {
    try {
      const workflow = await read(workflowId);
      useBuilder.getState().rebase(readDefinition(workflow.definition), workflow.revision, prefer);
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 border-b bg-danger-soft px-3 py-2 text-danger">
      <p className="flex-1">
        {t("Somebody else changed the same as you. Your edits are kept here and not saved until you decide about:")} <strong>{clashes.join(" · ")}</strong>
      </p>
      <Button onClick={() => void decide("mine")}>{t("Keep mine there")}</Button>
      <Button onClick={() => void decide("theirs")}>{t("Take theirs there")}</Button>
    </div>
  );
}

/** Edits that a tab which is gone could not save. */
export function Orphans({ drafts }: { drafts: KeptDraft[] }) {
  const { t } = useTranslation();
  const [settled, setSettled] = useState<ReadonlySet<string>>(new Set());
  const draft = drafts.find((one) => !settled.has(one.key));
  if (draft === undefined) return null;
  const drop = () => {
    dropDraft(draft.key);
    setSettled(new Set([...settled, draft.key]));
  };
  const take = () => {
    // In this order: until it is part of this tab's edits it must not be gone.
    useBuilder.getState().adopt(draft);
    drop();
  };
  return (
    <div role="status" className="flex flex-wrap items-center gap-3 border-b bg-warn-soft px-3 py-2 text-warn">
      <p className="flex-1">{t("Edits of another tab from {{at}} were not saved.", { at: dateTime(new Date(draft.at).toISOString()) })}</p>
      <Button onClick={take}>{t("Take them over")}</Button>
      <Button onClick={drop}>{t("Forget them")}</Button>
    </div>
  );
}
