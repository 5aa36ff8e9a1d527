import { useMutation, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Panel } from "@/components/page";
import { Answer } from "@/components/states";
import { Switch } from "@/components/switch";
import { api, body } from "@/lib/api";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";

/** What holds for every message and call of the account. */
export function Rules({ canChange }: { canChange: boolean }) {
  const { t } = useTranslation();
  const query = useQuery({ queryKey: keys.account, queryFn: () => body(api.GET("/api/account")) });
  const change = useMutation({
    mutationFn: (require_consent: boolean) => body(api.PATCH("/api/account", { body: { require_consent } })),
    onSuccess: (account) => queryClient.setQueryData(keys.account, account),
    onError: toastError,
  });
  return (
    <Panel className="p-4" label={t("Rules")}>
      <h2 className="mb-2 font-semibold">{t("Rules")}</h2>
      <Answer query={query}>
        {(account) => (
          <div className="flex items-center justify-between gap-4">
            <div>
              <p className="font-medium">{t("Written consent first")}</p>
              <p className="text-muted">{t("Nothing but an answer reaches a lead whose consent is not written down.")}</p>
            </div>
            <Switch label={t("Written consent first")} isOn={account.require_consent} isDisabled={!canChange || change.isPending} onChange={change.mutate} />
          </div>
        )}
      </Answer>
    </Panel>
  );
}
