import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";

export const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", year: "numeric" });

/** Milliseconds since the epoch; 0 when unset. */
export function milliseconds(time: Timestamp | undefined): number {
  return time ? timestampMs(time) : 0;
}

export function clockTime(time: Timestamp | undefined): string {
  return time ? clock.format(timestampMs(time)) : "–";
}

export function dayAndTime(time: Timestamp | undefined): string {
  if (!time) return "–";
  const ms = timestampMs(time);
  return `${day.format(ms)} ${clock.format(ms)}`;
}

/** "12 s", "4 min", "3 h", "2 d". */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 129600) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

export function age(time: Timestamp | undefined, nowMs: number): string {
  return time ? span((nowMs - timestampMs(time)) / 1000) : "–";
}

/** From the value of an <input type="datetime-local">. */
export function fromLocalInput(value: string): Timestamp | undefined {
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : timestampFromMs(ms);
}
