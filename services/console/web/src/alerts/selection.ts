/** What the person at the desk has chosen in the queue. */
import { create } from "zustand";
import { tellWindows } from "../shell/windows";
import { everything, type QueueFilter } from "./queue";

/** Rows stand still for this long after the person last touched the list. */
export const HOLD_MS = 6_000;

interface Selection {
  selectedId: string | undefined;
  chosenByPerson: boolean;
  /** performance.now() of the last move that the person did not make in this window; 0 after one that they did. */
  movedAtMs: number;
  openId: string | undefined;
  marked: ReadonlySet<string>;
  /** The order that stands while the person works the list. */
  held: readonly string[] | undefined;
  filter: QueueFilter;
  filterOpen: boolean;
}

export const useSelection = create<Selection>()(() => ({
  selectedId: undefined,
  chosenByPerson: false,
  movedAtMs: 0,
  openId: undefined,
  marked: new Set(),
  held: undefined,
  filter: everything,
  filterOpen: false,
}));

let holdTimer: ReturnType<typeof setTimeout> | undefined;
let pointerInside = false;

/** The person works the list: `order` stands until they leave it alone. */
export function hold(order: readonly string[]): void {
  if (!useSelection.getState().held) useSelection.setState({ held: order });
  clearTimeout(holdTimer);
  holdTimer = setTimeout(() => {
    if (!pointerInside) letGo();
  }, HOLD_MS);
}

export function letGo(): void {
  clearTimeout(holdTimer);
  useSelection.setState({ held: undefined });
}

export function pointerIn(inside: boolean, order: readonly string[]): void {
  pointerInside = inside;
  if (inside || useSelection.getState().held) hold(order);
}

export function choose(id: string | undefined): void {
  useSelection.setState({ selectedId: id, chosenByPerson: id !== undefined, movedAtMs: 0 });
  if (id !== undefined) tellWindows({ kind: "alert", alertId: id, open: false });
}

/** Chosen in another window of this desk: it stands as the person's choice, but keys wait until the row has settled here too. */
export function chooseFromWindow(id: string | undefined, open: boolean): void {
  useSelection.setState({ selectedId: id, chosenByPerson: id !== undefined, movedAtMs: performance.now(), ...(open || id === undefined ? { openId: id } : {}) });
}

/** The program moves the selection: keys must wait until the row has settled. */
export function moveByItself(id: string | undefined): void {
  if (useSelection.getState().selectedId === id) return;
  useSelection.setState({ selectedId: id, chosenByPerson: false, movedAtMs: performance.now() });
}

export function openAlert(id: string | undefined): void {
  if (useSelection.getState().openId === id) return;
  useSelection.setState({ openId: id });
  tellWindows({ kind: "alert", alertId: id, open: true });
}
