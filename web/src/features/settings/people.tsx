import { useMutation, useQuery } from "@tanstack/react-query";
import { MonitorSmartphone, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Field, Input, Select } from "@/components/field";
import { HeldList } from "@/components/held-list";
import { Panel } from "@/components/page";
import { Answer } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { ROLES, useMe } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { toastError, toastInfo } from "@/lib/toast";
import { Sessions } from "./sessions";

const refresh = () => queryClient.invalidateQueries({ queryKey: keys.users });

export function People() {
  const { t } = useTranslation();
  const query = useQuery({ queryKey: keys.users, queryFn: () => body(api.GET("/api/users")) });
  return (
    <Panel className="p-4" label={t("People")}>
      <h2 className="mb-2 font-semibold">{t("People")}</h2>
      <Answer query={query}>
        {({ items }) => (
          <HeldList className="mb-4 flex flex-col gap-1">
            {items.map((user) => (
              <Person key={user.id} user={user} />
            ))}
          </HeldList>
        )}
      </Answer>
      <AddPerson />
    </Panel>
  );
}

/** One person: their role, where they are signed in, and how they are removed. Whom the caller may not change is only shown. */
function Person({ user }: { user: Schemas["User"] }) {
  const { t } = useTranslation();
  const me = useMe().data;
  const [shown, setShown] = useState<"sessions" | "removal" | null>(null);
  const change = useMutation({ mutationFn: (role: Schemas["Role"]) => body(api.PATCH("/api/users/{id}", { params: { path: { id: user.id } }, body: { role } })), onError: toastError, onSettled: refresh });
  const takeOff = useMutation({
    mutationFn: () => api.DELETE("/api/users/{id}/second-factor", { params: { path: { id: user.id } } }),
    onSuccess: () => toastInfo(t("{{email}} signs in without a code, and is signed out everywhere", { email: user.email })),
    onError: toastError,
    onSettled: refresh,
  });
  const name = user.name || user.email;
  const reach = me === undefined ? [] : ROLES.slice(0, ROLES.indexOf(me.role) + 1);
  const mayChange = reach.includes(user.role) && user.id !== me?.user.id;
  return (
    <li className="flex flex-wrap items-center gap-2">
      <span className="font-medium">{name}</span>
      <span className="text-muted">{user.email}</span>
      {mayChange ? (
        <Select className="w-auto" aria-label={t("Role of {{name}}", { name })} value={change.isPending ? change.variables : user.role} disabled={change.isPending} onChange={(event) => change.mutate(event.target.value as Schemas["Role"])}>
          {reach.map((role) => (
            <option key={role} value={role}>
              {t(role)}
            </option>
          ))}
        </Select>
      ) : (
        <Badge>{t(user.role)}</Badge>
      )}
      <Button look="quiet" aria-label={t("Sessions of {{name}}", { name })} onClick={() => setShown("sessions")}>
        <MonitorSmartphone size={14} aria-hidden />
        {t("Sessions")}
      </Button>
      {user.second_factor && <Badge tone="ok">{t("second factor")}</Badge>}
      {user.second_factor && me?.role === "owner" && user.id !== me.user.id && (
        <Button look="quiet" disabled={takeOff.isPending} aria-label={t("Take the second factor off {{name}}", { name })} onClick={() => takeOff.mutate()}>
          {t("Take it off")}
        </Button>
      )}
      {mayChange && (
        <Button look="quiet" isIcon aria-label={t("Remove {{name}}", { name })} onClick={() => setShown("removal")}>
          <Trash2 size={14} aria-hidden />
        </Button>
      )}
      <Dialog title={t("Sessions of {{name}}", { name })} text={t("Where they are signed in.")} isOpen={shown === "sessions"} onClose={() => setShown(null)}>
        <Sessions userId={user.id} />
      </Dialog>
      <Removal user={user} isOpen={shown === "removal"} onClose={() => setShown(null)} />
    </li>
  );
}

function Removal({ user, isOpen, onClose }: { user: Schemas["User"]; isOpen: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const remove = useMutation({
    mutationFn: () => api.DELETE("/api/users/{id}", { params: { path: { id: user.id } } }),
    onSuccess: () => {
      toastInfo(t("{{email}} can no longer sign in", { email: user.email }));
      void refresh();
    },
  });
  const footer = (
    <Button look="danger" disabled={remove.isPending} onClick={() => remove.mutate()}>
      {t("Remove")}
    </Button>
  );
  return (
    <Dialog title={t("Remove {{name}}?", { name: user.name || user.email })} text={t("Their sessions and API keys stop working at once. What they did stays.")} isOpen={isOpen} onClose={onClose} footer={footer}>
      <p role="alert" className="text-danger empty:hidden">
        {remove.error?.message}
      </p>
    </Dialog>
  );
}

function AddPerson() {
  const { t } = useTranslation();
  const create = useMutation({
    mutationFn: (fields: FormData) => {
      const text = (name: string) => String(fields.get(name) ?? "");
      return body(api.POST("/api/users", { body: { email: text("email"), name: text("name"), password: text("password"), role: text("role") as Schemas["Role"] } }));
    },
    onSuccess: (user) => {
      toastInfo(t("{{email}} can sign in", { email: user.email }));
      void refresh();
    },
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = event.currentTarget;
    create.mutate(new FormData(form), { onSuccess: () => form.reset() });
  };
  return (
    <form onSubmit={submit} className="grid items-end gap-3 sm:grid-cols-2 lg:grid-cols-5">
      <Field label={t("Name")}>{(control) => <Input {...control} name="name" autoComplete="off" />}</Field>
      <Field label={t("E-mail")}>{(control) => <Input {...control} name="email" type="email" required autoComplete="off" />}</Field>
      <Field label={t("First password")}>{(control) => <Input {...control} name="password" type="password" required minLength={8} autoComplete="new-password" />}</Field>
      <Field label={t("Role")}>
        {(control) => (
          <Select {...control} name="role" defaultValue="agent">
            {ROLES.map((role) => (
              <option key={role} value={role}>
                {t(role)}
              </option>
            ))}
          </Select>
        )}
      </Field>
      <Button type="submit" disabled={create.isPending}>
        {t("Add a person")}
      </Button>
      <p role="alert" className="text-danger empty:hidden sm:col-span-full">
        {create.error?.message}
      </p>
    </form>
  );
}
