import { useNavigate } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { api, body } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { toastInfo } from "@/lib/toast";
import { Dialog } from "./dialog";
import { Field, TextArea } from "./field";
import { SaveForm } from "./save-form";

/** What a network takes of one text message. */
const SMS_CHARS_MAX = 1600;

/** A text message of the demo's customer, in the words of whoever tries it out. */
export function SimulateText({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const send = (fields: FormData) => body(api.POST("/api/simulations", { body: { sms: String(fields.get("sms") ?? "") } }));
  const sent = () => {
    onClose();
    void queryClient.invalidateQueries({ queryKey: keys.messages });
    toastInfo(t("A simulated text message is coming in"), { label: t("See the messages"), run: () => void navigate({ to: "/messages" }) });
  };
  return (
    <Dialog
      title={t("Simulate a text message")}
      text={t("It comes in as one from the demo customer would, and starts whatever waits for text messages. STOP opts the customer out, START lifts that.")}
      isOpen
      onClose={onClose}
    >
      <SaveForm submit={t("Send it")} save={send} onSaved={sent}>
        <Field label={t("What the customer writes")} isRequired>
          {(control) => <TextArea {...control} name="sms" rows={3} maxLength={SMS_CHARS_MAX} placeholder={t("Yes, Tuesday is fine")} />}
        </Field>
      </SaveForm>
    </Dialog>
  );
}
