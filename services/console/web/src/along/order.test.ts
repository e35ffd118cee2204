import { expect, test } from "vitest";
import { alongLine } from "../map/geometry";
import { camerasAlong, nextFrom, passes } from "./order";

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

test("a track passes cameras at the times in between, and one twice when it comes back", () => {
  // 10 m/s east for 100 s, back again for 100 s, a fix each 50 s
  const metre = 1 / 55_370;
  const track = [0, 500, 1_000, 500, 0].map((metres) => ({ longitude: 24.94 + metres * metre, latitude: 60.17 }));
  const times = [0, 50_000, 100_000, 150_000, 200_000];
  const cameras = [
    { cameraId: "early", longitude: 24.94 + 200 * metre, latitude: 60.1702 },
    { cameraId: "turn", longitude: 24.94 + 1_000 * metre, latitude: 60.1702 },
    { cameraId: "far", longitude: 24.94, latitude: 60.18 },
  ];
  const found = passes(cameras, track, times, 60);
  expect(found.map(({ cameraId }) => cameraId)).toEqual(["early", "turn", "early"]);
  expect(found.map(({ atMs }) => Math.round(atMs / 1000))).toEqual([20, 100, 180]);
  expect(passes(cameras, track.slice(0, 1), times, 60)).toEqual([]);
});

test("who stays before a camera is passed again every ten minutes", () => {
  const place = { longitude: 24.94, latitude: 60.17 };
  const track = Array.from({ length: 31 }, () => place);
  const times = track.map((_, minute) => minute * 60_000);
  expect(passes([{ cameraId: "c", ...place }], track, times, 60).map(({ atMs }) => atMs / 60_000)).toEqual([0, 11, 22]);
});
