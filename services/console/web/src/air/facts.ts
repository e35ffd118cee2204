/** What is known of a track, in words; pure. */
import { PilotPlace, TrackKind, type TrackIdentity } from "../generated/rtcc/airspace/v1/airspace_pb";

export function kindName(kind: TrackKind): string {
  return { [TrackKind.UNSPECIFIED]: "unknown", [TrackKind.DRONE]: "drone", [TrackKind.OWN_DRONE]: "own drone", [TrackKind.AIRCRAFT]: "aircraft" }[kind] ?? "unknown";
}

/** What the place of the operator is, for a person who may go there. */
export function placeMeaning(place: PilotPlace): string {
  return {
    [PilotPlace.UNSPECIFIED]: "Not broadcast",
    [PilotPlace.TAKE_OFF]: "Take-off point: where the drone rose. The pilot may have left it.",
    [PilotPlace.PILOT]: "Pilot: the position that the remote control sends.",
    [PilotPlace.FIXED]: "Stated place: typed in once by the operator.",
  }[place];
}

export function identityFacts(identity: TrackIdentity | undefined): (readonly [string, string])[] {
  if (!identity) return [];
  const facts: (readonly [string, string])[] = [
    ["Model", [identity.manufacturer, identity.model].filter(Boolean).join(" ")],
    ["Type", identity.aircraftType],
    ["Serial number", identity.serialNumber],
    ["Session id", identity.sessionId],
    ["Registration", identity.registration],
    ["Operator id", identity.operatorId],
    ["Says", identity.description],
    ["Call sign", identity.callSign],
    ["ICAO address", identity.icaoHex],
    ["Squawk", identity.squawk],
    ["Emergency", identity.emergency],
  ];
  return facts.filter(([, value]) => value);
}

export function metres(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "unknown" : `${Math.round(value)} m`;
}

export function compass(degrees: number): string {
  return degrees >= 360 ? "unknown" : `${degrees}° ${["N", "NE", "E", "SE", "S", "SW", "W", "NW"][Math.round(degrees / 45) % 8]}`;
}
