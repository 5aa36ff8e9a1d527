import { type ErrorComponentProps, Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { Button } from "@/components/button";
import { Empty, Failed } from "@/components/states";

/** A page that broke: the others still work. */
export function Broken({ error, reset }: ErrorComponentProps) {
  const { t } = useTranslation();
  return (
    <main className="mx-auto max-w-2xl p-6">
      <h1 className="text-xl font-semibold">{t("This page broke")}</h1>
      <Failed error={error instanceof Error ? error : new Error(String(error))} onRetry={reset} />
      <Button onClick={() => location.reload()}>{t("Load the page again")}</Button>
    </main>
  );
}

export function Lost() {
  const { t } = useTranslation();
  return (
    <main>
      <Empty title={t("There is nothing at this address")} text={t("The page may have moved, or the address was mistyped.")} action={<Link to="/live">{t("Go to the live page")}</Link>} />
    </main>
  );
}
