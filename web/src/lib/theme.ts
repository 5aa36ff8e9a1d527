// Dark or light: what the person chose, else what the system prefers.

import { create } from "zustand";

export type Theme = "light" | "dark";

const KEY = "patchcord.theme";

function wanted(): Theme {
  const kept = localStorage.getItem(KEY);
  if (kept === "light" || kept === "dark") return kept;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

interface ThemeState {
  theme: Theme;
  toggle: () => void;
}

export const useTheme = create<ThemeState>((set, get) => ({
  theme: wanted(),
  toggle: () => {
    const theme = get().theme === "dark" ? "light" : "dark";
    localStorage.setItem(KEY, theme);
    show(theme);
    set({ theme });
  },
}));

function show(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
}

show(wanted());
