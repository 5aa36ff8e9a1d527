import type { ReactNode } from "react";
import { useHeldFocus } from "@/lib/focus";

/** A list whose entries come and go: the keyboard stays at the next one when the one it is at goes. */
export function HeldList({ className, children }: { className?: string; children: ReactNode }) {
  const list = useHeldFocus<HTMLUListElement>();
  return (
    <ul ref={list} className={className}>
      {children}
    </ul>
  );
}
