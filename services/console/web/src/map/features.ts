/** From the living picture to the map's overlay features. */
import { isOpen, isUnacknowledged, splitTitle, type QueueItem } from "../alerts/queue";
import type { Event } from "../generated/rtcc/event/v1/event_pb";
import { IncidentState, type FloorPlan, type Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import type { SharedCamera } from "../generated/rtcc/exchange/v1/exchange_pb";
import { CameraKind, type Agency, type Camera, type Zone } from "../generated/rtcc/registry/v1/registry_pb";
import { CameraState, type CameraHealth } from "../generated/rtcc/video/v1/video_pb";
import { fieldOfView } from "./geometry";
import type { OverlayData } from "./overlay";
import type { Trail } from "./store";
import { markIcon } from "./symbols";

const ASSUMED_RANGE_M = 60;

export interface MapCamera {
  camera: Camera;
  partner: boolean;
  state: "live" | "idle" | "off";
}

export function mapCameras(own: Iterable<Camera>, shared: Iterable<SharedCamera>, states: ReadonlyMap<string, CameraHealth>): MapCamera[] {
  const stateOf = (camera: Camera): MapCamera["state"] => {
    const state = states.get(camera.cameraId)?.state;
    if (!camera.enabled || state === CameraState.FAILED || state === CameraState.STALLED) return "off";
    return state === CameraState.LIVE || state === CameraState.IDLE ? "live" : "idle";
  };
  const result: MapCamera[] = [];
  for (const camera of own) if (camera.coordinate) result.push({ camera, partner: false, state: stateOf(camera) });
  for (const { camera } of shared) if (camera?.coordinate) result.push({ camera, partner: true, state: stateOf(camera) });
  return result;
}

export function cameraFeatures(cameras: readonly MapCamera[]): OverlayData {
  return collection(
    cameras.map(({ camera, partner, state }) => ({
      type: "Feature",
      properties: {
        id: camera.cameraId,
        name: camera.name,
        icon: `camera-${partner ? "partner" : "own"}-${camera.kind === CameraKind.PLATE_READER ? "plate" : "street"}-${state}`,
      },
      geometry: { type: "Point", coordinates: [camera.coordinate?.longitudeDeg ?? 0, camera.coordinate?.latitudeDeg ?? 0] },
    })),
  );
}

export function fieldOfViewFeatures(cameras: readonly MapCamera[], chosen: ReadonlySet<string>): OverlayData {
  return collection(
    cameras.map(({ camera, partner, state }) => ({
      type: "Feature",
      properties: { id: camera.cameraId, partner, off: state === "off", chosen: chosen.has(camera.cameraId) },
      geometry: {
        type: "Polygon",
        coordinates: [fieldOfView(camera.coordinate?.longitudeDeg ?? 0, camera.coordinate?.latitudeDeg ?? 0, camera.bearingDeg, camera.fieldOfViewDeg || 60, camera.rangeM || ASSUMED_RANGE_M)],
      },
    })),
  );
}

export function alertFeatures(items: Iterable<QueueItem>): OverlayData {
  const features: GeoJSON.Feature[] = [];
  for (const item of items) {
    const at = item.alert.position?.coordinate;
    if (!at || !isOpen(item)) continue;
    features.push({
      type: "Feature",
      properties: {
        id: item.id,
        name: splitTitle(item.alert.title)[0],
        severity: item.alert.severity,
        icon: `alert-${item.alert.severity || 4}-${isUnacknowledged(item) ? "new" : "taken"}-${item.shared ? "partner" : "own"}`,
      },
      geometry: { type: "Point", coordinates: [at.longitudeDeg, at.latitudeDeg] },
    });
  }
  return collection(features);
}

export function callFeatures(calls: Iterable<Event>): OverlayData {
  const features: GeoJSON.Feature[] = [];
  for (const call of calls) {
    const at = call.position?.coordinate;
    if (!at || call.body.case !== "callForService" || /closed|cleared/i.test(call.body.value.status)) continue;
    features.push({ type: "Feature", properties: { id: call.eventId, name: call.body.value.callType }, geometry: { type: "Point", coordinates: [at.longitudeDeg, at.latitudeDeg] } });
  }
  return collection(features);
}

export function areaFeatures(agencies: Iterable<Agency>, ownAgencyId: string): OverlayData {
  const features: GeoJSON.Feature[] = [];
  for (const agency of agencies) {
    const ring = (agency.area?.corners ?? []).map((corner) => [corner.longitudeDeg, corner.latitudeDeg]);
    if (ring.length > 2) features.push({ type: "Feature", properties: { own: agency.agencyId === ownAgencyId, name: agency.name }, geometry: { type: "LineString", coordinates: [...ring, ring[0] as number[]] } });
  }
  return collection(features);
}

export function incidentFeatures(incidents: Iterable<Incident>): OverlayData {
  const features: GeoJSON.Feature[] = [];
  for (const incident of incidents) {
    const at = incident.position?.coordinate;
    if (!at || incident.state !== IncidentState.OPEN) continue;
    features.push({
      type: "Feature",
      properties: { id: incident.incidentId, name: `${incident.number} ${incident.kind}`, icon: incident.priority === 1 || incident.priority === 2 ? "incident-urgent" : "incident" },
      geometry: { type: "Point", coordinates: [at.longitudeDeg, at.latitudeDeg] },
    });
  }
  return collection(features);
}

export function zoneFeatures(zones: Iterable<Zone>): OverlayData {
  const features: GeoJSON.Feature[] = [];
  for (const zone of zones) {
    const ring = (zone.area?.corners ?? []).map((corner) => [corner.longitudeDeg, corner.latitudeDeg]);
    if (zone.kind === "air" && ring.length > 2) features.push({ type: "Feature", properties: { id: zone.zoneId, name: zone.name }, geometry: { type: "Polygon", coordinates: [[...ring, ring[0] as number[]]] } });
  }
  return collection(features);
}

/** Exits, hazards and the rest of the plans that lie on the map. */
export function markFeatures(plans: readonly FloorPlan[]): OverlayData {
  return collection(
    plans.flatMap((plan) =>
      plan.marks.flatMap((mark): GeoJSON.Feature[] =>
        mark.coordinate
          ? [{ type: "Feature", properties: { id: mark.markId, name: mark.label || mark.kind.replace("_", " "), icon: markIcon(mark.kind) }, geometry: { type: "Point", coordinates: [mark.coordinate.longitudeDeg, mark.coordinate.latitudeDeg] } }]
          : [],
      ),
    ),
  );
}

export function trailFeatures(trail: Trail | undefined): OverlayData {
  const last = trail?.points.at(-1);
  if (!trail || !last) return collection([]);
  const coordinates = trail.points.map(({ longitude, latitude }) => [longitude, latitude]);
  const features: GeoJSON.Feature[] = [];
  if (coordinates.length > 1) features.push({ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates } });
  if (trail.accuracyM > 0) features.push({ type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [fieldOfView(last.longitude, last.latitude, 0, 360, trail.accuracyM)] } });
  coordinates.forEach((point, index) => features.push({ type: "Feature", properties: { last: index === coordinates.length - 1, name: trail.label }, geometry: { type: "Point", coordinates: point } }));
  return collection(features);
}

export interface DraftCamera {
  longitude: number;
  latitude: number;
  bearingDeg: number;
  fieldOfViewDeg: number;
  rangeM: number;
}

export function draftFeature(draft: DraftCamera): OverlayData {
  const ring = fieldOfView(draft.longitude, draft.latitude, draft.bearingDeg, draft.fieldOfViewDeg || 60, draft.rangeM || ASSUMED_RANGE_M);
  return collection([{ type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [ring] } }]);
}

function collection(features: GeoJSON.Feature[]): OverlayData {
  return { type: "FeatureCollection", features };
}
