import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "./button";

interface DialogProps {
  title: string;
  text?: string;
  isOpen: boolean;
  onClose: () => void;
  children: ReactNode;
  footer?: ReactNode;
}

export function Dialog({ title, text, isOpen, onClose, children, footer }: DialogProps) {
  const { t } = useTranslation();
  return (
    <Radix.Root open={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-black/50" />
        <Radix.Content
          {...(text ? {} : { "aria-describedby": undefined })}
          className="fixed top-1/2 left-1/2 z-50 flex max-h-[85vh] w-[min(40rem,calc(100vw-2rem))] -translate-x-1/2 -translate-y-1/2 flex-col gap-3 overflow-hidden rounded-lg border bg-background p-5 shadow-xl"
        >
          <div className="flex items-start justify-between gap-4">
            <div>
              <Radix.Title className="text-lg font-semibold">{title}</Radix.Title>
              {text && <Radix.Description className="text-muted">{text}</Radix.Description>}
            </div>
            <Radix.Close asChild>
              <Button look="quiet" isIcon aria-label={t("Close")}>
                <X size={16} aria-hidden />
              </Button>
            </Radix.Close>
          </div>
          <div className="-mx-1 overflow-y-auto px-1">{children}</div>
          {footer && <div className="flex justify-end gap-2">{footer}</div>}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
