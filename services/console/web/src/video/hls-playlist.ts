/** What the console's player reads of a low-latency playlist (RFC 8216bis): its parts, in order. */

export interface ListedPart {
  number: number;
  /** Of the initialisation segment that it needs, as in addresses. */
  init: string;
  /** It begins with a key picture: a player can begin there. */
  independent: boolean;
}

const PART = /^#EXT-X-PART:.*URI="media\/p(\d+)-[0-9a-f]+"/;
const MAP = /^#EXT-X-MAP:URI="media\/(i[0-9a-f]+)"/;

export function listedParts(playlist: string): ListedPart[] {
  const parts: ListedPart[] = [];
  let init = "";
  for (const line of playlist.split("\n")) {
    init = MAP.exec(line)?.[1] ?? init;
    const number = PART.exec(line)?.[1];
    if (number && init) parts.push({ number: Number(number), init, independent: line.includes("INDEPENDENT=YES") });
  }
  return parts;
}

/** Where to go on: with the part that was next, else with the newest one at which a player can begin. */
export function entrance(parts: readonly ListedPart[], next: number): ListedPart | undefined {
  return parts.find((part) => part.number === next) ?? parts.findLast((part) => part.independent);
}

export const partAddress = (number: number, init: string): string => `p${number}-${init.slice(1)}`;

/** RFC 6381's name of the codec, from the avcC of an initialisation segment; "" where there is none. */
export function codecOf(init: Uint8Array): string {
  const at = find(init, "avcC");
  return at < 0 || at + 8 > init.length ? "" : `avc1.${[...init.subarray(at + 5, at + 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** When a part begins, in seconds of the packager's time line: its tfdt (ISO/IEC 14496-12, 8.8.12), version 1, 90 kHz. */
export function startOf(part: Uint8Array): number {
  const at = find(part, "tfdt");
  return at < 0 || at + 16 > part.length ? 0 : Number(new DataView(part.buffer, part.byteOffset + at + 8).getBigUint64(0)) / 90_000;
}

function find(data: Uint8Array, name: string): number {
  const letters = [...name].map((letter) => letter.charCodeAt(0));
  return data.findIndex((_, at) => letters.every((letter, offset) => data[at + offset] === letter));
}

/** How to come back to `targetS` behind the newest picture: a jump when it is far, else a little faster or slower. */
export function pace(behindS: number, targetS: number): { jump: boolean; rate: number } {
  if (behindS > targetS + 1.5) return { jump: true, rate: 1 };
  return { jump: false, rate: behindS > targetS + 0.25 ? 1.08 : behindS < 0.2 ? 0.85 : behindS < targetS - 0.25 ? 0.94 : 1 };
}
