import { Link } from "@tanstack/react-router";
import { useCallback, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { Page } from "@/components/page";
import { PlayFirstCall, useCanSimulate } from "@/components/simulate";
import { Empty, Failed } from "@/components/states";
import { byRisk, openAlerts } from "@/lib/live/floor";
import { useLive } from "@/lib/live/store";
import { Alerts } from "./alerts";
import { CallCard } from "./call-card";
import { CallDetail } from "./call-detail";
import { LiveRuns } from "./live-runs";
import { useLookBack } from "./look-back";

export function LivePage() {
  const { t } = useTranslation();
  const before = useLookBack();
  const floor = useLive((state) => state.floor);
  const [chosen, setChosen] = useState<string | null>(null);
  const [asked, setAsked] = useState(0);
  const showWords = useCallback((callId: string) => {
    setChosen(callId);
    setAsked((count) => count + 1);
  }, []);
  const alerts = useMemo(() => Object.values(floor.alerts).sort((one, other) => other.raised_at.localeCompare(one.raised_at)), [floor.alerts]);
  const open = useMemo(() => openAlerts(alerts), [alerts]);
  const calls = useMemo(() => byRisk(Object.values(floor.calls), open), [floor.calls, open]);
  const shown = calls.find((call) => call.id === chosen) ?? calls[0];
  return (
    <Page title={t("Live")} text={t("Calls as they are spoken, those that need somebody first.")}>
      {before.error && <Failed error={before.error} onRetry={() => void before.refetch()} />}
      <div className="grid items-start gap-4 lg:grid-cols-[17rem_minmax(0,1fr)_20rem]">
        <section aria-label={t("Calls")} className="flex flex-col gap-2">
          <h2 className="font-semibold">{t("Calls")}</h2>
          {calls.length === 0 && <p className="text-muted">{t("No calls yet.")}</p>}
          <ul className="flex max-h-[70vh] flex-col gap-2 overflow-y-auto p-0.5" tabIndex={-1}>
            {calls.map((call) => (
              <li key={call.id} className="far-skipped">
                <CallCard call={call} isChosen={call.id === shown?.id} openAlerts={open.get(call.id) ?? 0} onChoose={setChosen} />
              </li>
            ))}
          </ul>
        </section>
        {shown ? <CallDetail key={shown.id} call={shown} alerts={alerts} asked={asked} /> : <Empty title={t("Nobody is calling")} text={t("A call appears here the moment it comes in, with its words as they are spoken.")} action={<FirstCall />} />}
        <div className="flex flex-col gap-4">
          <Alerts alerts={alerts} onShow={showWords} />
          <LiveRuns runs={Object.values(floor.runs)} />
        </div>
      </div>
    </Page>
  );
}

/** How the first call comes about: simulated where the server can, else by going live. */
function FirstCall() {
  const { t } = useTranslation();
  if (useCanSimulate()) return <PlayFirstCall />;
  return (
    <Link to="/settings" search={{ tab: "live" }} className="text-primary underline">
      {t("See what is left to do to go live")}
    </Link>
  );
}
