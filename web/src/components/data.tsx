import { Braces, List } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { dateTime, words } from "@/lib/words";
import { Button } from "./button";
import { Json } from "./json";

const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** Data for people: its fields by their names; as JSON after a click, for whoever writes expressions over it. */
export function Data({ value, label }: { value: unknown; label: string }) {
  const { t } = useTranslation();
  const [isJson, setIsJson] = useState(false);
  const fields = typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value).filter(isTelling) : [];
  if (fields.length === 0) return <Json value={value} label={label} />;
  return (
    <div className="relative">
      {isJson ? (
        <Json value={value} label={label} />
      ) : (
        <div tabIndex={0} role="region" aria-label={label} className="max-h-64 overflow-auto rounded-md border bg-panel p-2 pr-12 text-xs">
          <dl className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-3 gap-y-1">
            {fields.map(([name, one]) => (
              <div key={name} className="contents">
                <dt className="text-muted">{words(name)}</dt>
                <dd className="break-words whitespace-pre-line">{textOf(one)}</dd>
              </div>
            ))}
          </dl>
        </div>
      )}
      <Button look="quiet" isIcon className="absolute top-1 right-1" aria-pressed={isJson} aria-label={isJson ? t("{{label}} by its fields", { label }) : t("{{label}} as JSON", { label })} onClick={() => setIsJson(!isJson)}>
        {isJson ? <List size={12} aria-hidden /> : <Braces size={12} aria-hidden />}
      </Button>
    </div>
  );
}

/** Ids say nothing to people; they are in the JSON. */
function isTelling([name, value]: [string, unknown]): boolean {
  return value !== null && value !== "" && !/(^|_)s?id$/.test(name);
}

function textOf(value: unknown): string {
  if (typeof value === "string") return MOMENT.test(value) ? dateTime(value) : value;
  if (Array.isArray(value) && value.every((one) => typeof one !== "object")) return value.join(", ");
  return typeof value === "object" ? JSON.stringify(value, null, 1) : String(value);
}
