import { useMutation } from "@tanstack/react-query";
import { Ear, Megaphone, MessageCircle, Mic, MicOff, PhoneOff } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Badge, type Tone } from "@/components/badge";
import { Button } from "@/components/button";
import { Field, Input } from "@/components/field";
import { ApiError, api, body, type Schemas } from "@/lib/api";
import { takeCall } from "@/lib/live/floor";
import { useLive } from "@/lib/live/store";
import { useMay, useMe } from "@/lib/me";
import { toastError } from "@/lib/toast";
import { useOwnPhone } from "./own-phone";

type Call = Schemas["Call"];
type Mode = Schemas["MonitorMode"];

/** What is heard by others, or ends a call: it takes a second click. */
type Grave = "whisper" | "barge" | "hang up";

/** What a supervisor does on a live call: listen, whisper, barge in, leave, end it. Muted unless they say otherwise, twice. */
export function Supervise({ call }: { call: Call }) {
  const { t } = useTranslation();
  const mayMonitor = useMay("supervisor");
  const userId = useMe().data?.user.id;
  if (userId === undefined || call.ended_at) return null;
  if (!mayMonitor) {
    return <Part>{t("Listening to calls and ending them needs the role supervisor.")}</Part>;
  }
  return <Controls call={call} userId={userId} />;
}

function Controls({ call, userId }: { call: Call; userId: string }) {
  const { t } = useTranslation();
  const [phone, setPhone] = useOwnPhone(userId);
  const [armed, setArmed] = useState<Grave | null>(null);
  const { listen, change, leave, hangUp, isBusy, phoneError } = useOrders(call.id);
  const monitors = call.monitors ?? [];
  const own = monitors.find((one) => one.user_id === userId);
  const others = monitors.length - (own ? 1 : 0);
  const whyNot = own ? null : reasonOf(call, phone);
  const take = (mode: Mode) => {
    setArmed(null);
    if (own) change.mutate(mode);
    else listen.mutate({ mode, phone: phone.trim() });
  };
  /** The first click says what the second one does. */
  const twice = (what: Grave, run: () => void) => () => {
    if (armed === what) run();
    else setArmed(what);
  };
  const shared = { armed, isBusy, disarm: () => setArmed(null) };
  const modes = { ...shared, current: own?.mode, isOff: whyNot !== null };
  return (
    <Part>
      <div className="flex flex-wrap items-center gap-2">
        <Microphone mode={own?.mode} isCalling={own?.state === "calling"} />
        <ModeButton {...modes} mode="listen" icon={<Ear size={14} aria-hidden />} label={t("Listen")} onClick={() => take("listen")} />
        <ModeButton {...modes} mode="whisper" icon={<MessageCircle size={14} aria-hidden />} label={t("Whisper")} again={t("Click again: the agent hears you")} onClick={twice("whisper", () => take("whisper"))} />
        <ModeButton {...modes} mode="barge" icon={<Megaphone size={14} aria-hidden />} label={t("Barge in")} again={t("Click again: everybody hears you")} onClick={twice("barge", () => take("barge"))} />
        {own && (
          <Button disabled={isBusy} onClick={() => leave.mutate()}>
            {t("Leave")}
          </Button>
        )}
        <Button
          look="danger"
          className="ml-auto"
          disabled={isBusy}
          onBlur={shared.disarm}
          onClick={twice("hang up", () => {
            setArmed(null);
            hangUp.mutate();
          })}
        >
          <PhoneOff size={14} aria-hidden />
          {armed === "hang up" ? t("Click again: the call ends for everybody") : t("Hang up")}
        </Button>
      </div>
      {!own && call.supervision !== "off" && (
        <Field label={t("Your telephone")} hint={t("It rings, and you hear the call there. Remembered in this browser.")} error={phoneError}>
          {(control) => <Input {...control} type="tel" autoComplete="tel" placeholder="+14155550177" value={phone} onChange={(event) => setPhone(event.target.value)} className="max-w-56" />}
        </Field>
      )}
      {whyNot !== null && <p className="text-xs text-muted">{t(whyNot)}</p>}
      {others > 0 && <p className="text-xs text-muted">{t("{{count}} other supervisors take part", { count: others })}</p>}
    </Part>
  );
}

/** What can be asked for, each answered with the call as it is afterwards. */
function useOrders(id: string) {
  const put = useLive((state) => state.change);
  const params = { path: { id } };
  const taken = { onSuccess: (call: Call) => put((floor) => takeCall(floor, call)), onError: (error: Error) => !ofPhone(error) && toastError(error) };
  const listen = useMutation({ ...taken, mutationFn: (wanted: { mode: Mode; phone: string }) => body(api.POST("/api/calls/{id}/monitor", { params, body: wanted })) });
  const change = useMutation({ ...taken, mutationFn: (mode: Mode) => body(api.PATCH("/api/calls/{id}/monitor", { params, body: { mode } })) });
  const leave = useMutation({ ...taken, mutationFn: () => body(api.DELETE("/api/calls/{id}/monitor", { params })) });
  const hangUp = useMutation({ ...taken, mutationFn: () => body(api.POST("/api/calls/{id}/hangup", { params })) });
  const isBusy = [listen, change, leave, hangUp].some((one) => one.isPending);
  return { listen, change, leave, hangUp, isBusy, phoneError: ofPhone(listen.error) };
}

/** What is wrong with the telephone number, in the server's words. */
function ofPhone(error: Error | null): string | undefined {
  return error instanceof ApiError ? error.fields.find((one) => one.field === "phone")?.message : undefined;
}

/** Why nobody can come onto the call at this moment. */
function reasonOf(call: Call, phone: string): string | null {
  if (call.supervision === "off") return "Nobody can listen to this call: supervision was off for its number when it began. Turn it on for the number; it holds for the next call.";
  if (call.supervision === "waiting") return "You can listen as soon as an agent is on the call.";
  return phone.trim() === "" ? "Give the number of your telephone to listen." : null;
}

const HEARD: Record<Mode, { words: string; tone: Tone }> = {
  listen: { words: "Microphone muted", tone: "ok" },
  whisper: { words: "The agent hears you", tone: "warn" },
  barge: { words: "Everybody hears you", tone: "danger" },
};

/** Who hears the supervisor, always in sight. */
function Microphone({ mode, isCalling }: { mode: Mode | undefined; isCalling: boolean }) {
  const { t } = useTranslation();
  const { words, tone } = HEARD[mode ?? "listen"];
  return (
    <span role="status" data-microphone={mode ?? "off"}>
      <Badge tone={mode === undefined ? "plain" : tone}>
        {mode === "whisper" || mode === "barge" ? <Mic size={12} aria-hidden /> : <MicOff size={12} aria-hidden />}
        {isCalling ? t("Your telephone rings") + " · " + t(words) : t(words)}
      </Badge>
    </span>
  );
}

interface ModeButtonProps {
  mode: Mode;
  icon: ReactNode;
  label: string;
  /** What the second click does. */
  again?: string;
  /** The supervisor's own mode, once they are on the call. */
  current: Mode | undefined;
  armed: Grave | null;
  isOff: boolean;
  isBusy: boolean;
  onClick: () => void;
  disarm: () => void;
}

function ModeButton({ mode, icon, label, again, current, armed, isOff, isBusy, onClick, disarm }: ModeButtonProps) {
  const isCurrent = current === mode;
  const isArmed = armed === mode;
  return (
    <Button look={isArmed ? "danger" : "plain"} aria-pressed={isCurrent} disabled={isOff || isBusy || isCurrent} onClick={onClick} onBlur={disarm}>
      {icon}
      {isArmed ? again : label}
    </Button>
  );
}

function Part({ children }: { children: ReactNode }) {
  const { t } = useTranslation();
  return (
    <section aria-label={t("Supervise")} className="flex flex-col gap-2 border-b p-3 text-sm">
      {children}
    </section>
  );
}
