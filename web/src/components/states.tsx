// What a page shows while there is nothing to show yet: slow, empty, failed.

import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Button } from "./button";

export function Slow() {
  const { t } = useTranslation();
  return (
    <div role="status" className="flex flex-col gap-2 p-6">
      <span className="sr-only">{t("Loading")}</span>
      {[80, 60, 70].map((width) => (
        <div key={width} className="h-4 animate-pulse rounded bg-panel" style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}

export function Empty({ title, text, action }: { title: string; text: string; action?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-2 p-10 text-center">
      <h2 className="text-base font-semibold">{title}</h2>
      <p className="max-w-md text-muted">{text}</p>
      {action}
    </div>
  );
}

export function Failed({ error, onRetry }: { error: Error; onRetry?: () => void }) {
  const { t } = useTranslation();
  return (
    <div role="alert" className="m-4 flex flex-col items-start gap-3 rounded-md border border-danger bg-danger-soft p-4 text-danger">
      <p className="whitespace-pre-line">{error.message}</p>
      {onRetry && <Button onClick={onRetry}>{t("Try again")}</Button>}
    </div>
  );
}

/** Shows a query's data, or why there is none. */
export function Answer<T>({ query, children }: { query: UseQueryResult<T, Error>; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return children(query.data);
  if (query.error) return <Failed error={query.error} onRetry={() => void query.refetch()} />;
  return <Slow />;
}
