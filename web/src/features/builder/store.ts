// The builder's state: the graph, its undo history, what is selected, and how saving goes.
//
// In: a person's edits and the server's answers. Out: one definition that every view draws. No React, no server.

import { create } from "zustand";
import type { Definition } from "@/lib/graph/definition";
import { changeStep, type Clip, connect, copySteps, disconnect, insertStep, moveSteps, pasteSteps, type Place, removeStep } from "@/lib/graph/edit";
import type { Edge, Point, Step, Trigger } from "@/lib/graph/definition";
import type { PortKind } from "@/lib/graph/ports";
import type { Problem } from "@/lib/graph/problems";
import { starterOf } from "./starters";

/** Truthful: `saved` only when the server has this very definition. */
export type SaveState = "saved" | "waiting" | "saving" | "offline" | "refused" | "conflict";

const UNDO_MAX = 100;
/** Typing in one field within this time is one action. */
const SAME_ACTION_MS = 1200;

interface Loaded {
  id: string;
  revision: number;
  definition: Definition;
  /** Edits that the server does not have. */
  isDirty: boolean;
}

export interface BuilderState {
  id: string | null;
  /** The server's revision that the edits are based on. */
  revision: number;
  definition: Definition | null;
  past: Definition[];
  future: Definition[];
  selected: string[];
  save: SaveState;
  /** Why a save was refused, in the server's words. */
  refusal: string | null;
  problems: Problem[];
  kinds: ReadonlyMap<string, PortKind>;
  /** Status by step of the dry run that is played. */
  played: ReadonlyMap<string, string> | null;
  /** The ways it took so far. */
  walked: ReadonlySet<string>;
  lastEdit: { field: string; at: number } | null;

  load: (loaded: Loaded) => void;
  setKinds: (kinds: ReadonlyMap<string, PortKind>) => void;
  commit: (definition: Definition, field?: string) => void;
  undo: () => void;
  redo: () => void;
  select: (ids: string[]) => void;
  insert: (type: string, place: Place) => void;
  remove: (ids: string[]) => void;
  connect: (from: string, port: string, to: string) => void;
  disconnect: (edge: Edge) => void;
  move: (positions: Record<string, Point>) => void;
  tidy: () => void;
  changeStep: (id: string, change: Partial<Step>, field: string) => void;
  changeTrigger: (trigger: Trigger, field: string) => void;
  changeSettings: (settings: Record<string, unknown>, field: string) => void;
  rename: (name: string) => void;
  copy: () => Clip | null;
  paste: (clip: Clip, positions: Record<string, Point>) => void;
}

export const useBuilder = create<BuilderState>((set, get) => {
  const edit = (change: (definition: Definition) => Definition, field?: string) => {
    const { definition, commit } = get();
    if (definition !== null) commit(change(definition), field);
  };
  return {
    id: null,
    revision: 0,
    definition: null,
    past: [],
    future: [],
    selected: [],
    save: "saved",
    refusal: null,
    problems: [],
    kinds: new Map(),
    played: null,
    walked: new Set(),
    lastEdit: null,

    load: ({ id, revision, definition, isDirty }) =>
      set({ id, revision, definition, past: [], future: [], selected: [], save: isDirty ? "waiting" : "saved", refusal: null, problems: [], played: null, lastEdit: null }),

    setKinds: (kinds) => set({ kinds }),

    commit: (definition, field) => {
      const state = get();
      if (state.definition === null || definition === state.definition) return;
      const now = Date.now();
      const isSameAction = field !== undefined && state.lastEdit?.field === field && now - state.lastEdit.at < SAME_ACTION_MS;
      set({
        definition,
        past: isSameAction ? state.past : [...state.past, state.definition].slice(-UNDO_MAX),
        future: [],
        // A conflict stays until a person decides it.
        save: state.save === "conflict" ? "conflict" : "waiting",
        refusal: null,
        played: null,
        lastEdit: field === undefined ? null : { field, at: now },
      });
    },

    undo: () => travel(set, get, "past", "future"),
    redo: () => travel(set, get, "future", "past"),
    select: (selected) => set({ selected }),

    insert: (type, place) => {
      const { definition, kinds, commit } = get();
      const kind = kinds.get(type);
      if (definition === null || kind === undefined) return;
      const inserted = insertStep(definition, kind, starterOf(type), place);
      commit(inserted.definition);
      set({ selected: [inserted.id] });
    },

    remove: (ids) => {
      edit((definition) => ids.reduce((rest, id) => removeStep(rest, id, get().kinds), definition));
      set({ selected: [] });
    },

    connect: (from, port, to) => edit((definition) => connect(definition, from, port, to)),
    disconnect: (edge) => edit((definition) => disconnect(definition, edge)),
    move: (positions) => edit((definition) => moveSteps(definition, positions)),
    tidy: () => edit((definition) => ({ ...definition, layout: {} })),
    changeStep: (id, change, field) => edit((definition) => changeStep(definition, id, change), `${id}.${field}`),
    changeTrigger: (trigger, field) => edit((definition) => ({ ...definition, trigger }), `trigger.${field}`),
    changeSettings: (settings, field) => edit((definition) => ({ ...definition, settings }), `settings.${field}`),
    rename: (name) => edit((definition) => ({ ...definition, name }), "name"),

    copy: () => {
      const { definition, selected } = get();
      const clip = definition === null ? null : copySteps(definition, selected);
      return clip === null || clip.nodes.length === 0 ? null : clip;
    },

    paste: (clip, positions) => {
      const { definition, commit } = get();
      if (definition === null) return;
      const pasted = pasteSteps(definition, clip, positions);
      commit(pasted.definition);
      set({ selected: pasted.ids });
    },
  };
});

type Set = (change: Partial<BuilderState>) => void;

function travel(set: Set, get: () => BuilderState, from: "past" | "future", to: "past" | "future"): void {
  const state = get();
  const next = state[from].at(-1);
  if (next === undefined || state.definition === null) return;
  const isThere = (id: string) => id === "trigger" || next.nodes.some((node) => node.id === id);
  set({
    definition: next,
    [from]: state[from].slice(0, -1),
    [to]: [...state[to], state.definition].slice(-UNDO_MAX),
    selected: state.selected.filter(isThere),
    save: state.save === "conflict" ? "conflict" : "waiting",
    refusal: null,
    played: null,
    lastEdit: null,
  });
}
