import { type KeyboardEvent, useId, useLayoutEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { BlockIcon } from "@/components/block-icon";
import { Modal } from "@/components/dialog";
import type { Kind } from "@/lib/blocks";
import { FIRST_BLOCKS } from "./starters";
import { usePicker } from "./picker-store";
import { useBuilder } from "./store";

/** Choose a step by typing: what `+`, a wire dropped on empty space, Ctrl-K and the keyboard open. */
export function Picker({ kinds }: { kinds: readonly Kind[] }) {
  const { place, close } = usePicker();
  const insert = useBuilder((state) => state.insert);
  if (place === null) return null;
  const choose = (type: string) => {
    close();
    insert(type, place);
  };
  return <Chooser kinds={kinds} onChoose={choose} onClose={close} />;
}

function Chooser({ kinds, onChoose, onClose }: { kinds: readonly Kind[]; onChoose: (type: string) => void; onClose: () => void }) {
  const { t } = useTranslation();
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  // After the modal was shown, which puts the focus on its first control.
  useLayoutEffect(() => field.current?.focus(), []);
  const groups = [
    { heading: t("Most used"), kinds: search(kinds, text).filter(isFirst) },
    { heading: t("More"), kinds: search(kinds, text).filter((kind) => !isFirst(kind)) },
  ].filter((group) => group.kinds.length > 0);
  const found = groups.flatMap((group) => group.kinds);
  const active = found[at];
  const optionId = (kind: Kind) => `${id}-${kind.type}`;
  const go = (to: number) => {
    const next = (to + found.length) % Math.max(found.length, 1);
    setAt(next);
    const kind = found[next];
    if (kind) document.getElementById(optionId(kind))?.scrollIntoView({ block: "nearest" });
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") go(at + 1);
    else if (event.key === "ArrowUp") go(at - 1);
    else if (event.key === "Enter" && active) onChoose(active.type);
    else return;
    event.preventDefault();
  };
  return (
    <Modal aria-label={t("Add a step")} onClose={onClose} className="mt-[20vh] w-[min(28rem,calc(100vw-2rem))]">
      <input
        ref={field}
        role="combobox"
        aria-label={t("Add a step")}
        aria-expanded
        aria-controls={`${id}-list`}
        aria-activedescendant={active && optionId(active)}
        aria-autocomplete="list"
        placeholder={t("What should happen?")}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        onKeyDown={onKey}
        className="w-full border-b bg-transparent p-3 text-sm -outline-offset-2 placeholder:text-muted"
      />
      <div id={`${id}-list`} role="listbox" aria-label={t("Steps")} className="max-h-80 overflow-y-auto p-1">
        {groups.map((group) => (
          <div key={group.heading} role="group" aria-label={group.heading} className="p-1">
            <p aria-hidden className="px-2 py-1 text-xs text-muted">
              {group.heading}
            </p>
            {group.kinds.map((kind) => (
              <div
                key={kind.type}
                id={optionId(kind)}
                role="option"
                aria-selected={kind === active}
                onClick={() => onChoose(kind.type)}
                onPointerMove={() => setAt(found.indexOf(kind))}
                className="flex cursor-pointer items-center gap-2 rounded px-2 py-1.5 text-sm aria-selected:bg-info-soft"
              >
                <BlockIcon type={kind.type} />
                {kind.title}
              </div>
            ))}
          </div>
        ))}
      </div>
      {found.length === 0 && (
        <p role="status" className="px-4 pb-3 text-muted">
          {t("No step is called that.")}
        </p>
      )}
    </Modal>
  );
}

function isFirst(kind: Kind): boolean {
  return FIRST_BLOCKS.includes(kind.type);
}

/** Steps whose name holds every word; those that begin with the text come first. */
function search(kinds: readonly Kind[], text: string): Kind[] {
  const wanted = text.trim().toLowerCase();
  const words = wanted.split(/\s+/);
  const begins = (kind: Kind) => Number(kind.title.toLowerCase().startsWith(wanted));
  return kinds
    .filter((kind) => words.every((word) => `${kind.title} ${kind.type}`.toLowerCase().includes(word)))
    .toSorted((one, other) => begins(other) - begins(one));
}
