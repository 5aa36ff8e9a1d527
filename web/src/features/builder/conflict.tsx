import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { api, body } from "@/lib/api";
import { readDefinition } from "@/lib/graph/definition";
import { toastError } from "@/lib/toast";
import { dateTime } from "@/lib/words";
import { dropDraft, dropOwnDraft, type KeptDraft } from "./drafts";
import { useBuilder } from "./store";

/** Somebody else saved meanwhile: a person says whose edits stay. Nothing is overwritten before. */
export function Conflict({ workflowId }: { workflowId: string }) {
  const { t } = useTranslation();
  const save = useBuilder((state) => state.save);
  if (save !== "conflict") return null;
  const decide = async (whose: "theirs" | "mine") => {
    try {
      const workflow = await body(api.GET("/api/workflows/{id}", { params: { path: { id: workflowId } } }));
      const mine = useBuilder.getState().definition;
      if (whose === "theirs" || mine === null) {
        dropOwnDraft(workflowId);
        useBuilder.getState().load({ id: workflowId, revision: workflow.revision, definition: readDefinition(workflow.definition), isDirty: false });
      } else {
        // Based on theirs from here on; a copy makes the edits new, so that they are saved again.
        useBuilder.getState().load({ id: workflowId, revision: workflow.revision, definition: readDefinition(workflow.definition), isDirty: false });
        useBuilder.getState().commit({ ...mine });
      }
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <div role="alert" className="flex flex-wrap items-center gap-3 border-b bg-danger-soft px-3 py-2 text-danger">
      <p className="flex-1">{t("This workflow was changed elsewhere while you edited. Your edits are kept here and not saved.")}</p>
      <Button onClick={() => void decide("mine")}>{t("Save mine over theirs")}</Button>
      <Button onClick={() => void decide("theirs")}>{t("Take theirs, drop mine")}</Button>
    </div>
  );
}

/** Edits that another tab, perhaps one that died, could not save. */
export function Orphans({ drafts }: { drafts: KeptDraft[] }) {
  const { t } = useTranslation();
  const [left, setLeft] = useState(drafts);
  const draft = left[0];
  if (draft === undefined) return null;
  const drop = () => {
    dropDraft(draft.key);
    setLeft(left.slice(1));
  };
  const take = () => {
    useBuilder.getState().commit(draft.definition);
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
