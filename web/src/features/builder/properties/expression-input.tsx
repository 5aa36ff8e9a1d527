import { autocompletion, type CompletionContext } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap } from "@codemirror/view";
import { useEffect, useRef } from "react";
import { useBuilder } from "../store";
import { dataAt } from "./data";

interface ExpressionInputProps {
  attributes: { id: string; "aria-describedby"?: string; "aria-invalid"?: boolean };
  label: string;
  value: string;
  onChange: (value: string) => void;
}

const LOOK = EditorView.theme({
  "&": { border: "1px solid var(--control)", borderRadius: "6px", backgroundColor: "var(--background)", color: "var(--foreground)", fontSize: "13px" },
  "&.cm-focused": { outline: "2px solid var(--primary)" },
  ".cm-content": { fontFamily: "ui-monospace, monospace", caretColor: "var(--foreground)", padding: "6px 4px" },
  ".cm-cursor": { borderLeftColor: "var(--foreground)" },
  ".cm-tooltip": { backgroundColor: "var(--background)", color: "var(--foreground)", border: "1px solid var(--border)" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--info-soft)", color: "var(--foreground)" },
});

/** One line of an expression, with the data of the step to complete from. */
export function ExpressionInput({ attributes, label, value, onChange }: ExpressionInputProps) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const tell = useRef(onChange);
  tell.current = onChange;

  useEffect(() => {
    if (host.current === null) return;
    const oneLine = EditorState.transactionFilter.of((change) => (change.newDoc.lines > 1 ? [] : change));
    const extensions = [
      oneLine,
      history(),
      keymap.of([...historyKeymap, ...defaultKeymap]),
      autocompletion({ override: [complete] }),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": label, "aria-multiline": "false", ...(attributes["aria-describedby"] ? { "aria-describedby": attributes["aria-describedby"] } : {}) }),
      EditorView.updateListener.of((update) => {
        if (update.docChanged) tell.current(update.state.doc.toString());
      }),
      LOOK,
    ];
    const made = new EditorView({ parent: host.current, state: EditorState.create({ doc: value, extensions }) });
    view.current = made;
    made.focus();
    made.dispatch({ selection: { anchor: made.state.doc.length } });
    return () => made.destroy();
    // The editor is made once; what changes from outside is laid in below.
  }, [label]);

  useEffect(() => {
    const made = view.current;
    if (made !== null && made.state.doc.toString() !== value) {
      made.dispatch({ changes: { from: 0, to: made.state.doc.length, insert: value } });
    }
  }, [value]);

  return <div ref={host} id={attributes.id} />;
}

function complete(context: CompletionContext) {
  const word = context.matchBefore(/[\w.]+/);
  if (word === null && !context.explicit) return null;
  const { definition, selected, trial } = useBuilder.getState();
  if (definition === null) return null;
  const options = dataAt(definition, selected.at(-1) ?? "trigger", trial).map(({ path, sample }) => ({ label: path, detail: sample }));
  return { from: word?.from ?? context.pos, options };
}
