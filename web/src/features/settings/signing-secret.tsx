import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Panel } from "@/components/page";
import { Answer } from "@/components/states";
import { api, body } from "@/lib/api";
import { queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { dateTime } from "@/lib/words";

const KEY = ["signing-secret"] as const;

/** What receivers of our webhooks check the signature by. Not asked for before somebody wants to see it. */
export function SigningSecret() {
  const { t } = useTranslation();
  const [isShown, setIsShown] = useState(false);
  const query = useQuery({ queryKey: KEY, enabled: isShown, gcTime: 0, queryFn: () => body(api.GET("/api/webhooks/signing-secret")) });
  const rotate = useMutation({
    mutationFn: () => body(api.POST("/api/webhooks/signing-secret/rotate")),
    onSuccess: (secret) => queryClient.setQueryData(KEY, secret),
    onError: toastError,
  });
  return (
    <Panel className="flex flex-col items-start gap-3 p-4" label={t("Outgoing webhooks")}>
      <div>
        <h2 className="font-semibold">{t("Outgoing webhooks")}</h2>
        <p className="text-muted">{t("Requests of webhook and Zapier steps are signed as Standard Webhooks says. Receivers check them by this secret.")}</p>
      </div>
      {!isShown && <Button onClick={() => setIsShown(true)}>{t("Show the secret")}</Button>}
      {isShown && (
        <Answer query={query}>
          {({ secret, previous }) => (
            <>
              <code className="break-all">{secret}</code>
              {previous && <p className="text-muted">{t("The one before signs too until {{at}}.", { at: dateTime(previous.until) })}</p>}
              <Button disabled={rotate.isPending} onClick={() => rotate.mutate()}>
                {t("Replace it")}
              </Button>
            </>
          )}
        </Answer>
      )}
    </Panel>
  );
}
