import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Badge, StatusBadge } from "@/components/badge";
import { Button } from "@/components/button";
import { Page } from "@/components/page";
import { Empty, Failed, Slow } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { keys } from "@/lib/query";
import { dateTime, words } from "@/lib/words";

const ASK_MS = 5000;

export function MessagesPage() {
  const { t } = useTranslation();
  const messages = useInfiniteQuery({
    queryKey: keys.messages,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) => body(api.GET("/api/messages", { params: { query: { limit: 50, cursor: pageParam } } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    // A message that starts no run is told by nothing on the live stream.
    refetchInterval: ASK_MS,
  });
  const items = messages.data?.pages.flatMap((page) => page.items);
  const isOutbox = items?.some((message) => message.status === "outbox");
  return (
    <Page title={t("Messages")} text={isOutbox ? t("The outbox: nothing left this machine. This is what would have been sent.") : t("What was sent and received.")}>
      {messages.error && <Failed error={messages.error} onRetry={() => void messages.refetch()} />}
      {items === undefined && !messages.error && <Slow />}
      {items?.length === 0 && <Empty title={t("No messages yet")} text={t("What workflows send, and what people answer, stands here.")} action={<Link to="/templates" className="text-primary underline">{t("Start from a template")}</Link>} />}
      <ul aria-label={t("Messages")} className="flex flex-col gap-2">
        {items?.map((message) => (
          <One key={message.id} message={message} />
        ))}
      </ul>
      {messages.hasNextPage && (
        <Button className="self-center" onClick={() => void messages.fetchNextPage()}>
          {t("Show more")}
        </Button>
      )}
    </Page>
  );
}

function One({ message }: { message: Schemas["Message"] }) {
  const { t } = useTranslation();
  const channel = t(words(message.channel));
  const isOutbound = message.direction === "outbound";
  return (
    <li className="rounded-lg border p-3">
      <p className="flex flex-wrap items-center gap-2">
        <span className="font-medium">{isOutbound ? t("{{channel}} to {{to}}", { channel, to: message.to }) : t("{{channel}} from {{from}}", { channel, from: message.from })}</span>
        {message.status === "outbox" ? <Badge tone="info">{t("would have been sent")}</Badge> : <StatusBadge status={message.status} />}
        <time className="text-xs text-muted">{dateTime(message.created_at)}</time>
        {message.run_id && (
          <Link to="/runs/$runId" params={{ runId: message.run_id }} className="ml-auto text-primary underline">
            {t("by this run")}
          </Link>
        )}
      </p>
      <p className="mt-1 whitespace-pre-line">{message.body}</p>
      {message.error && <p className="mt-1 text-danger">{message.error}</p>}
    </li>
  );
}
