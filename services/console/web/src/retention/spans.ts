/** How long something is kept, as people say it; seconds on the wire (180 to 315,576,000). Pure. */
export const UNITS = [
  ["minutes", 60],
  ["hours", 3_600],
  ["days", 86_400],
  // a twelfth of a year
  ["months", 2_629_800],
  ["years", 31_557_600],
] as const;
export type Unit = (typeof UNITS)[number][0];

const SHORTEST_S = 180;
const LONGEST_S = 315_576_000;

/** Why it can't be set; "" when it can. */
export function wrongSpan(seconds: number): string {
  if (Number.isFinite(seconds) && seconds >= SHORTEST_S && seconds <= LONGEST_S) return "";
  return `${spanWords(SHORTEST_S)} to ${spanWords(LONGEST_S)} can be set.`;
}

/** The largest unit that says it without a fraction. */
export function asSpan(seconds: number): { count: number; unit: Unit } {
  for (const [unit, length] of [...UNITS].reverse()) if (seconds >= length && seconds % length === 0) return { count: seconds / length, unit };
  return { count: Math.round(seconds / 60), unit: "minutes" };
}

export function inSeconds(count: number, unit: Unit): number {
  return Math.round(count * (UNITS.find(([name]) => name === unit)?.[1] ?? 60));
}

export function spanWords(seconds: number): string {
  const { count, unit } = asSpan(seconds);
  return `${count} ${count === 1 ? unit.slice(0, -1) : unit}`;
}
