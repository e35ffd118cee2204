/** What sensors, warnings and TAK users tell of the ground, as map features: the newest state of each, asked for while a map shows it. */
import { useEffect, useState } from "react";
import { send } from "../contract/call";
import { IntakeService } from "../generated/rtcc/intake/v1/intake_pb";
import { MeasurementLevel, type Event, type Warning } from "../generated/rtcc/event/v1/event_pb";
import { useRight, useSession } from "../session/store";
import { fieldOfView } from "./geometry";
import type { OverlayData } from "./overlay";

const EVERY_MS = 20_000;
const nothing: readonly Event[] = [];

/** Without React Query: the map also stands where there is none (offline). */
export function useHappenings(shown: boolean): readonly Event[] {
  const may = useRight("event.list");
  const ready = useSession((state) => state.phase === "ready");
  const [events, setEvents] = useState(nothing);
  useEffect(() => {
    if (!shown || !may || !ready) {
      setEvents(nothing);
      return;
    }
    const ending = new AbortController();
    // A map without them is still a map: what failed is asked again at the next turn.
    const read = () => void send(IntakeService.method.listNewestEvents, { limit: 500 }, { signal: ending.signal }).then((answer) => setEvents(answer.events), () => undefined);
    read();
    const timer = setInterval(read, EVERY_MS);
    return () => {
      ending.abort();
      clearInterval(timer);
    };
  }, [shown, may, ready]);
  return events;
}

/** Areas of public warnings that are meant: exercises and tests stay off the map. */
export function warningFeatures(events: readonly Event[]): OverlayData {
  return {
    type: "FeatureCollection",
    features: events.flatMap((event) => (event.body.case === "warning" && event.body.value.status !== "Test" && event.body.value.status !== "Exercise" ? areasOf(event.body.value) : [])),
  };
}

function areasOf(warning: Warning): GeoJSON.Feature[] {
  const properties = { name: warning.headline || warning.eventName };
  return warning.areas.flatMap((area) => [
    ...area.polygons.map((polygon): GeoJSON.Feature => {
      const ring = polygon.corners.map((corner) => [corner.longitudeDeg, corner.latitudeDeg]);
      return { type: "Feature", properties, geometry: { type: "Polygon", coordinates: [[...ring, ring[0] ?? [0, 0]]] } };
    }),
    ...area.circles.flatMap((circle): GeoJSON.Feature[] =>
      circle.center ? [{ type: "Feature", properties, geometry: { type: "Polygon", coordinates: [fieldOfView(circle.center.longitudeDeg, circle.center.latitudeDeg, 0, 360, circle.radiusM)] } }] : [],
    ),
  ]);
}

/** Markers of TAK users, active alarms, and sensors; each with how urgent it is. */
export function happeningFeatures(events: readonly Event[]): OverlayData {
  const features: GeoJSON.Feature[] = [];
  for (const event of events) {
    const at = event.position?.coordinate;
    const told = wordsOf(event);
    if (at && told) features.push({ type: "Feature", properties: { id: event.eventId, ...told }, geometry: { type: "Point", coordinates: [at.longitudeDeg, at.latitudeDeg] } });
  }
  return { type: "FeatureCollection", features };
}

function wordsOf(event: Event): { name: string; urgent: boolean } | undefined {
  const { body } = event;
  switch (body.case) {
    case "marker":
      return { name: [body.value.callSign, body.value.emergency].filter(Boolean).join(": ") || "marker", urgent: body.value.emergency !== "" };
    case "alarm":
      return { name: body.value.siteName || body.value.alarmType, urgent: true };
    case "measurement":
      return { name: `${body.value.sensorName || body.value.sensorId} ${body.value.value} ${body.value.unit}`, urgent: body.value.level === MeasurementLevel.CRITICAL };
    default:
      return undefined;
  }
}
