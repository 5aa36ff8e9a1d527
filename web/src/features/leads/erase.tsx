import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { StatusBadge } from "@/components/badge";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Field, Input } from "@/components/field";
import { Answer } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { leadName } from "@/lib/lead-name";
import { keys, queryClient } from "@/lib/query";

type Lead = Schemas["Lead"];

/** How often one that is under way is asked about. */
const ASK_MS = 1000;

/** Erases everything about a person, for good: nobody does it with one click. */
export function Erase({ lead, isOpen, onClose }: { lead: Lead; isOpen: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const order = useMutation({ mutationFn: () => body(api.POST("/api/leads/{id}/erase", { params: { path: { id: lead.id } } })) });
  const leave = () => {
    onClose();
    if (!order.data) return;
    // There is nothing left to look at here.
    queryClient.removeQueries({ queryKey: keys.lead(lead.id) });
    queryClient.removeQueries({ queryKey: keys.leadName(lead.id) });
    void queryClient.invalidateQueries({ queryKey: keys.leads });
    void navigate({ to: "/leads" });
  };
  return (
    <Dialog title={t("Erase {{name}}", { name: leadName(lead) })} text={t("Everything known about this person goes, for good. There is no way back: export first what is to be kept.")} isOpen={isOpen} onClose={leave}>
      {order.data ? <Progress id={lead.id} onLeave={leave} /> : <Confirm lead={lead} isPending={order.isPending} error={order.error} onConfirm={() => order.mutate()} />}
    </Dialog>
  );
}

interface ConfirmProps {
  lead: Lead;
  isPending: boolean;
  error: Error | null;
  onConfirm: () => void;
}

function Confirm({ lead, isPending, error, onConfirm }: ConfirmProps) {
  const { t } = useTranslation();
  const [written, setWritten] = useState("");
  const name = leadName(lead);
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    onConfirm();
  };
  const goes = ["The record, its timeline, tasks, alerts, appointments, quotes and payments", "Words, numbers and recordings' addresses of calls; texts and addresses of messages", "Runs about the person: those under way are cancelled", "What the audit log keeps of the person, though not who did what and when"];
  return (
    <form onSubmit={submit} className="flex flex-col gap-3">
      <ul className="list-disc pl-5">
        {goes.map((what) => (
          <li key={what}>{t(what)}</li>
        ))}
      </ul>
      <p className="text-muted">{t("The number stays opted out of everything, as a fingerprint that nobody can read. Recordings at the telephone provider and earlier backups are not reached.")}</p>
      <Field label={t("To be sure, write “{{name}}”", { name })}>{(control) => <Input {...control} value={written} autoComplete="off" onChange={(event) => setWritten(event.target.value)} />}</Field>
      <p role="alert" className="text-danger empty:hidden">
        {error?.message}
      </p>
      <Button type="submit" look="danger" className="self-end" disabled={isPending || written.trim() !== name}>
        {t("Erase for good")}
      </Button>
    </form>
  );
}

/** How far it has come, asked again until it is done. */
function Progress({ id, onLeave }: { id: string; onLeave: () => void }) {
  const { t } = useTranslation();
  const query = useQuery({
    queryKey: ["erasures", id],
    staleTime: 0,
    queryFn: () => body(api.GET("/api/leads/{id}/erasure", { params: { path: { id } } })),
    refetchInterval: ({ state }) => (state.data?.status === "done" ? false : ASK_MS),
  });
  return (
    <Answer query={query}>
      {({ status, counts }) => (
        <div className="flex flex-col gap-3">
          <p role="status" className="flex items-center gap-2">
            <StatusBadge status={status} />
            {status === "done" ? t("What was known about this person is gone.") : t("It goes on by itself, also when you leave this page.")}
          </p>
          <dl className="grid grid-cols-2 gap-x-6 gap-y-1 sm:grid-cols-3">
            {Object.entries(counts).map(([what, count]) => (
              <div key={what} className="flex justify-between gap-2">
                <dt className="text-muted">{t(what.replaceAll("_", " "))}</dt>
                <dd>{count}</dd>
              </div>
            ))}
          </dl>
          <Button look="primary" className="self-end" onClick={onLeave}>
            {t("Back to the leads")}
          </Button>
        </div>
      )}
    </Answer>
  );
}
