import { useTranslation } from "react-i18next";
import type { LiveCall } from "@/lib/live/floor";

const WIDTH = 72;
const HEIGHT = 24;
const LOW = -0.2;
const HIGH = 0.2;

/** The customer's running sentiment: up is well, down is badly. */
export function SentimentLine({ call }: { call: LiveCall }) {
  const { t } = useTranslation();
  const trend = trendOf(call);
  const last = trend.at(-1);
  if (last === undefined) return null;
  const end = Math.max(...trend.map((point) => point.at_ms), 1);
  // Half a stroke is left above and below.
  const y = (value: number) => 1 + ((1 - value) / 2) * (HEIGHT - 2);
  const points = [{ at_ms: 0, trend: 0 }, ...trend].map((point) => `${((point.at_ms / end) * WIDTH).toFixed(1)},${y(point.trend).toFixed(1)}`);
  const mood = last.trend < LOW ? t("unhappy") : last.trend > HIGH ? t("content") : t("even");
  const colour = last.trend < LOW ? "var(--danger)" : last.trend > HIGH ? "var(--ok)" : "var(--muted)";
  return (
    // As wide as there is room for: in a narrow card it is the line that gives way, not the words.
    <svg role="img" aria-label={t("Customer sounds {{mood}} ({{score}})", { mood, score: last.trend.toFixed(2) })} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" style={{ maxWidth: WIDTH, height: HEIGHT }} className="block w-full">
      <line x1="0" x2={WIDTH} y1={y(0)} y2={y(0)} stroke="var(--border)" vectorEffect="non-scaling-stroke" />
      <polyline points={points.join(" ")} fill="none" stroke={colour} strokeWidth="2" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}

/** How the trend went is told by the stream only; where it stands is in the record too. */
function trendOf(call: LiveCall): LiveCall["trend"] {
  const trend = call.record?.trend;
  if (call.trend.length > 0 || trend === null || trend === undefined) return call.trend;
  return [{ at_ms: call.lines.at(-1)?.end_ms ?? 1, trend }];
}
