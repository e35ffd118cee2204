import { expect, test } from "vitest";
import { jump, outline, type Stretch } from "./motion";

const stretch = (fromMs: number, untilMs: number): Stretch => ({ fromMs, untilMs, sceneChange: false });

test("the outline leaves out what isn't known and never leaves its box", () => {
  expect(outline(Uint8Array.of(0, 0))).toBe("");
  expect(outline(Uint8Array.of(1, 254, 0, 255))).toBe("M0 100V96H1V4H2V100ZM3 100V4H4V100Z");
});

test("jumping goes to the next begin, and back beyond the one that is shown", () => {
  const all = [stretch(10_000, 14_000), stretch(30_000, 31_000), stretch(50_000, 52_000)];
  expect(jump(all, 0, true)).toBe(10_000);
  expect(jump(all, 10_000, true)).toBe(30_000);
  expect(jump(all, 30_200, false)).toBe(10_000);
  expect(jump(all, 40_000, false)).toBe(30_000);
  expect(jump(all, 60_000, true)).toBeUndefined();
  expect(jump([], 5, false)).toBeUndefined();
});
