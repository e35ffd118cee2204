/** Regions of a redaction, as plain numbers: times in Unix milliseconds, rectangles in parts of the picture. Moves as the server moves them. */

export interface Rectangle {
  left: number;
  top: number;
  width: number;
  height: number;
}

export interface Box extends Rectangle {
  atMs: number;
}

export interface Region {
  fromMs: number;
  untilMs: number;
  /** At rising times, at least one. */
  boxes: readonly Box[];
}

const SMALLEST = 0.01;

/** Where a region is at a moment: in straight lines between its boxes; undefined outside of its time. */
export function rectangleAt(region: Region, ms: number): Rectangle | undefined {
  if (ms < region.fromMs || ms > region.untilMs) return undefined;
  const behind = region.boxes.findIndex((box) => box.atMs > ms);
  const last = region.boxes[behind < 0 ? region.boxes.length - 1 : behind] as Box;
  const first = region.boxes[behind < 0 ? region.boxes.length - 1 : Math.max(0, behind - 1)] as Box;
  const part = last.atMs <= first.atMs ? 0 : Math.max(0, (ms - first.atMs) / (last.atMs - first.atMs));
  const between = (name: keyof Rectangle) => first[name] + (last[name] - first[name]) * part;
  return { left: between("left"), top: between("top"), width: between("width"), height: between("height") };
}

/** Inside the picture, and large enough to be seen. */
export function fitted(asked: Rectangle): Rectangle {
  const width = Math.min(1, Math.max(SMALLEST, asked.width));
  const height = Math.min(1, Math.max(SMALLEST, asked.height));
  return { left: Math.min(1 - width, Math.max(0, asked.left)), top: Math.min(1 - height, Math.max(0, asked.top)), width, height };
}

/** The region with a box at that moment: a new one, or another place for the one that is there. */
export function placed(region: Region, ms: number, rectangle: Rectangle): Region {
  const boxes = [...region.boxes.filter((box) => Math.abs(box.atMs - ms) >= 1), { atMs: ms, ...fitted(rectangle) }].sort((a, b) => a.atMs - b.atMs);
  return { ...region, boxes };
}

/** The rectangle between two corners. */
export const between = (a: readonly [number, number], b: readonly [number, number]): Rectangle => ({
  left: Math.min(a[0], b[0]),
  top: Math.min(a[1], b[1]),
  width: Math.abs(a[0] - b[0]),
  height: Math.abs(a[1] - b[1]),
});
