/** What moves on the map and how each of it looks: units, drones, aircraft. Written straight into the renderer's buffer. */
import { PilotPlace, TrackKind, type TrackIdentity } from "../generated/rtcc/airspace/v1/airspace_pb";
import type { TrackLabel, UnitLabel } from "../live/messages";
import { EMERGENCY_FLAG, IN_ZONE_FLAG, PANIC_FLAG, SHARED_FLAG, TRACK_SHARED_FLAG, trackField, unitField, type UnitField } from "../live/units";
import { drawSight } from "./sights";
import { cells, kindCell } from "./unit-atlas";
import type { UnitColours } from "./unit-layer";

/** As the shader numbers them. */
export const tones = { own: 0, panic: 1, partner: 2, act: 3, grey: 4, partnerGrey: 5 } as const;

type Place = (mercatorX: number, mercatorY: number) => [x: number, y: number];

export interface Moving {
  readonly kind: "unit" | "track";
  readonly field: UnitField;
  hidden: boolean;
  /** Rises when names change, so that the symbols are made anew. */
  looks: number;
  /** Writes heading (radians), atlas cell, tone and size (CSS pixels) at `at`; the heading stands there already. */
  look(row: number, into: Float32Array, at: number): void;
  label(row: number): { text: string; urgent: boolean };
  /** Lines below the labels. */
  under?(pen: CanvasRenderingContext2D, place: Place, colours: UnitColours, nowMs: number): void;
}

export class MovingUnits implements Moving {
  readonly kind = "unit";
  readonly field = unitField;
  hidden = false;
  looks = 0;
  names: ReadonlyMap<number, UnitLabel> = new Map();

  look(row: number, into: Float32Array, at: number): void {
    const kind = this.names.get(this.field.numbers[row] as number)?.kind ?? "";
    const flags = this.field.flags[row] as number;
    into[at + 1] = kindCell(kind, (this.field.headings[row] as number) < 360);
    into[at + 2] = flags & PANIC_FLAG ? tones.panic : flags & SHARED_FLAG ? tones.partner : tones.own;
    into[at + 3] = flags & PANIC_FLAG ? 44 : kind === "officer" ? 26 : 34;
  }

  label(row: number): { text: string; urgent: boolean } {
    return { text: this.names.get(this.field.numbers[row] as number)?.callSign ?? "", urgent: ((this.field.flags[row] as number) & PANIC_FLAG) > 0 };
  }
}

export class MovingTracks implements Moving {
  readonly kind = "track";
  readonly field = trackField;
  hidden = false;
  looks = 0;
  names: ReadonlyMap<number, TrackLabel> = new Map();

  look(row: number, into: Float32Array, at: number): void {
    const kind = this.names.get(this.field.numbers[row] as number)?.kind;
    const flags = this.field.flags[row] as number;
    const shared = (flags & TRACK_SHARED_FLAG) > 0;
    const inZone = (flags & IN_ZONE_FLAG) > 0 && kind !== TrackKind.OWN_DRONE && kind !== TrackKind.AIRCRAFT;
    // A diamond stands upright: it says what it is, not where it flies to.
    if (kind === TrackKind.DRONE) into[at] = 0;
    into[at + 1] = kind === TrackKind.AIRCRAFT ? cells.aircraft : kind === TrackKind.OWN_DRONE ? cells.drone : inZone ? cells.droneInZone : cells.unknownDrone;
    into[at + 2] = flags & EMERGENCY_FLAG ? tones.panic : inZone ? tones.act : kind === TrackKind.OWN_DRONE && !shared ? tones.own : shared ? tones.partnerGrey : tones.grey;
    into[at + 3] = flags & EMERGENCY_FLAG || inZone ? 40 : kind === TrackKind.AIRCRAFT ? 36 : 32;
  }

  label(row: number): { text: string; urgent: boolean } {
    const name = this.names.get(this.field.numbers[row] as number);
    const flags = this.field.flags[row] as number;
    const metres = this.field.heights[row] as number;
    const height = Number.isNaN(metres) ? "" : ` ${Math.round(metres)} m`;
    return { text: name ? shortName(name.identity, name.kind) + height : "", urgent: (flags & EMERGENCY_FLAG) > 0 };
  }

  /** From each drone to its pilot, or to where it took off: a dashed line and a mark that says which. Below, what own drones film. */
  under(pen: CanvasRenderingContext2D, place: Place, colours: UnitColours, nowMs: number): void {
    for (const [number, sight] of this.field.sights) {
      const row = this.field.rowOf(number);
      if (row !== undefined) drawSight(pen, place, sight, place(...this.field.at(row, nowMs)), colours.own);
    }
    pen.lineWidth = 1.6;
    pen.font = "600 10.5px Inter";
    pen.textAlign = "center";
    for (let row = 0; row < this.field.count; row++) {
      const name = this.names.get(this.field.numbers[row] as number);
      const [pilotX, pilotY] = [this.field.pilotX[row] as number, this.field.pilotY[row] as number];
      if (!name || Number.isNaN(pilotX) || name.pilotPlace === PilotPlace.UNSPECIFIED || name.kind === TrackKind.AIRCRAFT) continue;
      const [x, y] = place(...this.field.at(row, nowMs));
      const [toX, toY] = place(pilotX, pilotY);
      const inZone = ((this.field.flags[row] as number) & IN_ZONE_FLAG) > 0 && name.kind === TrackKind.DRONE;
      pen.strokeStyle = pen.fillStyle = name.kind === TrackKind.OWN_DRONE ? colours.own : inZone ? colours.act : colours.text;
      pen.setLineDash([5, 4]);
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(toX, toY);
      pen.stroke();
      pen.setLineDash([]);
      pen.beginPath();
      if (name.pilotPlace === PilotPlace.PILOT) {
        pen.arc(toX, toY - 5, 3.6, 0, Math.PI * 2);
        pen.moveTo(toX - 7, toY + 7);
        pen.arc(toX, toY + 7, 7, Math.PI, 0);
        pen.fill();
      } else {
        pen.moveTo(toX - 7, toY + 6);
        pen.lineTo(toX, toY - 6);
        pen.lineTo(toX + 7, toY + 6);
        pen.closePath();
        pen.stroke();
      }
      const text = pilotPlaceName(name.pilotPlace);
      pen.lineWidth = 3;
      pen.strokeStyle = colours.rim;
      pen.strokeText(text, toX, toY + 19);
      pen.fillStyle = colours.text;
      pen.fillText(text, toX, toY + 19);
      pen.lineWidth = 1.6;
    }
  }
}

export function pilotPlaceName(place: PilotPlace): string {
  return { [PilotPlace.UNSPECIFIED]: "", [PilotPlace.TAKE_OFF]: "take-off", [PilotPlace.PILOT]: "pilot", [PilotPlace.FIXED]: "stated place" }[place];
}

/** The shortest that tells it from others. */
export function shortName(identity: TrackIdentity | undefined, kind: TrackKind): string {
  if (identity?.callSign) return identity.callSign;
  if (kind === TrackKind.AIRCRAFT) return identity?.registration || identity?.icaoHex || "aircraft";
  return [identity?.manufacturer, identity?.model].filter(Boolean).join(" ") || (identity?.serialNumber ? `…${identity.serialNumber.slice(-6)}` : "unknown drone");
}
