import { X } from "lucide-react";
import { useTranslation } from "react-i18next";
import { useToasts } from "@/lib/toast";
import { Button } from "./button";

export function Toasts() {
  const { t } = useTranslation();
  const { toasts, drop } = useToasts();
  return (
    <div aria-live="polite" className="pointer-events-none fixed right-4 bottom-4 z-50 flex w-[min(26rem,calc(100vw-2rem))] flex-col gap-2">
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
