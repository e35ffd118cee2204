import type { Positions, Tracks } from "../generated/rtcc/live/v1/live_pb";
import type { PositionColumns, TrackColumns } from "./messages";
import { sightsOf } from "./sights";

const UNKNOWN_DM = -100_000;
const UNKNOWN_CMPS = 65_535;

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

/** The same for tracks; unknown heights, speeds and pilots become NaN. */
export function unpackTracks(packed: Tracks, sentAtMs: number): TrackColumns {
  const length = Math.min(packed.trackNumbers.length, packed.latitudeDeltaE7.length, packed.longitudeDeltaE7.length);
  const metres = (value: number | undefined) => (value === undefined || value <= UNKNOWN_DM ? Number.NaN : value / 10);
  const columns: TrackColumns = {
    snapshot: packed.snapshot,
    numbers: new Uint32Array(length),
    latitudes: new Float64Array(length),
    longitudes: new Float64Array(length),
    headings: new Uint16Array(length),
    speeds: new Float32Array(length),
    fixedAtMs: new Float64Array(length),
    flags: new Uint8Array(length),
    altitudes: new Float32Array(length),
    heights: new Float32Array(length),
    pilotLatitudes: new Float64Array(length),
    pilotLongitudes: new Float64Array(length),
    gone: Uint32Array.from(packed.goneNumbers),
    sights: sightsOf(packed.views),
  };
  let latitude = 0;
  let longitude = 0;
  for (let row = 0; row < length; row++) {
    latitude += packed.latitudeDeltaE7[row] ?? 0;
    longitude += packed.longitudeDeltaE7[row] ?? 0;
    columns.numbers[row] = packed.trackNumbers[row] ?? 0;
    columns.latitudes[row] = latitude / 1e7;
    columns.longitudes[row] = longitude / 1e7;
    columns.headings[row] = packed.headingDeg[row] ?? 360;
    const speed = packed.speedCmps[row] ?? UNKNOWN_CMPS;
    columns.speeds[row] = speed >= UNKNOWN_CMPS ? Number.NaN : speed / 100;
    columns.fixedAtMs[row] = sentAtMs - (packed.ageDs[row] ?? 0) * 100;
    columns.flags[row] = packed.flags[row] ?? 0;
    columns.altitudes[row] = metres(packed.altitudeDm[row]);
    columns.heights[row] = metres(packed.heightDm[row]);
    const pilot = [packed.pilotLatitudeE7[row] ?? 0, packed.pilotLongitudeE7[row] ?? 0] as const;
    const known = pilot[0] !== 0 || pilot[1] !== 0;
    columns.pilotLatitudes[row] = known ? pilot[0] / 1e7 : Number.NaN;
    columns.pilotLongitudes[row] = known ? pilot[1] / 1e7 : Number.NaN;
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
