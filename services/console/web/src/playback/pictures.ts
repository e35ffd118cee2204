/** When each picture of a recorded segment stands, read from the segment: cameras leave pictures out, and change their rate. */

const PER_MS = 90;
const HEADER_BYTES = 8;

/** The body of the first box of that name, or undefined. Sizes beyond the data end the search. */
function box(data: DataView, name: string): DataView | undefined {
  for (let begins = 0; begins + HEADER_BYTES <= data.byteLength; ) {
    const size = data.getUint32(begins);
    if (size < HEADER_BYTES || begins + size > data.byteLength) return undefined;
    const found = String.fromCharCode(...[4, 5, 6, 7].map((byte) => data.getUint8(begins + byte)));
    if (found === name) return new DataView(data.buffer, data.byteOffset + begins + HEADER_BYTES, size - HEADER_BYTES);
    begins += size;
  }
  return undefined;
}

/**
 * When each picture begins, and the end of the last one, Unix milliseconds. `segment`: a media segment as the server writes it
 * (ISO/IEC 14496-12: one `traf`, a 64-bit `tfdt` in 90 kHz, a `trun` with duration, size and flags of each sample). Empty for another one.
 */
export function pictureTimes(segment: ArrayBuffer): number[] {
  const track = ["moof", "traf"].reduce<DataView | undefined>((inside, name) => inside && box(inside, name), new DataView(segment));
  const [time, run] = [track && box(track, "tfdt"), track && box(track, "trun")];
  if (time?.byteLength !== 12 || !run || run.byteLength < 12 || run.getUint32(0) !== 0x000701) return [];
  const count = run.getUint32(4);
  if (run.byteLength !== 12 + count * 12) return [];
  let ticks = Number(time.getBigUint64(4));
  const times = [ticks / PER_MS];
  for (let number = 0; number < count; number++) times.push((ticks += run.getUint32(12 + number * 12)) / PER_MS);
  return times;
}

/** The middle of the picture that lies so many on (or back) from the one at `ms`; undefined beyond what is given. `near`: as `pictureTimes` gives them, in order. */
export function besides(near: readonly (readonly number[])[], ms: number, pictures: number): number | undefined {
  const all = near.flatMap((times) => times.slice(1).map((ends, index) => [times[index] as number, ends] as const));
  const now = all.findIndex(([begins, ends]) => ms >= begins && ms < ends);
  const found = now < 0 ? undefined : all[now + pictures];
  return found && (found[0] + found[1]) / 2;
}
