// How the server's words and times read to people.

/** `no_answer` → `no answer`, `call.no_answer` → `call: no answer`. */
export function words(text: string | null | undefined): string {
  return (text ?? "").replaceAll(".", ": ").replaceAll("_", " ").replace(/\bsms\b/, "SMS").replace(/\bemail\b/, "e-mail");
}

/** `call.no_answer` → `Call: no answer`. */
export function sentence(text: string): string {
  const read = words(text);
  return read.charAt(0).toUpperCase() + read.slice(1);
}

export function clockTime(at: string): string {
  return new Date(at).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

export function dateTime(at: string | null | undefined): string {
  if (!at) return "–";
  return new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** A text of the server with its moments as people read them. */
export function withTimes(text: string): string {
  return text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, (at) => dateTime(at));
}

/** Milliseconds from the start of a call as `1:05`. */
export function offset(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** The time between two moments in words: `3 d 2 h`, `4 min`, `12 s`. */
export function span(from: string, until: string): string {
  const seconds = Math.max(0, Math.round((Date.parse(until) - Date.parse(from)) / 1000));
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  if (days > 0) return hours > 0 ? `${days} d ${hours} h` : `${days} d`;
  if (hours > 0) return minutes > 0 ? `${hours} h ${minutes} min` : `${hours} h`;
  if (minutes > 0) return `${minutes} min`;
  return `${seconds} s`;
}
