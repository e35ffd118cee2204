import type { Coordinate } from "../generated/rtcc/geo/v1/geo_pb";

const EARTH_RADIUS_M = 6_371_008.8;

/** Great-circle distance in metres (haversine). */
export function distanceMetres(one: Pick<Coordinate, "latitudeDeg" | "longitudeDeg">, other: Pick<Coordinate, "latitudeDeg" | "longitudeDeg">): number {
  const rad = Math.PI / 180;
  const halfLat = ((other.latitudeDeg - one.latitudeDeg) * rad) / 2;
  const halfLon = ((other.longitudeDeg - one.longitudeDeg) * rad) / 2;
  const chord = Math.sin(halfLat) ** 2 + Math.cos(one.latitudeDeg * rad) * Math.cos(other.latitudeDeg * rad) * Math.sin(halfLon) ** 2;
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(1, Math.sqrt(chord)));
}

/** The point at a distance and bearing (clockwise from true north), [longitude, latitude]; flat-earth, good below 1 km. */
export function offset(longitude: number, latitude: number, bearingDeg: number, metres: number): [number, number] {
  const rad = Math.PI / 180;
  const north = Math.cos(bearingDeg * rad) * metres;
  const east = Math.sin(bearingDeg * rad) * metres;
  return [longitude + east / (111_320 * Math.cos(latitude * rad)), latitude + north / 111_320];
}

/** The ring of a camera's field of view; a full circle for a dome. */
export function fieldOfView(longitude: number, latitude: number, bearingDeg: number, openingDeg: number, rangeMetres: number): [number, number][] {
  const dome = openingDeg >= 359;
  const steps = Math.max(4, Math.ceil(openingDeg / 8));
  const arc = Array.from({ length: steps + 1 }, (_, step) =>
    offset(longitude, latitude, bearingDeg - openingDeg / 2 + (openingDeg * step) / steps, rangeMetres),
  );
  return dome ? [...arc, arc[0] as [number, number]] : [[longitude, latitude], ...arc, [longitude, latitude]];
}

/**
 * Metres from a place to the nearest point of a line, and how far along the line that point is; `share`: how much of its piece of the line lies
 * before it, 0 to 1. Flat-earth, good within a city.
 */
export function alongLine(place: { longitude: number; latitude: number }, line: readonly { longitude: number; latitude: number }[]): { distanceM: number; alongM: number; share: number } {
  const scaleX = 111_320 * Math.cos((place.latitude * Math.PI) / 180);
  const flat = line.map((point) => [(point.longitude - place.longitude) * scaleX, (point.latitude - place.latitude) * 111_320] as const);
  let best = { distanceM: Number.POSITIVE_INFINITY, alongM: 0, share: 0 };
  let before = 0;
  for (let index = 0; index < flat.length; index++) {
    const [x, y] = flat[index] as readonly [number, number];
    const [nextX, nextY] = flat[index + 1] ?? [x, y];
    const length = Math.hypot(nextX - x, nextY - y);
    const share = length ? Math.min(1, Math.max(0, -(x * (nextX - x) + y * (nextY - y)) / length ** 2)) : 0;
    const distanceM = Math.hypot(x + (nextX - x) * share, y + (nextY - y) * share);
    if (distanceM < best.distanceM) best = { distanceM, alongM: before + length * share, share };
    before += length;
  }
  return best;
}
