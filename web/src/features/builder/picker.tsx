import { Command } from "cmdk";
import { Dialog as Radix } from "radix-ui";
import { useTranslation } from "react-i18next";
import { BlockIcon } from "@/components/block-icon";
import type { Kind } from "@/lib/blocks";
import { FIRST_BLOCKS } from "./starters";
import { usePicker } from "./picker-store";
import { useBuilder } from "./store";

/** Choose a step by typing: what `+`, a wire dropped on empty space, Ctrl-K and the keyboard open. */
export function Picker({ kinds }: { kinds: readonly Kind[] }) {
  const { t } = useTranslation();
  const { place, close } = usePicker();
  const insert = useBuilder((state) => state.insert);
  const choose = (type: string) => {
    if (place !== null) insert(type, place);
    close();
  };
  const isFirst = (kind: Kind) => FIRST_BLOCKS.includes(kind.type);
  const groups = [
    { heading: t("Most used"), kinds: kinds.filter(isFirst) },
    { heading: t("More"), kinds: kinds.filter((kind) => !isFirst(kind)) },
  ];
  return (
    <Radix.Root open={place !== null} onOpenChange={(open) => !open && close()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-black/30" />
        <Radix.Content aria-describedby={undefined} className="fixed top-[20vh] left-1/2 z-50 w-[min(28rem,calc(100vw-2rem))] -translate-x-1/2 rounded-lg border bg-background shadow-xl">
          <Radix.Title className="sr-only">{t("Add a step")}</Radix.Title>
          <Command label={t("Add a step")} loop>
            <Command.Input autoFocus placeholder={t("What should happen?")} className="w-full border-b bg-transparent p-3 text-sm placeholder:text-muted" />
            <Command.List className="max-h-80 overflow-y-auto p-1">
              <Command.Empty className="p-3 text-muted">{t("No step is called that.")}</Command.Empty>
              {groups.map((group) => (
                <Command.Group key={group.heading} heading={group.heading} className="p-1 text-xs text-muted">
                  {group.kinds.map((kind) => (
                    <Command.Item
                      key={kind.type}
                      value={`${kind.title} ${kind.type}`}
                      onSelect={() => choose(kind.type)}
                      className="flex cursor-pointer items-center gap-2 rounded px-2 py-1.5 text-sm text-foreground data-[selected=true]:bg-info-soft"
                    >
                      <BlockIcon type={kind.type} />
                      {kind.title}
                    </Command.Item>
                  ))}
                </Command.Group>
              ))}
            </Command.List>
          </Command>
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
