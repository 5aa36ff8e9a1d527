import { X } from "lucide-react";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { useToasts } from "@/lib/toast";
import { Button } from "./button";

export function Toasts() {
  const { t } = useTranslation();
  const { toasts, drop } = useToasts();
  const box = useRef<HTMLDivElement>(null);
  const newest = toasts.at(-1)?.id;
  useEffect(() => {
    // Raised again over a dialog that was opened since: what is behind it is dim.
    if (newest === undefined && box.current?.matches(":popover-open")) return;
    box.current?.hidePopover();
    box.current?.showPopover();
  }, [newest]);
  return (
    <div ref={box} popover="manual" aria-live="polite" className="pointer-events-none fixed inset-auto right-4 bottom-4 m-0 w-[min(26rem,calc(100vw-2rem))] flex-col gap-2 overflow-visible border-0 bg-transparent p-0 open:flex">
      {toasts.map((toast) => (
        <div
          key={toast.id}
          className={`pointer-events-auto flex items-center gap-3 rounded-md border p-3 shadow-lg ${toast.tone === "danger" ? "border-danger bg-danger-soft text-danger" : "bg-background text-foreground"}`}
        >
          <p className="flex-1 whitespace-pre-line">{toast.text}</p>
          {toast.action && (
            <Button
              onClick={() => {
                toast.action?.run();
                drop(toast.id);
              }}
            >
              {toast.action.label}
            </Button>
          )}
          <Button look="quiet" isIcon aria-label={t("Dismiss")} onClick={() => drop(toast.id)}>
            <X size={14} aria-hidden />
          </Button>
        </div>
      ))}
    </div>
  );
}
