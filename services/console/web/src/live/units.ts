/**
 * Where every unit is, between its fixes too. Plain typed arrays: positions pass neither through React nor through GeoJSON.
 * Web Mercator, the world being the unit square.
 */
import type { PositionColumns, TrackColumns } from "./messages";
import type { Sight } from "./sights";

export const PANIC_FLAG = 1;
export const SHARED_FLAG = 2;
/** A fix older than this is drawn faded with its age. */
export const STALE_AFTER_S = 60;
const GLIDE_MIN_MS = 150;
const GLIDE_MAX_MS = 2_500;
/** A jump farther than this (about 500 m) is shown at once: gliding through houses would claim a path nobody drove. */
const JUMP_MERCATOR = 500 / 40_075_017;

export function mercatorX(longitude: number): number {
  return (longitude + 180) / 360;
}
export function mercatorY(latitude: number): number {
  const sine = Math.sin((latitude * Math.PI) / 180);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}
export function longitudeOf(x: number): number {
  return x * 360 - 180;
}
export function latitudeOf(y: number): number {
  return (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;
}

export class UnitField {
  count = 0;
  /** Rises with each change, so that a renderer knows when to upload again. */
  version = 0;
  numbers = new Uint32Array(256);
  fromX = new Float64Array(256);
  fromY = new Float64Array(256);
  toX = new Float64Array(256);
  toY = new Float64Array(256);
  /** performance.now() at which the glide starts, and its length. */
  startMs = new Float64Array(256);
  glideMs = new Float64Array(256);
  headings = new Uint16Array(256);
  speeds = new Float32Array(256);
  /** Epoch milliseconds of the fix, server clock. */
  fixedAtMs = new Float64Array(256);
  flags = new Uint8Array(256);
  private readonly rows = new Map<number, number>();

  clear(): void {
    this.count = 0;
    this.rows.clear();
    this.version++;
  }

  rowOf(number: number): number | undefined {
    return this.rows.get(number);
  }

  apply(columns: PositionColumns, nowMs: number): void {
    const wanted = new Set(columns.snapshot ? columns.numbers : []);
    if (columns.snapshot) this.keep((number) => wanted.has(number));
    for (let index = 0; index < columns.numbers.length; index++) {
      const number = columns.numbers[index] as number;
      const x = mercatorX(columns.longitudes[index] as number);
      const y = mercatorY(columns.latitudes[index] as number);
      let row = this.rows.get(number);
      if (row === undefined) {
        row = this.append(number);
        this.place(row, x, y, nowMs);
      } else {
        this.glide(row, x, y, nowMs, (columns.fixedAtMs[index] as number) - (this.fixedAtMs[row] as number));
      }
      this.headings[row] = columns.headings[index] as number;
      this.speeds[row] = columns.speeds[index] as number;
      this.fixedAtMs[row] = columns.fixedAtMs[index] as number;
      this.flags[row] = columns.flags[index] as number;
    }
    this.version++;
  }

  /** Mercator position at a time of performance.now(). */
  at(row: number, nowMs: number): [x: number, y: number] {
    const share = Math.min(1, Math.max(0, (nowMs - (this.startMs[row] as number)) / (this.glideMs[row] as number)));
    const fromX = this.fromX[row] as number;
    const fromY = this.fromY[row] as number;
    return [fromX + ((this.toX[row] as number) - fromX) * share, fromY + ((this.toY[row] as number) - fromY) * share];
  }

  private place(row: number, x: number, y: number, nowMs: number): void {
    this.fromX[row] = this.toX[row] = x;
    this.fromY[row] = this.toY[row] = y;
    this.startMs[row] = nowMs;
    this.glideMs[row] = 1;
  }

  private glide(row: number, x: number, y: number, nowMs: number, betweenFixesMs: number): void {
    const [hereX, hereY] = this.at(row, nowMs);
    if (Math.hypot(x - hereX, y - hereY) > JUMP_MERCATOR) {
      this.place(row, x, y, nowMs);
      return;
    }
    if (x === this.toX[row] && y === this.toY[row]) return;
    this.fromX[row] = hereX;
    this.fromY[row] = hereY;
    this.toX[row] = x;
    this.toY[row] = y;
    this.startMs[row] = nowMs;
    this.glideMs[row] = Math.min(GLIDE_MAX_MS, Math.max(GLIDE_MIN_MS, betweenFixesMs * 1.1));
  }

  private append(number: number): number {
    if (this.count === this.numbers.length) this.grow();
    const row = this.count++;
    this.numbers[row] = number;
    this.rows.set(number, row);
    return row;
  }

  protected keep(wanted: (number: number) => boolean): void {
    for (let row = this.count - 1; row >= 0; row--) {
      const number = this.numbers[row] as number;
      if (wanted(number)) continue;
      const last = --this.count;
      this.rows.delete(number);
      if (row !== last) {
        for (const column of this.columns()) column[row] = column[last] as number;
        this.rows.set(this.numbers[row] as number, row);
      }
    }
  }

  protected columns(): (Float64Array | Float32Array | Uint32Array | Uint16Array | Uint8Array)[] {
    return [this.numbers, this.fromX, this.fromY, this.toX, this.toY, this.startMs, this.glideMs, this.headings, this.speeds, this.fixedAtMs, this.flags];
  }

  protected grow(): void {
    this.numbers = bigger(this.numbers, Uint32Array);
    this.fromX = bigger(this.fromX, Float64Array);
    this.fromY = bigger(this.fromY, Float64Array);
    this.toX = bigger(this.toX, Float64Array);
    this.toY = bigger(this.toY, Float64Array);
    this.startMs = bigger(this.startMs, Float64Array);
    this.glideMs = bigger(this.glideMs, Float64Array);
    this.headings = bigger(this.headings, Uint16Array);
    this.speeds = bigger(this.speeds, Float32Array);
    this.fixedAtMs = bigger(this.fixedAtMs, Float64Array);
    this.flags = bigger(this.flags, Uint8Array);
  }
}

function bigger<T extends { set(values: T): void; length: number }>(column: T, make: new (length: number) => T): T {
  const larger = new make(column.length * 2);
  larger.set(column);
  return larger;
}

export const ON_GROUND_FLAG = 1;
export const EMERGENCY_FLAG = 2;
export const IN_ZONE_FLAG = 4;
export const TRACK_SHARED_FLAG = 8;

/** What flies, with heights in metres and the pilot's or take-off place; NaN: unknown. */
export class TrackField extends UnitField {
  altitudes = new Float32Array(256);
  heights = new Float32Array(256);
  pilotX = new Float64Array(256);
  pilotY = new Float64Array(256);
  /** Where the cameras of own drones look, by the track's number. */
  readonly sights = new Map<number, Sight>();

  override clear(): void {
    super.clear();
    this.sights.clear();
  }

  applyTracks(columns: TrackColumns, nowMs: number): void {
    const gone = new Set(columns.gone);
    if (gone.size) this.keep((number) => !gone.has(number));
    this.apply(columns, nowMs);
    for (const [number, sight] of columns.sights) this.sights.set(number, sight);
    for (const number of this.sights.keys()) if (this.rowOf(number) === undefined) this.sights.delete(number);
    for (let index = 0; index < columns.numbers.length; index++) {
      const row = this.rowOf(columns.numbers[index] as number) as number;
      this.altitudes[row] = columns.altitudes[index] as number;
      this.heights[row] = columns.heights[index] as number;
      const known = !Number.isNaN(columns.pilotLatitudes[index] as number);
      this.pilotX[row] = known ? mercatorX(columns.pilotLongitudes[index] as number) : Number.NaN;
      this.pilotY[row] = known ? mercatorY(columns.pilotLatitudes[index] as number) : Number.NaN;
    }
  }

  protected override columns() {
    return [...super.columns(), this.altitudes, this.heights, this.pilotX, this.pilotY];
  }

  protected override grow(): void {
    super.grow();
    this.altitudes = bigger(this.altitudes, Float32Array);
    this.heights = bigger(this.heights, Float32Array);
    this.pilotX = bigger(this.pilotX, Float64Array);
    this.pilotY = bigger(this.pilotY, Float64Array);
  }
}

export const unitField = new UnitField();
export const trackField = new TrackField();
