// Whether a person is choosing a step, and where it will go.

import { create } from "zustand";
import type { Place } from "@/lib/graph/edit";

interface PickerState {
  place: Place | null;
  open: (place: Place) => void;
  close: () => void;
}

export const usePicker = create<PickerState>((set) => ({
  place: null,
  open: (place) => set({ place }),
  close: () => set({ place: null }),
}));
