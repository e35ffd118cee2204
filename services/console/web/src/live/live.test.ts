import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import { PositionsSchema } from "../generated/rtcc/live/v1/live_pb";
import { unionOf, unpackPositions } from "./columns";
import { latitudeOf, longitudeOf, mercatorX, mercatorY, UnitField } from "./units";

vi.stubGlobal("window", {});

test("packed columns come back as degrees, metres per second and times", () => {
  const columns = unpackPositions(
    create(PositionsSchema, { unitNumbers: [7, 9], latitudeDeltaE7: [601_700_000, -1000], longitudeDeltaE7: [249_400_000, 2000], headingDeg: [90, 360], speedCmps: [1250, 0], ageDs: [5, 0], flags: [0, 3] }),
    10_000,
  );
  expect([...columns.latitudes]).toEqual([60.17, 60.1699]);
  expect([...columns.longitudes].map((degrees) => degrees.toFixed(4))).toEqual(["24.9400", "24.9402"]);
  expect([...columns.speeds]).toEqual([12.5, 0]);
  expect([...columns.fixedAtMs]).toEqual([9_500, 10_000]);
  expect([...columns.flags]).toEqual([0, 3]);
});

test("ragged columns are cut to the shortest instead of inventing positions", () => {
  expect(unpackPositions(create(PositionsSchema, { unitNumbers: [1, 2, 3], latitudeDeltaE7: [1], longitudeDeltaE7: [1, 2] }), 0).numbers.length).toBe(1);
});

function columns(numbers: number[], longitudes: number[], snapshot = false, fixedAtMs = 0) {
  const rows = numbers.length;
  return {
    snapshot,
    numbers: Uint32Array.from(numbers),
    latitudes: new Float64Array(rows).fill(60.17),
    longitudes: Float64Array.from(longitudes),
    headings: new Uint16Array(rows),
    speeds: new Float32Array(rows),
    fixedAtMs: new Float64Array(rows).fill(fixedAtMs),
    flags: new Uint8Array(rows),
  };
}

test("a unit glides from where it is seen, not from its last fix", () => {
  const field = new UnitField();
  field.apply(columns([1], [24.94]), 0);
  field.apply(columns([1], [24.9402], false, 1000), 1000);
  const half = field.at(0, 1550)[0];
  expect(longitudeOf(half)).toBeCloseTo(24.9401, 5);
  field.apply(columns([1], [24.9404], false, 2000), 1550);
  expect(field.at(0, 1550)[0]).toBeCloseTo(half, 12);
});

test("a far jump is shown at once", () => {
  const field = new UnitField();
  field.apply(columns([1], [24.94]), 0);
  field.apply(columns([1], [25.2]), 10);
  expect(longitudeOf(field.at(0, 10)[0])).toBeCloseTo(25.2, 9);
});

test("a snapshot removes who is not in it and keeps the rows of the others right", () => {
  const field = new UnitField();
  field.apply(columns([1, 2, 3, 4], [24.1, 24.2, 24.3, 24.4]), 0);
  field.apply(columns([4, 2], [24.4, 24.2], true), 0);
  expect(field.count).toBe(2);
  for (const [number, longitude] of [[2, 24.2], [4, 24.4]] as const) {
    const row = field.rowOf(number);
    expect(row).toBeDefined();
    expect(longitudeOf(field.at(row as number, 0)[0])).toBeCloseTo(longitude, 9);
  }
  expect(field.rowOf(1)).toBeUndefined();
});

test("ten thousand units fit, and Mercator comes back", () => {
  const field = new UnitField();
  field.apply(columns(Array.from({ length: 10_000 }, (_, index) => index), new Array<number>(10_000).fill(24.9)), 0);
  expect(field.count).toBe(10_000);
  expect(latitudeOf(mercatorY(60.17))).toBeCloseTo(60.17, 10);
  expect(longitudeOf(mercatorX(24.94))).toBeCloseTo(24.94, 10);
});

test("the union of viewports holds each of them", () => {
  expect(unionOf([{ south: 1, west: 2, north: 3, east: 4 }, { south: 0, west: 3, north: 2, east: 9 }])).toEqual({ south: 0, west: 2, north: 3, east: 9 });
  expect(unionOf([])).toBeUndefined();
});
