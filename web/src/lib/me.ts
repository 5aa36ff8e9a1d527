// Who the caller is, and what their role may do. The server decides; the pages only leave out what it would refuse.

import { useQuery } from "@tanstack/react-query";
import { api, body, type Schemas } from "./api";
import { keys } from "./query";

/** From the one that may least to the one that may most. */
export const ROLES: Schemas["Role"][] = ["agent", "supervisor", "admin", "owner"];

export function useMe() {
  return useQuery({ queryKey: keys.me, queryFn: () => body(api.GET("/api/me")), staleTime: Number.POSITIVE_INFINITY });
}

/** Whether the caller's role is `least` or above; false until it is known. */
export function useMay(least: Schemas["Role"]): boolean {
  const role = useMe().data?.role;
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(least);
}
