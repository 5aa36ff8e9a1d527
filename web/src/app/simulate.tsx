import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { PhoneIncoming } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Menu } from "@/components/menu";
import { api, body, type Schemas } from "@/lib/api";
import { toastError, toastInfo } from "@/lib/toast";

const ENDINGS: { ending: Schemas["SimulatedEnding"]; label: string }[] = [
  { ending: "completed", label: "A customer who wants a refund" },
  { ending: "no_answer", label: "Nobody answers" },
  { ending: "busy", label: "The line is busy" },
  { ending: "voicemail", label: "The caller leaves a message" },
  { ending: "failed", label: "The call fails" },
];

/** Plays a call into the demo server, so that there is something to see. */
export function Simulate() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const simulate = useMutation({
    mutationFn: (ending: Schemas["SimulatedEnding"]) => body(api.POST("/api/simulations", { body: { ending } })),
    onSuccess: () => toastInfo(t("A call is coming in"), { label: t("Watch"), run: () => void navigate({ to: "/live" }) }),
    onError: toastError,
  });
  return (
    <Menu
      label={t("Simulate a call")}
      items={ENDINGS.map(({ ending, label }) => ({ label: t(label), run: () => simulate.mutate(ending) }))}
      disabled={simulate.isPending}
      face={
        <>
          <PhoneIncoming size={16} aria-hidden />
          {/* On a telephone the icon says it. */}
          <span className="sr-only sm:not-sr-only">{t("Simulate a call")}</span>
        </>
      }
    />
  );
}
