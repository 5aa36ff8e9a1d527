// Leads that look like one person, side by side: which is kept, and the others merged into it one by one.

import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Merge } from "lucide-react";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Dialog } from "@/components/dialog";
import { Page, Panel } from "@/components/page";
import { Empty, Failed, Slow } from "@/components/states";
import { api, body, type Schemas } from "@/lib/api";
import { useHeldFocus } from "@/lib/focus";
import { leadName } from "@/lib/lead-name";
import { useMay } from "@/lib/me";
import { keys, queryClient } from "@/lib/query";
import { toastInfo } from "@/lib/toast";
import { dateTime, words } from "@/lib/words";
import { Reach } from "./reach";

type Lead = Schemas["Lead"];
type Group = Schemas["DuplicateGroup"];
interface Pair {
  kept: Lead;
  duplicate: Lead;
}

const PAGE = 20;

export function DuplicatesPage() {
  const { t } = useTranslation();
  const [doomed, setDoomed] = useState<Pair | null>(null);
  const mayMerge = useMay("admin");
  const query = useInfiniteQuery({
    queryKey: keys.duplicates,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) => body(api.GET("/api/leads/duplicates", { params: { query: { limit: PAGE, cursor: pageParam } } })),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    staleTime: 0,
  });
  const held = useHeldFocus<HTMLDivElement>();
  const groups = query.data?.pages.flatMap((page) => page.items);
  const back = (
    <Link to="/leads" className="text-primary underline">
      {t("Back to the leads")}
    </Link>
  );
  return (
    <Page title={t("Duplicates")} text={t("Leads that look like one person: choose which one is kept, and merge the others into it.")} actions={back}>
      {query.error && <Failed error={query.error} onRetry={() => void query.refetch()} />}
      {groups === undefined && !query.error && <Slow />}
      {groups?.length === 0 && !query.hasNextPage && <Empty title={t("No duplicates")} text={t("No two leads have the same e-mail address, and a phone number is one lead's anyway.")} action={back} />}
      {groups !== undefined && groups.length > 0 && !mayMerge && <p className="text-muted">{t("Merging takes the role admin.")}</p>}
      <div ref={held} tabIndex={-1} className="flex flex-col gap-4 outline-none">
        {groups?.map((group) => (
          <Side key={`${group.by}-${group.value}`} group={group} mayMerge={mayMerge} onMerge={setDoomed} />
        ))}
      </div>
      {query.hasNextPage && (
        <Button className="self-center" disabled={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {t("Look further")}
        </Button>
      )}
      {doomed && <Confirm pair={doomed} onClose={() => setDoomed(null)} />}
    </Page>
  );
}

interface SideProps {
  group: Group;
  mayMerge: boolean;
  onMerge: (pair: Pair) => void;
}

/** The leads of one group beside one another. The oldest is kept unless somebody says otherwise. */
function Side({ group, mayMerge, onMerge }: SideProps) {
  const { t } = useTranslation();
  const name = useId();
  const [chosen, setChosen] = useState<string | null>(null);
  const kept = group.leads.find((lead) => lead.id === chosen) ?? group.leads[0];
  if (kept === undefined) return null;
  return (
    <Panel className="flex flex-col gap-3 p-4" label={t("Leads with {{value}}", { value: group.value })}>
      <h2 className="font-semibold break-words">{t("Leads with {{value}}", { value: group.value })}</h2>
      {group.more > 0 && <p className="text-muted">{t("The oldest {{shown}} are shown; {{count}} more have it too.", { shown: group.leads.length, count: group.more })}</p>}
      <ul className="grid gap-3 sm:grid-cols-2 lg:grid-cols-3">
        {group.leads.map((lead) => (
          <li key={lead.id} data-lead={lead.id} className={`flex min-w-0 flex-col gap-2 rounded-lg border p-3 ${lead === kept ? "border-primary" : ""}`}>
            <Link to="/leads/$leadId" params={{ leadId: lead.id }} className="font-medium break-words text-primary hover:underline">
              {leadName(lead)}
            </Link>
            <Facts lead={lead} />
            {mayMerge && (
              <div className="mt-auto flex flex-wrap items-center justify-between gap-2">
                <label className="flex items-center gap-2">
                  <input type="radio" name={name} checked={lead === kept} onChange={() => setChosen(lead.id)} className="accent-primary" />
                  {t("Keep this one")}
                </label>
                {lead !== kept && (
                  <Button aria-label={t("Merge the lead known since {{at}} into the one that is kept", { at: dateTime(lead.created_at) })} onClick={() => onMerge({ kept, duplicate: lead })}>
                    <Merge size={14} aria-hidden />
                    {t("Merge into it")}
                  </Button>
                )}
              </div>
            )}
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Facts({ lead }: { lead: Lead }) {
  const { t } = useTranslation();
  const facts: [string, string | number | null | undefined][] = [
    [t("Phone"), lead.phone],
    [t("E-mail"), lead.email],
    [t("Stage"), words(lead.stage)],
    [t("Score"), lead.score],
    [t("Known since"), dateTime(lead.created_at)],
    [t("Own fields"), Object.keys(lead.fields).join(", ")],
  ];
  return (
    <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1 text-sm">
      {facts.map(([name, value]) => (
        <div key={name} className="contents">
          <dt className="text-muted">{name}</dt>
          <dd className="min-w-0 break-words">{value === 0 ? 0 : value || "–"}</dd>
        </div>
      ))}
      <dt className="text-muted">{t("May be reached")}</dt>
      <dd>
        <Reach lead={lead} />
      </dd>
    </dl>
  );
}

/** Says what will happen, before it does. */
function Confirm({ pair: { kept, duplicate }, onClose }: { pair: Pair; onClose: () => void }) {
  const { t } = useTranslation();
  const name = leadName(kept);
  const merge = useMutation({
    mutationFn: () => body(api.POST("/api/leads/{id}/merge", { params: { path: { id: kept.id } }, body: { duplicate: duplicate.id } })),
    onSuccess: () => {
      toastInfo(t("Merged: “{{name}}” is one lead now", { name }));
      onClose();
      return queryClient.invalidateQueries({ queryKey: keys.leads });
    },
  });
  const happens = [
    t("“{{name}}” stays as it is, and takes what it lacks: name, phone, e-mail, time zone, who looks after it, own fields.", { name }),
    t("Of opt-outs and refusals the stricter stays, on every channel."),
    t("Workflows under way for the other one end. What happened with it is on the timeline of the one that is kept."),
    t("Messages and calls from the other one's number or address belong to the one that is kept from then on."),
  ];
  return (
    <Dialog
      title={t("Merge into “{{name}}”?", { name })}
      text={t("The lead “{{duplicate}}”, known since {{at}}, is no lead of its own afterwards.", { duplicate: leadName(duplicate), at: dateTime(duplicate.created_at) })}
      isOpen
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>{t("Cancel")}</Button>
          <Button look="danger" disabled={merge.isPending} onClick={() => merge.mutate()}>
            {t("Merge for good")}
          </Button>
        </>
      }
    >
      <ul className="list-disc pl-5">
        {happens.map((what) => (
          <li key={what}>{what}</li>
        ))}
      </ul>
      <p className="mt-2 font-medium">{t("This cannot be undone.")}</p>
      <p role="alert" className="text-danger empty:hidden">
        {merge.error?.message}
      </p>
    </Dialog>
  );
}
