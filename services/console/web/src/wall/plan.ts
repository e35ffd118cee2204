/** What stands where on a wall. Pure: cells are counted from 0 by row, a slot is a square of cells. */
import type { QueueItem } from "../alerts/queue";
import { isOpen } from "../alerts/queue";
import { milliseconds } from "../contract/time";

export const TILES = [1, 4, 9, 16] as const;

export interface Content {
  /** Empty when it follows the alerts. */
  cameraId: string;
  followAlerts: boolean;
}
export interface Slot extends Content {
  cell: number;
  span: number;
}
export interface Plan {
  tiles: number;
  slots: readonly Slot[];
}

export const sideOf = ({ tiles }: Pick<Plan, "tiles">): number => Math.round(Math.sqrt(tiles));

export function cellsOf({ cell, span }: Pick<Slot, "cell" | "span">, side: number): number[] {
  const found: number[] = [];
  for (let down = 0; down < span; down++) for (let right = 0; right < span; right++) found.push(cell + down * side + right);
  return found;
}

export function slotAt(plan: Plan, cell: number): Slot | undefined {
  return plan.slots.find((slot) => cellsOf(slot, sideOf(plan)).includes(cell));
}

/** Slots and the empty cells between them, in reading order. */
export function places(plan: Plan): (Slot | { cell: number; span: 1; cameraId: ""; followAlerts: false })[] {
  const taken = new Set(plan.slots.flatMap((slot) => cellsOf(slot, sideOf(plan))));
  const empty = Array.from({ length: plan.tiles }, (_, cell) => cell).filter((cell) => !taken.has(cell));
  return [...plan.slots, ...empty.map((cell) => ({ cell, span: 1 as const, cameraId: "" as const, followAlerts: false as const }))].sort((one, other) => one.cell - other.cell);
}

/** The content in the slot that covers the cell, or in a new one. A camera stands on a wall once: it leaves where it was. */
export function put(plan: Plan, cell: number, content: Content): Plan {
  const standing = slotAt(plan, cell);
  const others = plan.slots.filter((slot) => slot !== standing && !(content.cameraId && slot.cameraId === content.cameraId));
  return { ...plan, slots: [...others, { cell: standing?.cell ?? cell, span: standing?.span ?? 1, cameraId: content.cameraId, followAlerts: content.followAlerts }] };
}

export function clear(plan: Plan, cell: number): Plan {
  const standing = slotAt(plan, cell);
  return standing ? { ...plan, slots: plan.slots.filter((slot) => slot !== standing) } : plan;
}

/** The two change places; spans stay where they are. */
export function swap(plan: Plan, from: number, to: number): Plan {
  const [one, other] = [slotAt(plan, from), slotAt(plan, to)];
  if (!one || one === other) return plan;
  const rest = plan.slots.filter((slot) => slot !== one && slot !== other);
  const moved = { ...one, cell: other?.cell ?? to, span: other?.span ?? 1 };
  return { ...plan, slots: [...rest, moved, ...(other ? [{ ...other, cell: one.cell, span: one.span }] : [])] };
}

/** As many cells wide and high, moved so far that it stays on the wall; what it then covers leaves. */
export function resize(plan: Plan, cell: number, span: number): Plan {
  const side = sideOf(plan);
  const standing = slotAt(plan, cell);
  if (!standing || span < 1 || span > side) return plan;
  const row = Math.min(Math.floor(standing.cell / side), side - span);
  const column = Math.min(standing.cell % side, side - span);
  const grown = { ...standing, cell: row * side + column, span };
  const covered = new Set(cellsOf(grown, side));
  const kept = plan.slots.filter((slot) => slot !== standing && !cellsOf(slot, side).some((one) => covered.has(one)));
  return { ...plan, slots: [...kept, grown] };
}

/** The same cameras, in their order, on as many tiles; the last ones leave when there are fewer. */
export function withTiles(plan: Plan, tiles: number): Plan {
  const order = [...plan.slots].sort((one, other) => one.cell - other.cell).slice(0, tiles);
  return { tiles, slots: order.map((slot, cell) => ({ ...slot, cell, span: 1 })) };
}

/** Into the free cells by order; once none is left, into the cell `instead`. Those that stand on the wall stay where they are. */
export function fill(plan: Plan, cameraIds: readonly string[], instead: number): Plan {
  return cameraIds.reduce((before, cameraId) => {
    if (before.slots.some((slot) => slot.cameraId === cameraId)) return before;
    const free = places(before).find((place) => !place.cameraId && !place.followAlerts);
    return put(before, free?.cell ?? instead, { cameraId, followAlerts: false });
  }, plan);
}

export interface Followed {
  cameraId: string;
  alertId: string;
  title: string;
}

/** What the slots that follow show: the first of them the best camera of the newest open alert, the next that of the alert before. */
export function followed(plan: Plan, alerts: Iterable<QueueItem>): Map<number, Followed> {
  const newest = [...alerts]
    .filter((item) => isOpen(item) && item.alert.context?.cameras.length)
    .sort((one, other) => milliseconds(other.alert.raisedAt) - milliseconds(one.alert.raisedAt) || (one.id < other.id ? -1 : 1));
  const found = new Map<number, Followed>();
  // Two alerts of one place have one best camera: it is shown once.
  const shown = new Set(plan.slots.flatMap((slot) => slot.cameraId || []));
  const slots = plan.slots.filter((slot) => slot.followAlerts).sort((one, other) => one.cell - other.cell);
  for (const item of newest) {
    const slot = slots[found.size];
    if (!slot) break;
    const camera = item.alert.context?.cameras.find(({ cameraId }) => !shown.has(cameraId));
    if (!camera) continue;
    shown.add(camera.cameraId);
    found.set(slot.cell, { cameraId: camera.cameraId, alertId: item.id, title: item.alert.title });
  }
  return found;
}

/** The place that an arrow key leads to from the one that covers `cell`. */
export function beside(plan: Plan, cell: number, key: "ArrowLeft" | "ArrowRight" | "ArrowUp" | "ArrowDown"): number {
  const side = sideOf(plan);
  const here = slotAt(plan, cell) ?? { cell, span: 1 };
  const [row, column] = [Math.floor(here.cell / side), here.cell % side];
  const [toRow, toColumn] = { ArrowLeft: [row, column - 1], ArrowRight: [row, column + here.span], ArrowUp: [row - 1, column], ArrowDown: [row + here.span, column] }[key] as [number, number];
  if (toRow < 0 || toColumn < 0 || toRow >= side || toColumn >= side) return here.cell;
  const to = toRow * side + toColumn;
  return slotAt(plan, to)?.cell ?? to;
}

/** Counted from 1 in reading order, as people say it. */
export const tileNumber = (plan: Plan, cell: number): number => places(plan).findIndex((place) => place.cell === (slotAt(plan, cell)?.cell ?? cell)) + 1;

export function samePlan(one: Plan, other: Plan): boolean {
  const text = ({ tiles, slots }: Plan) => JSON.stringify([tiles, [...slots].sort((a, b) => a.cell - b.cell).map((slot) => [slot.cell, slot.span, slot.cameraId, slot.followAlerts])]);
  return text(one) === text(other);
}
