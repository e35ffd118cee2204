/** Motion as plain numbers: what the strip draws and where the keys jump. Unix milliseconds; no network. */

/** A byte of the strip that says that the whole picture changed. */
const SCENE_CHANGE = 255;

export interface Stretch {
  fromMs: number;
  untilMs: number;
  sceneChange: boolean;
}

/** The outline of a strip as an SVG path in a box as wide as there are steps and 100 high. What isn't known is left out. */
export function outline(scores: Uint8Array): string {
  const parts: string[] = [];
  let open = false;
  scores.forEach((value, at) => {
    if (value === 0) {
      if (open) parts.push(`V100Z`);
      open = false;
      return;
    }
    const top = 100 - Math.round((Math.min(value, SCENE_CHANGE - 1) / (SCENE_CHANGE - 1)) * 92 + 4);
    parts.push(open ? `V${top}H${at + 1}` : `M${at} 100V${top}H${at + 1}`);
    open = true;
  });
  if (open) parts.push("V100Z");
  return parts.join("");
}

/** The begin of the next stretch after a moment, or of the one before it: whichever camera it is of. */
export function jump(stretches: readonly Stretch[], ms: number, forward: boolean): number | undefined {
  const begins = stretches.map((one) => one.fromMs).filter((begin) => (forward ? begin > ms + 500 : begin < ms - 1500));
  if (!begins.length) return undefined;
  return forward ? Math.min(...begins) : Math.max(...begins);
}
