// Dialogs are the browser's own: it keeps the focus inside, makes the rest inert, closes on Escape and gives the focus back.

import { X } from "lucide-react";
import { type ReactNode, useId, useLayoutEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { cn } from "@/lib/cn";
import { Button } from "./button";

interface ModalProps {
  "aria-label"?: string;
  "aria-labelledby"?: string;
  "aria-describedby"?: string;
  className?: string;
  onClose: () => void;
  children: ReactNode;
}

/** A box above everything else, for as long as it is drawn. */
export function Modal({ className, onClose, children, ...names }: ModalProps) {
  const box = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = box.current;
    dialog?.showModal();
    // Closed before it is taken away: only so does the focus go back to where it was.
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={box}
      {...names}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClose={(event) => !event.currentTarget.open && onClose()}
      // The ground behind it belongs to the dialog's element, what is inside to its children.
      onPointerDown={(event) => event.target === event.currentTarget && onClose()}
      className={cn("m-auto overflow-hidden rounded-lg border bg-background p-0 text-foreground shadow-xl backdrop:bg-black/50", className)}
    >
      {children}
    </dialog>
  );
}

interface DialogProps {
  title: string;
  text?: string;
  isOpen: boolean;
  /** For tables and forms with much beside one another. */
  isWide?: boolean;
  onClose: () => void;
  children: ReactNode;
  footer?: ReactNode;
}

/** A modal with a title, what it is for, and what one can do. */
export function Dialog(props: DialogProps) {
  return props.isOpen ? <Opened {...props} /> : null;
}

function Opened({ title, text, isWide = false, onClose, children, footer }: DialogProps) {
  const { t } = useTranslation();
  const id = useId();
  return (
    <Modal aria-labelledby={`${id}-title`} aria-describedby={text ? `${id}-text` : undefined} onClose={onClose} className={isWide ? "w-[min(56rem,calc(100vw-2rem))]" : "w-[min(40rem,calc(100vw-2rem))]"}>
      <div className="flex max-h-[85vh] flex-col gap-3 p-5">
        <div className="flex items-start justify-between gap-4">
          <div>
            <h2 id={`${id}-title`} className="text-lg font-semibold">
              {title}
            </h2>
            {text && (
              <p id={`${id}-text`} className="text-muted">
                {text}
              </p>
            )}
          </div>
          <Button look="quiet" isIcon aria-label={t("Close")} onClick={onClose}>
            <X size={16} aria-hidden />
          </Button>
        </div>
        <div className="-mx-1 min-h-0 overflow-y-auto px-1 pb-1">{children}</div>
        {footer && <div className="flex flex-wrap justify-end gap-2">{footer}</div>}
      </div>
    </Modal>
  );
}
