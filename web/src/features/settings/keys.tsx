import { useMutation, useQuery } from "@tanstack/react-query";
import { Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Field, Input } from "@/components/field";
import { HeldList } from "@/components/held-list";
import { Panel } from "@/components/page";
import { Answer } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { dateTime } from "@/lib/words";

const refresh = () => queryClient.invalidateQueries({ queryKey: keys.apiKeys });

export function Keys() {
  const { t } = useTranslation();
  const [made, setMade] = useState<Schemas["MadeKey"] | null>(null);
  const query = useQuery({ queryKey: keys.apiKeys, queryFn: () => body(api.GET("/api/keys")) });
  const create = useMutation({
    mutationFn: (name: string) => body(api.POST("/api/keys", { body: { name } })),
    onSuccess: (key) => {
      setMade(key);
      void refresh();
    },
    onError: toastError,
  });
  const remove = useMutation({ mutationFn: (id: string) => api.DELETE("/api/keys/{id}", { params: { path: { id } } }), onSettled: refresh, onError: toastError });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    create.mutate(String(new FormData(event.currentTarget).get("name")));
    event.currentTarget.reset();
  };
  return (
    <Panel className="p-4" label={t("API keys")}>
      <h2 className="mb-2 font-semibold">{t("API keys")}</h2>
      <Answer query={query}>
        {({ items }) => (
          <HeldList className="mb-4 flex flex-col gap-1">
            {items.length === 0 && <li className="text-muted">{t("No keys yet.")}</li>}
            {items.map((key) => (
              <li key={key.id} className="flex flex-wrap items-center gap-2">
                <span className="font-medium">{key.name}</span>
                <Badge>{t(key.role)}</Badge>
                <span className="text-muted">{key.last_used_at ? t("last used {{at}}", { at: dateTime(key.last_used_at) }) : t("never used")}</span>
                <Button look="quiet" isIcon aria-label={t("Delete the key {{name}}", { name: key.name })} onClick={() => remove.mutate(key.id)}>
                  <Trash2 size={14} aria-hidden />
                </Button>
              </li>
            ))}
          </HeldList>
        )}
      </Answer>
      {made && (
        <p role="status" className="mb-4 rounded-md border bg-warn-soft p-3 text-warn">
          {t("Copy the key; it is shown this once:")} <code className="break-all">{made.secret}</code>
        </p>
      )}
      <form onSubmit={submit} className="flex items-end gap-3">
        <Field label={t("Name of the key")}>{(control) => <Input {...control} name="name" required maxLength={100} />}</Field>
        <Button type="submit" disabled={create.isPending}>
          {t("Create a key")}
        </Button>
      </form>
    </Panel>
  );
}
