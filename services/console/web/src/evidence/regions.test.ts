import { expect, test } from "vitest";
import { between, fitted, placed, rectangleAt, type Region } from "./regions";

const region: Region = {
  fromMs: 0,
  untilMs: 100,
  boxes: [
    { atMs: 20, left: 0, top: 0, width: 0.2, height: 0.2 },
    { atMs: 60, left: 0.4, top: 0.8, width: 0.2, height: 0.1 },
  ],
};

test("a region moves in straight lines and stands still at its ends", () => {
  expect(rectangleAt(region, 0)).toEqual({ left: 0, top: 0, width: 0.2, height: 0.2 });
  const middle = rectangleAt(region, 40);
  expect(middle?.left).toBeCloseTo(0.2);
  expect(middle?.top).toBeCloseTo(0.4);
  expect(middle?.height).toBeCloseTo(0.15);
  expect(rectangleAt(region, 100)?.left).toBeCloseTo(0.4);
  expect(rectangleAt(region, 101)).toBeUndefined();
});

test("a box at a moment replaces the one that is there, and boxes stay in the order of time", () => {
  const moved = placed(placed(region, 40, { left: 0.9, top: 0, width: 0.3, height: 0.3 }), 20, { left: 0.1, top: 0.1, width: 0.2, height: 0.2 });
  expect(moved.boxes.map(({ atMs }) => atMs)).toEqual([20, 40, 60]);
  expect(moved.boxes[0]?.left).toBe(0.1);
  expect(moved.boxes[1]?.left).toBeCloseTo(0.7);
});

test("a rectangle stays inside the picture and never vanishes", () => {
  const drawn = fitted(between([0.5, 0.5], [0.5, 1.4]));
  expect(drawn.width).toBeGreaterThan(0);
  expect(drawn.top + drawn.height).toBeLessThanOrEqual(1);
});
