// Keys of the builder. Those that a text field uses itself are left to it.

import { useEffect } from "react";
import { copied, doubleSelected, pasted, removeSelected, selectAll } from "./clipboard";
import { usePicker } from "./picker-store";
import { placeAfterSelection } from "./place";
import { useBuilder } from "./store";

export function useBuilderKeys(): void {
  useEffect(() => {
    window.addEventListener("keydown", onKey);
    window.addEventListener("copy", onCopy);
    window.addEventListener("cut", onCopy);
    window.addEventListener("paste", onPaste);
    return () => {
      window.removeEventListener("keydown", onKey);
      window.removeEventListener("copy", onCopy);
      window.removeEventListener("cut", onCopy);
      window.removeEventListener("paste", onPaste);
    };
  }, []);
}

function onKey(event: KeyboardEvent): void {
  const isCommand = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (useBuilder.getState().isReadOnly || isInDialog(event)) return;
  if (isCommand && key === "k") {
    event.preventDefault();
    const place = placeAfterSelection();
    if (place !== null) usePicker.getState().open(place);
  } else if (isWriting(event)) {
    return;
  } else if (isCommand && key === "z" && !event.shiftKey) {
    event.preventDefault();
    useBuilder.getState().undo();
  } else if (isCommand && (key === "y" || (key === "z" && event.shiftKey))) {
    event.preventDefault();
    useBuilder.getState().redo();
  } else if (isCommand && key === "a") {
    event.preventDefault();
    selectAll();
  } else if (isCommand && key === "d") {
    event.preventDefault();
    doubleSelected();
  }
}

/** Copies, and takes out what is cut. Words that somebody has selected on the page are copied as ever. */
function onCopy(event: ClipboardEvent): void {
  if (isWriting(event) || getSelection()?.toString()) return;
  const text = copied();
  if (text === null) return;
  event.clipboardData?.setData("text/plain", text);
  event.preventDefault();
  if (event.type === "cut") removeSelected();
}

function onPaste(event: ClipboardEvent): void {
  if (isWriting(event) || useBuilder.getState().isReadOnly) return;
  if (pasted(event.clipboardData?.getData("text/plain") ?? "")) event.preventDefault();
}

function isWriting(event: Event): boolean {
  const target = event.target;
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}

/** A dialog over the builder: its keys are its own. */
function isInDialog(event: Event): boolean {
  return event.target instanceof Element && event.target.closest("dialog") !== null;
}
