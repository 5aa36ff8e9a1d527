// What people have written into a form.

/** A field's text, undefined when it is empty. */
export function textOf(fields: FormData, name: string): string | undefined {
  return String(fields.get(name) ?? "").trim() || undefined;
}

/** A local date and time as a moment, undefined when it is empty. */
export function momentOf(fields: FormData, name: string): string | undefined {
  const at = textOf(fields, name);
  return at === undefined ? undefined : new Date(at).toISOString();
}

/** A moment as a field of local date and time shows it. */
export function localTime(at: string | null | undefined): string {
  if (!at) return "";
  const moment = new Date(at);
  const two = (part: number) => String(part).padStart(2, "0");
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}T${two(moment.getHours())}:${two(moment.getMinutes())}`;
}
