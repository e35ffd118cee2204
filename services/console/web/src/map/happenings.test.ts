import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { EventSchema, MeasurementLevel } from "../generated/rtcc/event/v1/event_pb";
import { happeningFeatures, warningFeatures } from "./happenings";

const position = { coordinate: { latitudeDeg: 60.17, longitudeDeg: 24.94 } };

test("a warning's areas are closed rings, and an exercise stays off the map", () => {
  const area = { description: "Harbour", polygons: [{ corners: [{ latitudeDeg: 1, longitudeDeg: 2 }, { latitudeDeg: 3, longitudeDeg: 4 }, { latitudeDeg: 5, longitudeDeg: 2 }] }], circles: [{ center: { latitudeDeg: 60, longitudeDeg: 24 }, radiusM: 500 }] };
  const warning = (status: string) => create(EventSchema, { body: { case: "warning", value: { status, headline: "Storm", areas: [area] } } });
  const found = warningFeatures([warning("Actual"), warning("Exercise"), warning("Test")]).features;
  expect(found.length).toBe(2);
  for (const { geometry } of found) {
    const ring = (geometry as GeoJSON.Polygon).coordinates[0] ?? [];
    expect(ring[0]).toEqual(ring.at(-1));
  }
});

test("sensors, markers and alarms say what they are, and only what is urgent stands out", () => {
  const events = [
    create(EventSchema, { eventId: "s", position, body: { case: "measurement", value: { sensorName: "Quay", value: 0.4, unit: "m", level: MeasurementLevel.NORMAL } } }),
    create(EventSchema, { eventId: "m", position, body: { case: "marker", value: { callSign: "RESCUE 1", emergency: "911 Alert" } } }),
    create(EventSchema, { eventId: "nowhere", body: { case: "marker", value: { callSign: "LOST" } } }),
  ];
  expect(happeningFeatures(events).features.map(({ properties }) => [properties?.name, properties?.urgent])).toEqual([
    ["Quay 0.4 m", false],
    ["RESCUE 1: 911 Alert", true],
  ]);
});
