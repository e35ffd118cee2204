/** The living picture in the page. Messages of the worker are gathered and applied once per frame. */
import { create } from "zustand";
import type { Event } from "../generated/rtcc/event/v1/event_pb";
import type { SharedCamera } from "../generated/rtcc/exchange/v1/exchange_pb";
import type { Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import type { Agency, Agreement, Camera } from "../generated/rtcc/registry/v1/registry_pb";
import type { CameraHealth } from "../generated/rtcc/video/v1/video_pb";
import { mergeAlerts, type QueueItem } from "../alerts/queue";
import { useSession } from "../session/store";
import { openLiveLink, type LiveLink } from "./link";
import type { Box, FromPage, FromWorker, LinkState, TrackLabel, UnitLabel } from "./messages";
import { trackField, unitField } from "./units";

export interface LivePicture {
  link: { state: LinkState; sinceMs: number; roundTripMs: number | undefined; reason: string };
  agencies: ReadonlyMap<string, Agency>;
  alerts: ReadonlyMap<string, QueueItem>;
  cameras: ReadonlyMap<string, Camera>;
  sharedCameras: ReadonlyMap<string, SharedCamera>;
  cameraStates: ReadonlyMap<string, CameraHealth>;
  calls: ReadonlyMap<string, Event>;
  agreements: ReadonlyMap<string, Agreement>;
  units: ReadonlyMap<number, UnitLabel>;
  tracks: ReadonlyMap<number, TrackLabel>;
  incidents: ReadonlyMap<string, Incident>;
  /** What a partner took back, newest first; shown until dismissed. */
  revocations: readonly { agreementId: string; reason: string; atMs: number }[];
}

const nothing: LivePicture = {
  link: { state: "connecting", sinceMs: 0, roundTripMs: undefined, reason: "" },
  agencies: new Map(),
  alerts: new Map(),
  cameras: new Map(),
  sharedCameras: new Map(),
  cameraStates: new Map(),
  calls: new Map(),
  agreements: new Map(),
  units: new Map(),
  tracks: new Map(),
  incidents: new Map(),
  revocations: [],
};

export const useLive = create<LivePicture>()(() => nothing);

let link: LiveLink | undefined;
let waiting: FromWorker[] = [];
let scheduled = false;
let lastViewport: Box | undefined;

export function startLive(): void {
  link ??= openLiveLink(useSession.getState().session?.session_id ?? "", lastViewport, take);
}

export function stopLive(): void {
  link?.close();
  link = undefined;
  waiting = [];
  useLive.setState(nothing, true);
  unitField.clear();
  trackField.clear();
}

export function tellLive(message: FromPage): void {
  link?.post(message);
}

export function reportViewport(viewport: Box): void {
  lastViewport = viewport;
  link?.post({ type: "viewport", viewport });
}

/** Who opens views anew when the relay that holds them goes. */
export const relayEndings = new Set<(relayId: string, lost: boolean) => void>();

function take(message: FromWorker): void {
  if (message.type === "relay_ending") {
    for (const hear of relayEndings) hear(message.relayId, message.lost);
    return;
  }
  if (message.type === "positions") {
    unitField.apply(message.columns, performance.now());
    return;
  }
  if (message.type === "tracks") {
    trackField.applyTracks(message.columns, performance.now());
    return;
  }
  waiting.push(message);
  if (scheduled) return;
  scheduled = true;
  // A hidden page gets no frames, and its queue must not grow.
  if (document.hidden) setTimeout(flush, 100);
  else requestAnimationFrame(flush);
}

function flush(): void {
  scheduled = false;
  const messages = waiting;
  waiting = [];
  useLive.setState((picture) => messages.reduce((before, message) => applyMessage(before, message, performance.now()), picture));
  for (const message of messages) if (message.type === "session_ending") sessionEnded(message.reason);
}

function sessionEnded(reason: string): void {
  if (reason === "idle") useSession.getState().lock();
  else void useSession.getState().load();
}

/** The picture after one message; pure, so that tests replay sequences. */
export function applyMessage(picture: LivePicture, message: FromWorker, nowMs: number): LivePicture {
  switch (message.type) {
    case "link":
      return { ...picture, link: { state: message.state, sinceMs: message.sinceMs, roundTripMs: message.roundTripMs, reason: message.reason } };
    case "reset":
      return { ...nothing, link: picture.link, revocations: picture.revocations, units: picture.units, tracks: picture.tracks, agencies: keyed(message.agencies, (agency) => agency.agencyId) };
    case "alerts":
      return { ...picture, alerts: mergeAlerts(picture.alerts, message.alerts, message.shared, message.receivedAtMs, nowMs) };
    case "cameras": {
      const cameras = new Map(message.snapshot ? [] : picture.cameras);
      const shared = new Map(message.snapshot ? [] : picture.sharedCameras);
      for (const camera of message.cameras) cameras.set(camera.cameraId, camera);
      for (const one of message.shared) if (one.camera) shared.set(one.camera.cameraId, one);
      for (const id of message.removed) {
        cameras.delete(id);
        shared.delete(id);
      }
      return { ...picture, cameras, sharedCameras: shared };
    }
    case "camera_states":
      return { ...picture, cameraStates: keyed(message.states, (state) => state.cameraId, picture.cameraStates) };
    case "calls":
      return { ...picture, calls: keyed(message.calls, (call) => call.eventId, picture.calls) };
    case "agreements":
      return { ...picture, agreements: keyed(message.agreements, (agreement) => agreement.agreementId, picture.agreements) };
    case "units":
      return { ...picture, units: keyed(message.units, (unit) => unit.number, picture.units) };
    case "track_names": {
      const tracks = new Map(message.snapshot ? [] : picture.tracks);
      for (const name of message.names) tracks.set(name.number, name);
      for (const number of message.gone) tracks.delete(number);
      return { ...picture, tracks };
    }
    case "incidents": {
      const incidents = new Map(message.snapshot ? [] : picture.incidents);
      for (const incident of message.incidents) if ((incidents.get(incident.incidentId)?.revision ?? 0) <= incident.revision) incidents.set(incident.incidentId, incident);
      return { ...picture, incidents };
    }
    case "revoked":
      return afterRevocation(picture, message);
    default:
      return picture;
  }
}

function afterRevocation(picture: LivePicture, message: Extract<FromWorker, { type: "revoked" }>): LivePicture {
  const alerts = new Map(picture.alerts);
  for (const [id, item] of alerts) if (message.alertIds.includes(id) || item.shared?.agreementId === message.agreementId) alerts.delete(id);
  const shared = new Map(picture.sharedCameras);
  for (const [id, camera] of shared) if (message.cameraIds.includes(id) || camera.agreementId === message.agreementId) shared.delete(id);
  const revocation = { agreementId: message.agreementId, reason: message.reason, atMs: Date.now() };
  return { ...picture, alerts, sharedCameras: shared, revocations: [revocation, ...picture.revocations].slice(0, 5) };
}

function keyed<K, V>(values: readonly V[], key: (value: V) => K, before?: ReadonlyMap<K, V>): ReadonlyMap<K, V> {
  const map = new Map(before);
  for (const value of values) map.set(key(value), value);
  return map;
}
