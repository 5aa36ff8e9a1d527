import type { Schemas } from "./api";

/** What a lead is called wherever it is named. */
export function leadName({ name, phone, email, id }: Schemas["Lead"]): string {
  return name || phone || email || id;
}
