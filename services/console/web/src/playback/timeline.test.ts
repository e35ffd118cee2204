import { expect, test } from "vitest";
import { aheadMs, at, bars, correction, moments, needed, nextPicture, stepped, type Stretch } from "./timeline";

const stretch = (id: string, fromMs: number, untilMs: number, withKey = true): Stretch => ({ id, initId: "i", fromMs, untilMs, withKey, pictures: (untilMs - fromMs) / 100, sound: false });
const recorded = [stretch("a", 0, 4000), stretch("b", 4000, 8000), stretch("c", 8000, 12000, false), stretch("d", 20000, 24000)];

test("a moment is found in its stretch and in no hole", () => {
  expect([at(recorded, 0), at(recorded, 3999), at(recorded, 4000), at(recorded, 12000), at(recorded, 21000), at(recorded, 24000)]).toEqual([0, 0, 1, -1, 3, -1]);
  expect(at([], 5)).toBe(-1);
});

test("loading begins with a key picture and stops ahead of the moment", () => {
  expect(needed(recorded, 9000, 5000).map(({ id }) => id)).toEqual(["b", "c"]);
  expect(needed(recorded, 1000, 2000).map(({ id }) => id)).toEqual(["a"]);
  expect(needed(recorded, 13000, 8000).map(({ id }) => id)).toEqual(["d"]);
  expect(needed(recorded, 30000, 8000)).toEqual([]);
});

test("playing goes on at the next picture of any camera", () => {
  expect(nextPicture([recorded, [stretch("x", 15000, 16000)]], 12500)).toBe(15000);
  expect(nextPicture([recorded], 24000)).toBeUndefined();
});

test("neighbours are one bar, a hole parts them", () => {
  expect(bars(recorded, 500)).toEqual([{ fromMs: 0, untilMs: 12000 }, { fromMs: 20000, untilMs: 24000 }]);
});

test("a video that is far off jumps, one that is near runs faster or slower, and one in step is left alone", () => {
  expect(correction(900, 1)).toEqual({ seek: true, rate: 1 });
  expect(correction(900, 4)).toEqual({ seek: false, rate: 4 * 0.92 });
  expect(correction(-60, 1).rate).toBeGreaterThan(1);
  expect(correction(10, 2)).toEqual({ seek: false, rate: 2 });
});

test("a step is one picture of the camera, on and back, over stretches and holes, and stops at the ends", () => {
  expect(stepped(recorded, 0, 1)).toBe(150);
  expect(stepped(recorded, 150, 1)).toBe(250);
  expect(stepped(recorded, 150, -1)).toBe(50);
  expect(stepped(recorded, 3999, 1)).toBe(4050);
  expect(stepped(recorded, 4050, -1)).toBe(3950);
  expect(stepped(recorded, 11_950, 1)).toBe(20_050);
  expect(stepped(recorded, 20_050, -1)).toBe(11_950);
  expect(stepped(recorded, 15_000, 1)).toBe(20_050);
  expect(stepped(recorded, 15_000, -1)).toBe(11_950);
  expect(stepped(recorded, 23_950, 1)).toBe(23_950);
  expect(stepped(recorded, 50, -1)).toBe(50);
  expect(stepped(recorded, 50, 100)).toBe(10_050);
  expect(stepped([], 50, 1)).toBe(50);
});

test("stepping on from the start meets every picture once", () => {
  let ms = recorded[0]?.fromMs ?? 0;
  const seen = [50];
  for (let count = 0; count < 500; count++) {
    const next = stepped(recorded, ms, 1);
    if (next === ms) break;
    seen.push((ms = next));
  }
  expect(seen.length).toBe(recorded.reduce((sum, one) => sum + one.pictures, 0));
  expect(new Set(seen).size).toBe(seen.length);
});

test("stills stand for their part of the time, and none stands where nothing is recorded", () => {
  expect(moments(recorded, 0, 24_000, 3)).toEqual([{ ms: 4000, recorded: true }, { ms: 8000, recorded: true }, { ms: 20_000, recorded: true }]);
  // one that ends in the part before its middle: no moment of another part
  expect(moments([stretch("long", 0, 5000)], 0, 12_000, 3)).toEqual([{ ms: 2000, recorded: true }, { ms: 4000, recorded: true }, { ms: 10_000, recorded: false }]);
  expect(moments(recorded, 12_500, 19_000, 1)).toEqual([{ ms: 15_750, recorded: false }]);
});

test("faster playing loads further ahead", () => {
  expect([aheadMs(0.25), aheadMs(1), aheadMs(16)]).toEqual([12_000, 12_000, 64_000]);
});
