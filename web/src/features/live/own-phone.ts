// The telephone that a supervisor listens by: remembered in this browser, for each person.

import { useState } from "react";

const KEY = "patchcord.phone.";

/** The person's number, and a way to change it; empty until they gave one. */
export function useOwnPhone(userId: string): [string, (phone: string) => void] {
  const [typed, setTyped] = useState<string | null>(null);
  const change = (phone: string) => {
    setTyped(phone);
    try {
      localStorage.setItem(KEY + userId, phone);
    } catch {
      // A full or forbidden storage costs typing it once more.
    }
  };
  return [typed ?? localStorage.getItem(KEY + userId) ?? "", change];
}
