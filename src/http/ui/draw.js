// Draws: small helpers that make elements from data. Text is always set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const LINE = { width: 240, height: 48 };

export function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (key === "text") made.textContent = value;
    else if (key === "class") made.className = value;
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function words(text) {
  return String(text).replaceAll("_", " ").replaceAll(".", " ");
}

export function clockTime(text) {
  return new Date(text).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export function offset(ms) {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

// The sentiment of a call as a line from -1 (below) to 1 (above), with the middle drawn.
export function sentimentLine(points) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${LINE.width} ${LINE.height}`);
  svg.setAttribute("class", "sentiment");
  svg.setAttribute("role", "img");
  const last = points.at(-1);
  const now = last === undefined ? "not known yet" : `${mood(last.trend)} (${last.trend.toFixed(2)})`;
  svg.setAttribute("aria-label", `Customer's sentiment: ${now}`);
  const y = (trend) => (LINE.height / 2) * (1 - Math.max(-1, Math.min(1, trend)));
  svg.append(shape("line", { x1: 0, x2: LINE.width, y1: y(0), y2: y(0), class: "zero" }));
  if (last !== undefined) {
    const end = Math.max(last.at_ms, 10_000);
    const x = (at) => 4 + (at / end) * (LINE.width - 8);
    const path = [{ at_ms: 0, trend: 0 }, ...points].map((point) => `${x(point.at_ms).toFixed(1)},${y(point.trend).toFixed(1)}`);
    svg.append(shape("polyline", { points: path.join(" "), class: "trend" }));
    svg.append(shape("circle", { cx: x(last.at_ms), cy: y(last.trend), r: 4, class: `mood ${mood(last.trend)}` }));
  }
  return svg;
}

export function mood(trend) {
  if (trend <= -0.25) return "negative";
  if (trend >= 0.25) return "positive";
  return "neutral";
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
