/** Cameras in an order, each with its own time, as an address carries them. Pure. */

export interface Passing {
  cameraId: string;
  fromMs: number;
  untilMs: number;
  /** When the way led past it, where that is known. */
  atMs?: number | undefined;
}

export const MOST_PASSINGS = 40;
const LONGEST_MS = 24 * 3_600_000;

/** "camera~from~length[~at],…": seconds since 1970 in base 36, lengths in seconds. */
export const orderText = (order: readonly Passing[]): string =>
  order
    .slice(0, MOST_PASSINGS)
    .map(({ cameraId, fromMs, untilMs, atMs }) => [encodeURIComponent(cameraId).replaceAll("~", "%7E"), Math.floor(fromMs / 1000).toString(36), Math.max(1, Math.ceil((untilMs - Math.floor(fromMs / 1000) * 1000) / 1000)).toString(36), ...(atMs === undefined ? [] : [Math.round(atMs / 1000).toString(36)])].join("~"))
    .join(",");

/** What isn't understood is left out. */
export function orderOf(text: string): Passing[] {
  return text
    .split(",", MOST_PASSINGS)
    .map((part) => part.split("~"))
    .flatMap(([cameraId, from, length, at]): Passing[] => {
      const [fromMs, lengthMs] = [Number.parseInt(from ?? "", 36) * 1000, Number.parseInt(length ?? "", 36) * 1000];
      const atMs = at === undefined ? undefined : Number.parseInt(at, 36) * 1000;
      const valid = cameraId && fromMs > 0 && lengthMs > 0 && lengthMs <= LONGEST_MS && !Number.isNaN(fromMs + lengthMs) && (atMs === undefined || (atMs >= fromMs && atMs <= fromMs + lengthMs));
      return valid ? [{ cameraId: decoded(cameraId), fromMs, untilMs: fromMs + lengthMs, ...(atMs === undefined ? {} : { atMs }) }] : [];
    });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
