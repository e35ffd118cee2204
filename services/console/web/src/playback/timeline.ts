/** What a camera's recording covers, as plain numbers: Unix milliseconds. No clock, no network. */
import type { FootageGap, FootageSegment } from "../generated/rtcc/video/v1/footage_pb";
import { milliseconds } from "../contract/time";

export interface Stretch {
  id: string;
  initId: string;
  fromMs: number;
  untilMs: number;
  withKey: boolean;
  pictures: number;
  /** Told to those alone who may hear it. */
  sound: boolean;
}

export interface Hole {
  fromMs: number;
  untilMs: number;
  kind: string;
  reason: string;
}

export const stretchesOf = (segments: readonly FootageSegment[]): Stretch[] =>
  segments.map((one) => ({ id: one.segmentId, initId: one.initId, fromMs: milliseconds(one.startedAt), untilMs: milliseconds(one.endedAt), withKey: one.startsWithKey, pictures: one.pictures, sound: one.soundBytes > 0 }));

/** Moments without a length (the clock was set) are no holes. */
export const holesOf = (gaps: readonly FootageGap[]): Hole[] =>
  gaps.map((one) => ({ fromMs: milliseconds(one.startedAt), untilMs: milliseconds(one.endedAt), kind: one.kind, reason: one.reason })).filter((one) => one.untilMs > one.fromMs);

/** The index of the stretch that shows the moment, or -1. `stretches` are in order. */
export function at(stretches: readonly Stretch[], ms: number): number {
  let low = 0;
  let high = stretches.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const one = stretches[middle] as Stretch;
    if (ms < one.fromMs) high = middle - 1;
    else if (ms >= one.untilMs) low = middle + 1;
    else return middle;
  }
  return -1;
}

/** What must be loaded to show from `ms` on for `aheadMs`: back to a stretch that begins with a key picture. */
export function needed(stretches: readonly Stretch[], ms: number, aheadMs: number): Stretch[] {
  let first = stretches.findIndex((one) => one.untilMs > ms);
  if (first < 0) return [];
  while (first > 0 && !(stretches[first] as Stretch).withKey) first -= 1;
  return stretches.slice(first).filter((one) => one.fromMs < ms + aheadMs);
}

const ASSUMED_PICTURE_MS = 40;

/** The middle of the picture that lies so many pictures on (or back) from the one that is shown; over a hole to the next one that there is. */
export function stepped(stretches: readonly Stretch[], ms: number, pictures: number): number {
  let index = at(stretches, ms);
  if (index < 0) {
    // In a hole: the first picture behind it, or the last before it.
    const behind = stretches.findIndex((one) => one.fromMs > ms);
    const to = pictures > 0 ? behind : (behind < 0 ? stretches.length : behind) - 1;
    const one = stretches[to];
    return one ? (pictures > 0 ? one.fromMs + lengthOf(one) / 2 : one.untilMs - lengthOf(one) / 2) : ms;
  }
  let one = stretches[index] as Stretch;
  // A hair more, so that the beginning of a picture isn't taken for the end of the one before.
  let number = Math.floor((ms - one.fromMs) / lengthOf(one) + 0.001) + pictures;
  for (;;) {
    const count = Math.max(1, one.pictures);
    const next = stretches[number < 0 ? index - 1 : number >= count ? index + 1 : index];
    if (!next) return number < 0 ? one.fromMs + lengthOf(one) / 2 : one.untilMs - lengthOf(one) / 2;
    if (next === one) return one.fromMs + (number + 0.5) * lengthOf(one);
    if (number < 0) {
      index -= 1;
      number += Math.max(1, next.pictures);
    } else {
      index += 1;
      number -= count;
    }
    one = next;
  }
}

const lengthOf = (one: Stretch): number => (one.pictures > 0 ? (one.untilMs - one.fromMs) / one.pictures : ASSUMED_PICTURE_MS);

/** Moments at even distances; where nothing is recorded, none. */
export function moments(stretches: readonly Stretch[], fromMs: number, untilMs: number, count: number): { ms: number; recorded: boolean }[] {
  return Array.from({ length: count }, (_, number) => {
    const ms = fromMs + ((number + 0.5) * (untilMs - fromMs)) / count;
    // The picture that stands for a part of the time may lie anywhere in it.
    const half = (untilMs - fromMs) / count / 2;
    const near = at(stretches, ms) >= 0 ? undefined : stretches.find((one) => one.untilMs > ms - half && one.fromMs < ms + half);
    return { ms: near ? Math.max(near.fromMs, ms - half) : ms, recorded: near !== undefined || at(stretches, ms) >= 0 };
  });
}

/** How far to load ahead: 12 s of the recording, or 4 s of watching. */
export const aheadMs = (speed: number): number => Math.max(12_000, 4_000 * speed);

/** Where playing goes on when no camera shows the moment: the next picture of any, or undefined at the end. */
export function nextPicture(cameras: readonly (readonly Stretch[])[], ms: number): number | undefined {
  const starts = cameras.flatMap((stretches) => stretches.filter((one) => one.fromMs > ms).slice(0, 1).map((one) => one.fromMs));
  return starts.length ? Math.min(...starts) : undefined;
}

/** Neighbours drawn as one bar, so that a day isn't twenty thousand of them. */
export function bars(stretches: readonly Stretch[], joinMs: number): { fromMs: number; untilMs: number }[] {
  const found: { fromMs: number; untilMs: number }[] = [];
  for (const one of stretches) {
    const last = found.at(-1);
    if (last && one.fromMs - last.untilMs <= joinMs) last.untilMs = Math.max(last.untilMs, one.untilMs);
    else found.push({ fromMs: one.fromMs, untilMs: one.untilMs });
  }
  return found;
}

/** How a video follows the common clock: jump when far off, else run a little faster or slower. */
export function correction(offMs: number, speed: number): { seek: boolean; rate: number } {
  if (Math.abs(offMs) > 400 * Math.max(1, speed)) return { seek: true, rate: speed };
  if (Math.abs(offMs) < 25) return { seek: false, rate: speed };
  return { seek: false, rate: speed * (offMs > 0 ? 0.92 : 1.08) };
}
