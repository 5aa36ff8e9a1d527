import { useMutation, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { HeldList } from "@/components/held-list";
import { Answer } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { dateTime } from "@/lib/words";

/** Where somebody is signed in; each can be ended. */
export function Sessions({ userId }: { userId?: string }) {
  const { t } = useTranslation();
  const query = useQuery({ queryKey: [...keys.sessions, userId], queryFn: () => body(api.GET("/api/sessions", { params: { query: { user_id: userId } } })) });
  return (
    <Answer query={query}>
      {({ items }) => (
        <HeldList className="flex flex-col gap-2">
          {items.length === 0 && <li className="text-muted">{t("Signed in nowhere.")}</li>}
          {items.map((session) => (
            <One key={session.id} session={session} />
          ))}
        </HeldList>
      )}
    </Answer>
  );
}

function One({ session }: { session: Schemas["Session"] }) {
  const { t } = useTranslation();
  const end = useMutation({
    mutationFn: () => api.DELETE("/api/sessions/{id}", { params: { path: { id: session.id } } }),
    onError: toastError,
    onSettled: () => queryClient.invalidateQueries({ queryKey: keys.sessions }),
  });
  const since = dateTime(session.created_at);
  return (
    <li className="flex flex-wrap items-center gap-2">
      <span>{t("since {{at}}", { at: since })}</span>
      <span className="text-muted">{t("ends {{at}} unless it is used", { at: dateTime(session.ends_at) })}</span>
      {session.is_current ? (
        <Badge tone="info">{t("this one")}</Badge>
      ) : (
        <Button look="quiet" disabled={end.isPending} aria-label={t("End the session since {{at}}", { at: since })} onClick={() => end.mutate()}>
          {t("End")}
        </Button>
      )}
    </li>
  );
}
