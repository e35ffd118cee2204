import { expect, test } from "vitest";
import { besides, pictureTimes } from "./pictures";

const text = (name: string) => [...name].map((letter) => letter.charCodeAt(0));
const word = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
const box = (name: string, body: number[]) => [...word(body.length + 8), ...text(name), ...body];

function segment(startTicks: number, durations: number[], flags = 0x000701): ArrayBuffer {
  const time = box("tfdt", [...word(0x01000000), ...word(Math.floor(startTicks / 2 ** 32)), ...word(startTicks % 2 ** 32)]);
  const run = box("trun", [...word(flags), ...word(durations.length), ...word(0), ...durations.flatMap((ticks) => [...word(ticks), ...word(5), ...word(0)])]);
  const moof = box("moof", [...box("mfhd", word(0)), ...box("traf", [...box("tfhd", word(0)), ...time, ...run])]);
  return new Uint8Array([...box("styp", text("msdh")), ...moof, ...box("mdat", [1, 2, 3])]).buffer;
}

const NOON_MS = 1_795_000_000_000;

test("pictures stand as long as the segment says, whatever their rate", () => {
  expect(pictureTimes(segment(NOON_MS * 90, [3600, 900, 7200]))).toEqual([NOON_MS, NOON_MS + 40, NOON_MS + 50, NOON_MS + 130]);
});

test("what is no segment of ours has no times, cut off anywhere", () => {
  const whole = segment(NOON_MS * 90, [3600, 3600]);
  const moofEnds = whole.byteLength - 11;
  for (let length = 0; length < moofEnds; length++) expect(pictureTimes(whole.slice(0, length))).toEqual([]);
  expect(pictureTimes(segment(0, [1], 0x000301))).toEqual([]);
  expect(pictureTimes(new Uint8Array(64).fill(255).buffer)).toEqual([]);
});

test("a step leads to the middle of the picture beside, over the edge of a segment, and nowhere beyond what is loaded", () => {
  const near = [[0, 40, 45], [45, 85, 205]];
  expect([besides(near, 39.9, 1), besides(near, 40, 1), besides(near, 100, -1), besides(near, 45, -1), besides(near, 10, 0)]).toEqual([42.5, 65, 65, 42.5, 20]);
  expect([besides(near, 10, -1), besides(near, 100, 1), besides(near, 300, 1), besides([], 0, 1)]).toEqual([undefined, undefined, undefined, undefined]);
});
