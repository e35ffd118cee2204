import type { Positions } from "../generated/rtcc/live/v1/live_pb";
import type { PositionColumns } from "./messages";

/** Undoes the wire form: differences of 1e-7 degree, cm/s, tenths of a second before `sentAtMs`. Ragged columns are cut to the shortest. */
export function unpackPositions(packed: Positions, sentAtMs: number): PositionColumns {
  const length = Math.min(packed.unitNumbers.length, packed.latitudeDeltaE7.length, packed.longitudeDeltaE7.length);
  const columns: PositionColumns = {
    snapshot: packed.snapshot,
    numbers: new Uint32Array(length),
    latitudes: new Float64Array(length),
    longitudes: new Float64Array(length),
    headings: new Uint16Array(length),
    speeds: new Float32Array(length),
    fixedAtMs: new Float64Array(length),
    flags: new Uint8Array(length),
  };
  let latitude = 0;
  let longitude = 0;
  for (let row = 0; row < length; row++) {
    latitude += packed.latitudeDeltaE7[row] ?? 0;
    longitude += packed.longitudeDeltaE7[row] ?? 0;
    columns.numbers[row] = packed.unitNumbers[row] ?? 0;
    columns.latitudes[row] = latitude / 1e7;
    columns.longitudes[row] = longitude / 1e7;
    columns.headings[row] = packed.headingDeg[row] ?? 360;
    columns.speeds[row] = (packed.speedCmps[row] ?? 0) / 100;
    columns.fixedAtMs[row] = sentAtMs - (packed.ageDs[row] ?? 0) * 100;
    columns.flags[row] = packed.flags[row] ?? 0;
  }
  return columns;
}

/** The smallest box around all; undefined for none. */
export function unionOf<T extends { south: number; west: number; north: number; east: number }>(boxes: readonly T[]) {
  if (!boxes.length) return undefined;
  return {
    south: Math.min(...boxes.map((box) => box.south)),
    west: Math.min(...boxes.map((box) => box.west)),
    north: Math.max(...boxes.map((box) => box.north)),
    east: Math.max(...boxes.map((box) => box.east)),
  };
}
