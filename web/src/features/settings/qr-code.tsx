import encode from "qr";
import { useMemo } from "react";

/** Light modules around the code: scanners need them to find it. */
const MARGIN = 4;
const SIZE_PX = 208;

/** A text as a QR code, drawn here: what it says goes nowhere. Dark on light in both themes, as scanners expect it. */
export default function QrCode({ text, label }: { text: string; label: string }) {
  const { path, side } = useMemo(() => drawn(encode(text, "raw", { border: MARGIN, ecc: "low" })), [text]);
  return (
    <svg role="img" aria-label={label} viewBox={`0 0 ${side} ${side}`} width={SIZE_PX} height={SIZE_PX} shapeRendering="crispEdges" className="rounded-md border">
      <rect width={side} height={side} fill="#ffffff" />
      <path d={path} fill="#000000" />
    </svg>
  );
}

function drawn(modules: boolean[][]): { path: string; side: number } {
  const path = modules.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : []))).join("");
  return { path, side: modules.length };
}
