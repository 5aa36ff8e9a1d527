// The address that `patchcord dev` prints carries a ticket that signs one browser in, once.

import { api, body } from "@/lib/api";
import { keepTokens } from "@/lib/session";
import { toastError } from "@/lib/toast";

export async function redeemTicket(): Promise<void> {
  const ticket = new URLSearchParams(location.hash.slice(1)).get("ticket");
  if (ticket === null) return;
  // A ticket works once: it has no place in the history.
  history.replaceState(null, "", location.pathname);
  try {
    keepTokens(await body(api.POST("/api/auth/ticket", { body: { ticket } })));
  } catch (error) {
    toastError(error);
  }
}
