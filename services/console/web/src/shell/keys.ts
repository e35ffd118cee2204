/** One listener, a stack of maps: the newest that knows a key takes it. Letters never fire while somebody types (WCAG 2.1.4). */
import { useEffect, useRef } from "react";
import { useDesk } from "./desk";

/** By KeyboardEvent.key, letters in lower case; "Control+k" for the palette; "g m" for a sequence. */
export type KeyMap = Record<string, (event: KeyboardEvent) => void>;

const layers: { current: KeyMap }[] = [];
let prefix: { key: string; atMs: number } | undefined;
const SEQUENCE_MS = 1_500;

export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Enter and Space belong to a focused control. */
export function belongsToControl(key: string, target: EventTarget | null): boolean {
  return (key === "Enter" || key === " ") && target instanceof HTMLElement && target.closest("button, a, summary, [role=button]") !== null;
}

/** The name of the key for a KeyMap; undefined when nobody may take it. */
export function keyName(event: KeyboardEvent, letters: boolean): string | undefined {
  if (event.isComposing || event.altKey || event.metaKey) return undefined;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey) return key === "k" ? "Control+k" : undefined;
  if (key === "Escape") return isTyping(event.target) ? undefined : key;
  if (isTyping(event.target) || belongsToControl(key, event.target)) return undefined;
  if (key.length === 1 && !letters) return undefined;
  return key;
}

function onKeyDown(event: KeyboardEvent): void {
  if (document.querySelector("dialog[open]")) return;
  const key = keyName(event, useDesk.getState().letterKeys);
  if (!key) return;
  const sequence = prefix && performance.now() - prefix.atMs < SEQUENCE_MS ? `${prefix.key} ${key}` : undefined;
  prefix = undefined;
  for (const name of sequence ? [sequence, key] : [key]) {
    for (let index = layers.length - 1; index >= 0; index--) {
      const action = layers[index]?.current[name];
      if (!action) continue;
      event.preventDefault();
      action(event);
      return;
    }
  }
  if (key === "g") prefix = { key, atMs: performance.now() };
}

/** Keys that hold while the calling component is on the page. */
export function useKeys(map: KeyMap): void {
  const layer = useRef(map);
  layer.current = map;
  useEffect(() => {
    if (!layers.length) window.addEventListener("keydown", onKeyDown);
    layers.push(layer);
    return () => {
      layers.splice(layers.indexOf(layer), 1);
      if (!layers.length) window.removeEventListener("keydown", onKeyDown);
    };
  }, []);
}
