import { getRouteApi } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Page, Panel } from "@/components/page";
import { Tabs } from "@/components/tabs";
import { useMay } from "@/lib/me";
import { Agents } from "./agents";
import { Audit } from "./audit";
import { Automations } from "./automations";
import { GoingLive } from "./going-live";
import { Keys } from "./keys";
import { Numbers } from "./numbers";
import { Password } from "./password";
import { People } from "./people";
import { Retention } from "./retention";
import { Rules } from "./rules";
import { SecondFactor } from "./second-factor";
import { Sessions } from "./sessions";
import { SigningSecret } from "./signing-secret";
import { Webhooks } from "./webhooks";

const route = getRouteApi("/shell/settings");

export function SettingsPage() {
  const { t } = useTranslation();
  const { tab = "automations" } = route.useSearch();
  const navigate = route.useNavigate();
  const isAdmin = useMay("admin");
  const stacked = "flex flex-col gap-4 py-4";
  const tabs = [
    { id: "automations", label: t("Automations"), isShown: true, content: <div className={stacked}><Automations /><Rules canChange={isAdmin} /></div> },
    { id: "people", label: t("People and keys"), isShown: isAdmin, content: <div className={stacked}><People /><Keys /></div> },
    { id: "numbers", label: t("Numbers and agents"), isShown: true, content: <div className={stacked}><Numbers /><Agents /></div> },
    { id: "webhooks", label: t("Webhooks"), isShown: isAdmin, content: <div className={stacked}><Webhooks /><SigningSecret /></div> },
    { id: "data", label: t("Data"), isShown: isAdmin, content: <div className={stacked}><Retention /></div> },
    { id: "audit", label: t("Audit"), isShown: isAdmin, content: <div className={stacked}><Audit /></div> },
    { id: "you", label: t("You"), isShown: true, content: <div className={stacked}><Password /><SecondFactor /><Panel className="p-4" label={t("Your sessions")}><h2 className="mb-2 font-semibold">{t("Your sessions")}</h2><Sessions /></Panel></div> },
    { id: "live", label: t("Going live"), isShown: true, content: <div className={stacked}><GoingLive /></div> },
  ];
  return (
    <Page title={t("Settings")}>
      <Tabs label={t("Settings")} tabs={tabs.filter((one) => one.isShown)} value={tab} onChange={(next) => void navigate({ search: { tab: next }, replace: true })} />
    </Page>
  );
}
