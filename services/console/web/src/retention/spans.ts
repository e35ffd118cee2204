/** How long something is kept, as people say it; seconds on the wire (180 to 315,576,000). Pure. */
export const UNITS = [
  ["minutes", 60],
  ["hours", 3_600],
  ["days", 86_400],
  ["years", 31_557_600],
] as const;
export type Unit = (typeof UNITS)[number][0];

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
