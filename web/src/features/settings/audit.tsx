import { useInfiniteQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Badge } from "@/components/badge";
import { Button } from "@/components/button";
import { Json } from "@/components/json";
import { Panel } from "@/components/page";
import { Failed, Slow } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { keys } from "@/lib/query";
import { dateTime } from "@/lib/words";

const PAGE = 50;

/** What people and keys have changed, newest first. */
export function Audit() {
  const { t } = useTranslation();
  const query = useInfiniteQuery({
    queryKey: keys.audit,
    // Whatever is done anywhere adds an entry: what is looked at is asked for.
    staleTime: 0,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) => body(api.GET("/api/audit", { params: { query: { limit: PAGE, cursor: pageParam } } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const entries = query.data?.pages.flatMap((page) => page.items);
  return (
    <Panel className="flex flex-col gap-3 p-4" label={t("Audit log")}>
      <h2 className="font-semibold">{t("Audit log")}</h2>
      {query.error && <Failed error={query.error} onRetry={() => void query.refetch()} />}
      {entries === undefined && !query.error && <Slow />}
      {entries?.length === 0 && <p className="text-muted">{t("Nothing has been changed yet.")}</p>}
      <ol aria-label={t("Entries")} className="flex flex-col gap-2">
        {entries?.map((entry) => (
          <Entry key={entry.seq} entry={entry} />
        ))}
      </ol>
      {query.hasNextPage && (
        <Button className="self-center" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {t("Show more")}
        </Button>
      )}
    </Panel>
  );
}

function Entry({ entry }: { entry: Schemas["AuditEntry"] }) {
  const { t } = useTranslation();
  return (
    <li className="rounded-md border p-2">
      <details>
        <summary className="cursor-pointer">
          <span className="font-medium">{entry.action}</span> <code className="text-xs">{entry.subject}</code> <time className="text-xs text-muted">{dateTime(entry.at)}</time> {entry.erased && <Badge>{t("erased")}</Badge>}
        </summary>
        <div className="mt-2 flex flex-col gap-2">
          <Json label={t("Who did it")} value={{ ...entry.actor, address: entry.address }} />
          {entry.before && <Json label={t("Before")} value={entry.before} />}
          {entry.after && <Json label={t("After")} value={entry.after} />}
        </div>
      </details>
    </li>
  );
}
