/** What pages and the live worker tell each other. All of it survives a structured clone. */
import type { PilotPlace, TrackIdentity, TrackKind } from "../generated/rtcc/airspace/v1/airspace_pb";
import type { Alert } from "../generated/rtcc/alerting/v1/alerting_pb";
import type { Event } from "../generated/rtcc/event/v1/event_pb";
import type { SharedAlert, SharedCamera } from "../generated/rtcc/exchange/v1/exchange_pb";
import type { Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import type { Agency, Agreement, Camera } from "../generated/rtcc/registry/v1/registry_pb";
import type { CameraHealth } from "../generated/rtcc/video/v1/video_pb";
import type { Sight } from "./sights";

/** Degrees. */
export interface Box {
  south: number;
  west: number;
  north: number;
  east: number;
}

export type FromPage =
  /** `sessionId`: when it is not the one the worker holds, what it holds belonged to somebody else and is forgotten. */
  | { type: "open"; viewport: Box | undefined; sessionId: string }
  | { type: "viewport"; viewport: Box }
  | { type: "alive" }
  | { type: "wake" }
  | { type: "close" };

export type LinkState = "connecting" | "live" | "down" | "refused";

/** Columns of equal length, one row a unit; degrees, m/s, seconds, milliseconds since the epoch. */
export interface PositionColumns {
  snapshot: boolean;
  numbers: Uint32Array;
  latitudes: Float64Array;
  longitudes: Float64Array;
  /** 360: unknown. */
  headings: Uint16Array;
  speeds: Float32Array;
  fixedAtMs: Float64Array;
  /** Bit 0 panic, bit 1 shared by a partner. */
  flags: Uint8Array;
}
/** As PositionColumns, of what flies; metres, NaN: unknown. */
export interface TrackColumns extends PositionColumns {
  altitudes: Float32Array;
  heights: Float32Array;
  pilotLatitudes: Float64Array;
  pilotLongitudes: Float64Array;
  /** Ended, or no longer to be seen. */
  gone: Uint32Array;
  /** Where the cameras of some of them look, by the track's number. */
  sights: [number: number, sight: Sight][];
}
export interface TrackLabel {
  number: number;
  trackId: string;
  agencyId: string;
  kind: TrackKind;
  identity: TrackIdentity | undefined;
  pilotPlace: PilotPlace;
  zoneIds: string[];
  firstObservedAtMs: number;
}
export interface UnitLabel {
  number: number;
  unitId: string;
  callSign: string;
  kind: string;
  agencyId: string;
}

export type FromWorker =
  | { type: "link"; state: LinkState; sinceMs: number; roundTripMs: number | undefined; reason: string }
  | { type: "reset"; agencies: Agency[] }
  | { type: "alerts"; alerts: Alert[]; shared: SharedAlert[]; receivedAtMs: number }
  | { type: "cameras"; cameras: Camera[]; shared: SharedCamera[]; snapshot: boolean; removed: string[] }
  | { type: "camera_states"; states: CameraHealth[] }
  | { type: "calls"; calls: Event[] }
  | { type: "agreements"; agreements: Agreement[] }
  | { type: "units"; units: UnitLabel[] }
  | { type: "positions"; columns: PositionColumns }
  | { type: "track_names"; names: TrackLabel[]; snapshot: boolean; gone: number[] }
  | { type: "tracks"; columns: TrackColumns }
  | { type: "incidents"; incidents: Incident[]; snapshot: boolean }
  | { type: "revoked"; agreementId: string; cameraIds: string[]; alertIds: string[]; reason: string }
  | { type: "relay_ending"; relayId: string; lost: boolean }
  | { type: "session_ending"; reason: string };
