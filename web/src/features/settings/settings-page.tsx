import { useTranslation } from "react-i18next";
import { Page } from "@/components/page";
import { Automations } from "./automations";
import { Keys } from "./keys";
import { People } from "./people";

export function SettingsPage() {
  const { t } = useTranslation();
  return (
    <Page title={t("Settings")}>
      <Automations />
      <People />
      <Keys />
    </Page>
  );
}
