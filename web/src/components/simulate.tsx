import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { MessageSquare, PhoneIncoming } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, body, type Schemas } from "@/lib/api";
import { useMay, useMe } from "@/lib/me";
import { toastError, toastInfo } from "@/lib/toast";
import { Button } from "./button";
import { Menu } from "./menu";

const ENDINGS: { ending: Schemas["SimulatedEnding"]; label: string }[] = [
  { ending: "completed", label: "A customer who wants a refund" },
  { ending: "no_answer", label: "Nobody answers" },
  { ending: "busy", label: "The line is busy" },
  { ending: "voicemail", label: "The caller leaves a message" },
  { ending: "failed", label: "The call fails" },
];

// What comes after a click only.
const SimulateText = lazy(() => import("./simulate-text").then((module) => ({ default: module.SimulateText })));

function usePlay() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  return useMutation({
    mutationFn: (ending: Schemas["SimulatedEnding"]) => body(api.POST("/api/simulations", { body: { ending } })),
    onSuccess: () => toastInfo(t("A simulated call is coming in"), { label: t("Watch"), run: () => void navigate({ to: "/live" }) }),
    onError: toastError,
  });
}

/** Plays the demonstration call, where nobody has called yet. */
export function PlayFirstCall() {
  const { t } = useTranslation();
  const play = usePlay();
  return (
    <Button look="primary" disabled={play.isPending} onClick={() => play.mutate("completed")}>
      <PhoneIncoming size={16} aria-hidden />
      {t("Play a demonstration call")}
    </Button>
  );
}

/** Plays a call, or a text message of its caller, into the demo server, so that there is something to see. Nothing where the server plays none. */
export function Simulate() {
  return useCanSimulate() ? <Choices /> : null;
}

export function useCanSimulate(): boolean {
  const mayStart = useMay("supervisor");
  return useMe().data?.can_simulate === true && mayStart;
}

function Choices() {
  const { t } = useTranslation();
  const [isWriting, setIsWriting] = useState(false);
  const simulate = usePlay();
  const calls = ENDINGS.map(({ ending, label }) => ({ label: t(label), icon: <PhoneIncoming size={14} aria-hidden />, run: () => simulate.mutate(ending) }));
  const text = { label: t("The customer writes a text message …"), icon: <MessageSquare size={14} aria-hidden />, run: () => setIsWriting(true) };
  return (
    <>
      <Menu
        label={t("Simulate a call or text")}
        items={[...calls, text]}
        disabled={simulate.isPending}
        face={
          <>
            <PhoneIncoming size={16} aria-hidden />
            {/* On a telephone the icon says it. */}
            <span className="sr-only sm:not-sr-only">{t("Simulate a call or text")}</span>
          </>
        }
      />
      <Suspense>{isWriting && <SimulateText onClose={() => setIsWriting(false)} />}</Suspense>
    </>
  );
}
