import { expect, test } from "vitest";
import { at, bars, correction, needed, nextPicture, type Stretch } from "./timeline";

const stretch = (id: string, fromMs: number, untilMs: number, withKey = true): Stretch => ({ id, initId: "i", fromMs, untilMs, withKey });
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
