// Keys of the builder. Those that a text field uses itself are left to it.

import { useEffect } from "react";
import { type Point } from "@/lib/graph/definition";
import { readClip } from "@/lib/graph/edit";
import { positionsOf } from "@/lib/graph/layout";
import { usePicker } from "./picker-store";
import { placeAfterSelection } from "./place";
import { useBuilder } from "./store";

export function useBuilderKeys(): void {
  useEffect(() => {
    window.addEventListener("keydown", onKey);
    window.addEventListener("copy", onCopy);
    window.addEventListener("paste", onPaste);
    return () => {
      window.removeEventListener("keydown", onKey);
      window.removeEventListener("copy", onCopy);
      window.removeEventListener("paste", onPaste);
    };
  }, []);
}

function onKey(event: KeyboardEvent): void {
  const isCommand = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (useBuilder.getState().isReadOnly) return;
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
  }
}

function onCopy(event: ClipboardEvent): void {
  if (isWriting(event)) return;
  const clip = useBuilder.getState().copy();
  if (clip === null) return;
  event.clipboardData?.setData("text/plain", JSON.stringify(clip));
  event.preventDefault();
}

function onPaste(event: ClipboardEvent): void {
  if (isWriting(event)) return;
  const clip = readClip(event.clipboardData?.getData("text/plain") ?? "");
  const { definition, isReadOnly, paste } = useBuilder.getState();
  if (clip === null || definition === null || isReadOnly) return;
  event.preventDefault();
  const positions: Record<string, Point> = positionsOf(definition);
  paste(clip, positions);
}

function isWriting(event: Event): boolean {
  const target = event.target;
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}
