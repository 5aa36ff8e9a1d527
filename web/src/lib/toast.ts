// Short messages at the edge of the page: what was done, what went wrong, and a way back where there is one.

import { create } from "zustand";

export interface Toast {
  id: number;
  text: string;
  tone: "info" | "danger";
  action?: { label: string; run: () => void };
}

interface ToastState {
  toasts: Toast[];
  show: (toast: Omit<Toast, "id">, forMs?: number) => void;
  drop: (id: number) => void;
}

const SHOWN_MAX = 4;
const SHOWN_MS = 7000;
let next = 1;

export const useToasts = create<ToastState>((set, get) => ({
  toasts: [],
  show: (toast, forMs = SHOWN_MS) => {
    const id = next++;
    set({ toasts: [...get().toasts, { ...toast, id }].slice(-SHOWN_MAX) });
    setTimeout(() => get().drop(id), forMs);
  },
  drop: (id) => set({ toasts: get().toasts.filter((toast) => toast.id !== id) }),
}));

export function toastError(error: unknown): void {
  const text = error instanceof Error ? error.message : String(error);
  useToasts.getState().show({ text, tone: "danger" });
}

export function toastInfo(text: string, action?: Toast["action"]): void {
  useToasts.getState().show({ text, tone: "info", action });
}
