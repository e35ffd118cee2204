import { expect, test } from "vitest";
import { alongLine } from "../map/geometry";
import { camerasAlong, nextFrom } from "./order";

// East along 60.17 N, then north; a degree of longitude is about 55,370 m there.
const line = [
  { longitude: 24.94, latitude: 60.17 },
  { longitude: 24.95, latitude: 60.17 },
  { longitude: 24.95, latitude: 60.18 },
];

test("distance and way along a bent line are metres", () => {
  const corner = alongLine({ longitude: 24.95, latitude: 60.175 }, line);
  expect(corner.distanceM).toBeLessThan(0.01);
  expect(corner.alongM).toBeGreaterThan(1_105);
  expect(corner.alongM).toBeLessThan(1_115);
  expect(alongLine({ longitude: 24.945, latitude: 60.1709 }, line).distanceM).toBeCloseTo(100.2, 0);
});

test("cameras come in the order of the way, the far ones stay out", () => {
  const cameras = [
    { cameraId: "north", longitude: 24.9502, latitude: 60.178 },
    { cameraId: "start", longitude: 24.9403, latitude: 60.1702 },
    { cameraId: "far", longitude: 24.97, latitude: 60.17 },
    { cameraId: "middle", longitude: 24.946, latitude: 60.1698 },
  ];
  expect(camerasAlong(cameras, line, 120).map(({ cameraId }) => cameraId)).toEqual(["start", "middle", "north"]);
  expect(camerasAlong(cameras, line.slice(0, 1), 120)).toEqual([]);
});

test("who has come so far reaches the next camera", () => {
  const cameras = [100, 400, 900].map((alongM, index) => ({ cameraId: String(index), alongM, distanceM: 0 }));
  expect(nextFrom(cameras, 0)).toBe(0);
  expect(nextFrom(cameras, 401)).toBe(2);
  expect(nextFrom(cameras, 2_000)).toBe(2);
  expect(nextFrom([], 5)).toBe(0);
});
