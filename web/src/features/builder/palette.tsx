import { useState } from "react";
import { useTranslation } from "react-i18next";
import { BlockIcon } from "@/components/block-icon";
import { Button } from "@/components/button";
import type { Kind } from "@/lib/blocks";
import { placeAfterSelection } from "./place";
import { FIRST_BLOCKS } from "./starters";
import { useBuilder } from "./store";

/** What a dragged block carries. */
export const DRAG_TYPE = "application/x-patchcord-step";

/** The steps one can drag onto the canvas, or add after the selected step by a click. Five to start with. */
export function Palette({ kinds }: { kinds: readonly Kind[] }) {
  const { t } = useTranslation();
  const [isWhole, setIsWhole] = useState(false);
  const insert = useBuilder((state) => state.insert);
  const shown = kinds.filter((kind) => isWhole || FIRST_BLOCKS.includes(kind.type));
  const add = (type: string) => {
    const place = placeAfterSelection();
    if (place !== null) insert(type, place);
  };
  return (
    <section aria-label={t("Steps to add")} className="flex min-h-0 flex-col gap-1 overflow-y-auto p-2">
      {shown.map((kind) => (
        <button
          key={kind.type}
          type="button"
          draggable
          data-block={kind.type}
          onDragStart={(event) => {
            event.dataTransfer.setData(DRAG_TYPE, kind.type);
            event.dataTransfer.effectAllowed = "copy";
          }}
          onClick={() => add(kind.type)}
          className="flex items-center gap-2 rounded-md border bg-background px-2 py-1.5 text-left text-sm hover:border-primary"
        >
          <BlockIcon type={kind.type} />
          <span className="truncate">{kind.title}</span>
        </button>
      ))}
      <Button look="quiet" aria-expanded={isWhole} onClick={() => setIsWhole(!isWhole)}>
        {isWhole ? t("Fewer steps") : t("More steps")}
      </Button>
      <p className="px-1 text-xs text-muted">{t("Drag onto the canvas, click to add after the selected step, or press Ctrl-K.")}</p>
    </section>
  );
}
