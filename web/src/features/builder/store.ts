// The builder's state: the graph, its undo history, what is selected, and how saving goes.
//
// In: a person's edits and the server's answers. Out: one definition that every view draws. No React, no server.

import { create } from "zustand";
import type { Schemas } from "@/lib/api";
import type { Definition } from "@/lib/graph/definition";
import { isSame } from "@/lib/graph/difference";
import { addNote, changeNote, changeStep, type Clip, connect, copySteps, disconnect, insertStep, moveSteps, pasteSteps, type Place, removeStep } from "@/lib/graph/edit";
import type { Edge, Point, Step, Trigger } from "@/lib/graph/definition";
import { merge, type Side } from "@/lib/graph/merge";
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
  /** What the server has at `revision`; the definition itself when nothing is dirty, null when nobody knows. */
  base?: Definition | null;
  /** For somebody who may look and not edit. */
  isReadOnly?: boolean;
}

export interface BuilderState {
  id: string | null;
  /** The server's revision that the edits are based on. */
  revision: number;
  /** What the server has at that revision: what the edits are compared with when somebody else saved meanwhile. */
  base: Definition | null;
  definition: Definition | null;
  /** No edit does anything: the server would refuse to keep it. */
  isReadOnly: boolean;
  past: Definition[];
  future: Definition[];
  selected: string[];
  save: SaveState;
  /** Why a save was refused, in the server's words. */
  refusal: string | null;
  /** What both this tab and somebody else changed, while a person has to decide. */
  clashes: string[];
  problems: Problem[];
  kinds: ReadonlyMap<string, PortKind>;
  /** Status by step of the dry run that is played. */
  played: ReadonlyMap<string, string> | null;
  /** The ways it took so far. */
  walked: ReadonlySet<string>;
  /** How the graph would go: where previews come from. */
  trial: Schemas["DryRunView"] | null;
  /** With whom and after which call it is tried; a sample where nobody was chosen. */
  tryWith: { lead_id?: string; call_id?: string; data?: Record<string, unknown> };
  lastEdit: { field: string; at: number } | null;

  load: (loaded: Loaded) => void;
  setKinds: (kinds: ReadonlyMap<string, PortKind>) => void;
  commit: (definition: Definition, field?: string) => void;
  /** Lays the edits over what the server has meanwhile. What both changed waits for a person, unless `prefer` says whose stays. */
  rebase: (theirs: Definition, revision: number, prefer?: Side) => void;
  /** Lays edits that another tab kept over the graph. */
  adopt: (draft: { base?: Definition | null; definition: Definition }) => void;
  undo: () => void;
  redo: () => void;
  select: (ids: string[]) => void;
  insert: (type: string, place: Place) => void;
  remove: (ids: string[]) => void;
  connect: (from: string, port: string, to: string) => void;
  disconnect: (edge: Edge) => void;
  move: (positions: Record<string, Point>) => void;
  tidy: () => void;
  addNote: (text: string, at: Point) => void;
  changeNote: (id: string, change: { text?: string; at?: Point }) => void;
  changeStep: (id: string, change: Partial<Step>, field: string) => void;
  changeTrigger: (trigger: Trigger, field: string) => void;
  changeSettings: (settings: Record<string, unknown>, field: string) => void;
  rename: (name: string) => void;
  copy: () => Clip | null;
  paste: (clip: Clip) => void;
}

export const useBuilder = create<BuilderState>((set, get) => {
  /** What may be edited; null while there is nothing, and for somebody who may only look. */
  const editable = () => (get().isReadOnly ? null : get().definition);
  const edit = (change: (definition: Definition) => Definition, field?: string) => {
    const definition = editable();
    if (definition !== null) get().commit(change(definition), field);
  };
  return {
    id: null,
    revision: 0,
    base: null,
    definition: null,
    isReadOnly: false,
    past: [],
    future: [],
    selected: [],
    save: "saved",
    refusal: null,
    clashes: [],
    problems: [],
    kinds: new Map(),
    played: null,
    walked: new Set(),
    trial: null,
    tryWith: {},
    lastEdit: null,

    load: ({ id, revision, definition, isDirty, base = isDirty ? null : definition, isReadOnly = false }) =>
      set({
        id,
        revision,
        base,
        definition,
        isReadOnly,
        past: [],
        future: [],
        selected: [],
        save: isDirty ? "waiting" : "saved",
        refusal: null,
        clashes: [],
        problems: [],
        played: null,
        trial: null,
        tryWith: {},
        lastEdit: null,
      }),

    setKinds: (kinds) => set({ kinds }),

    commit: (definition, field) => {
      const state = get();
      if (editable() === null || state.definition === null || definition === state.definition) return;
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

    rebase: (theirs, revision, prefer) => {
      const { base, definition, past, future, selected } = get();
      if (definition === null) return;
      const merged = merge(base, definition, theirs, prefer);
      if (merged.clashes.length > 0 && prefer === undefined) return set({ save: "conflict", clashes: merged.clashes });
      const isTheirs = isSame(merged.definition, theirs);
      set({
        revision,
        base: theirs,
        definition: isTheirs ? theirs : merged.definition,
        past: carried(base, past, theirs),
        future: carried(base, future, theirs),
        selected: selected.filter((id) => isIn(merged.definition, id)),
        save: isTheirs ? "saved" : "waiting",
        refusal: null,
        clashes: [],
        played: null,
        lastEdit: null,
      });
    },

    adopt: ({ base = null, definition }) => edit((current) => merge(base, definition, current, "mine").definition),

    undo: () => travel(set, get, "past", "future"),
    redo: () => travel(set, get, "future", "past"),
    select: (selected) => set({ selected }),

    insert: (type, place) => {
      const { kinds, commit } = get();
      const definition = editable();
      const kind = kinds.get(type);
      if (definition === null || kind === undefined) return;
      const inserted = insertStep(definition, kind, starterOf(type), place);
      commit(inserted.definition);
      set({ selected: [inserted.id] });
    },

    remove: (ids) => {
      if (editable() === null) return;
      edit((definition) => ids.reduce((rest, id) => removeStep(rest, id, get().kinds), definition));
      set({ selected: [] });
    },

    connect: (from, port, to) => edit((definition) => connect(definition, from, port, to)),
    disconnect: (edge) => edit((definition) => disconnect(definition, edge)),
    move: (positions) => edit((definition) => moveSteps(definition, positions)),
    tidy: () => edit((definition) => ({ ...definition, layout: {} })),
    addNote: (text, at) => edit((definition) => addNote(definition, text, at).definition),
    changeNote: (id, change) => edit((definition) => changeNote(definition, id, change), change.at ? undefined : `${id}.text`),
    changeStep: (id, change, field) => edit((definition) => changeStep(definition, id, change), `${id}.${field}`),
    changeTrigger: (trigger, field) => edit((definition) => ({ ...definition, trigger }), `trigger.${field}`),
    changeSettings: (settings, field) => edit((definition) => ({ ...definition, settings }), `settings.${field}`),
    rename: (name) => edit((definition) => ({ ...definition, name }), "name"),

    copy: () => {
      const { definition, selected } = get();
      const clip = definition === null ? null : copySteps(definition, selected);
      return clip === null || clip.nodes.length === 0 ? null : clip;
    },

    paste: (clip) => {
      const definition = editable();
      if (definition === null) return;
      const pasted = pasteSteps(definition, clip);
      get().commit(pasted.definition);
      set({ selected: pasted.ids });
    },
  };
});

type Set = (change: Partial<BuilderState>) => void;

function travel(set: Set, get: () => BuilderState, from: "past" | "future", to: "past" | "future"): void {
  const state = get();
  const next = state[from].at(-1);
  if (next === undefined || state.definition === null) return;
  set({
    definition: next,
    [from]: state[from].slice(0, -1),
    [to]: [...state[to], state.definition].slice(-UNDO_MAX),
    selected: state.selected.filter((id) => isIn(next, id)),
    save: state.save === "conflict" ? "conflict" : "waiting",
    refusal: null,
    played: null,
    lastEdit: null,
  });
}

function isIn(definition: Definition, id: string): boolean {
  return id === "trigger" || definition.nodes.some((node) => node.id === id);
}

/** The history with somebody else's changes in it: taking back one's own edit must not take back theirs. */
function carried(base: Definition | null, history: Definition[], theirs: Definition): Definition[] {
  const kept: Definition[] = [];
  for (const before of history.toReversed()) {
    const merged = merge(base, before, theirs);
    if (merged.clashes.length > 0) break;
    kept.unshift(merged.definition);
  }
  return kept;
}
