import { useMutation, useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Panel } from "@/components/page";
import { Answer } from "@/components/states";
import { Switch } from "@/components/switch";
import { api, body } from "@/lib/api";
import { useMay } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { toastError } from "@/lib/toast";
import { sentence } from "@/lib/words";

const KEY = ["automations"] as const;

/** The call automations that come with the product. */
export function Automations() {
  const { t } = useTranslation();
  const mayEdit = useMay("admin");
  const query = useQuery({ queryKey: KEY, queryFn: () => body(api.GET("/api/automations")) });
  const change = useMutation({
    mutationFn: ({ slug, enabled }: { slug: string; enabled: boolean }) => body(api.PATCH("/api/automations/{slug}", { params: { path: { slug } }, body: { enabled } })),
    onError: toastError,
    onSettled: () => Promise.all([KEY, keys.workflows].map((queryKey) => queryClient.invalidateQueries({ queryKey }))),
  });
  return (
    <Panel className="p-4" label={t("Smart call automations")}>
      <h2 className="mb-2 font-semibold">{t("Smart call automations")}</h2>
      <Answer query={query}>
        {({ items }) => (
          <ul className="flex flex-col gap-2">
            {items.map((automation) => (
              <li key={automation.slug} className="flex items-center justify-between gap-4">
                <span>
                  <span className="font-medium">{t(sentence(automation.slug))}</span>
                  <span className="block text-muted">{automation.summary}</span>
                </span>
                <Switch label={t(sentence(automation.slug))} isOn={automation.enabled} isDisabled={!mayEdit || change.isPending} onChange={(enabled) => change.mutate({ slug: automation.slug, enabled })} />
              </li>
            ))}
          </ul>
        )}
      </Answer>
    </Panel>
  );
}
