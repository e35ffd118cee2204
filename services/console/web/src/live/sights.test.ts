import { create } from "@bufbuild/protobuf";
import { expect, test, vi } from "vitest";
import { TracksSchema } from "../generated/rtcc/live/v1/live_pb";
import { unpackTracks } from "./columns";
import { TrackField } from "./units";

vi.stubGlobal("window", {});

const place = (latitudeDeg: number, longitudeDeg: number) => ({ latitudeDeg, longitudeDeg });
const corners = [place(60.1, 24.9), place(60.1, 24.91), place(60.09, 24.91), place(60.09, 24.9)];

function frame(numbers: number[], more: { snapshot?: boolean; goneNumbers?: number[]; views?: { number: number; view: object }[] } = {}) {
  const zeros = numbers.map(() => 0);
  return unpackTracks(create(TracksSchema, { trackNumbers: numbers, latitudeDeltaE7: zeros, longitudeDeltaE7: zeros, ...more }), 0);
}

test("where a drone's camera looks stays until the drone looks elsewhere, ends or leaves the picture", () => {
  const field = new TrackField();
  field.applyTracks(frame([1, 2], { views: [{ number: 1, view: { cameraId: "c1", frameCenter: place(60.095, 24.905), corners } }, { number: 2, view: { cameraId: "c2" } }] }), 0);
  expect(field.sights.get(1)).toEqual({ cameraId: "c1", middle: [24.905, 60.095], corners: [[24.9, 60.1], [24.91, 60.1], [24.91, 60.09], [24.9, 60.09]], slantRangeM: undefined });
  expect(field.sights.get(2)?.middle).toBeUndefined();
  field.applyTracks(frame([1]), 0);
  expect(field.sights.get(1)?.cameraId).toBe("c1");
  field.applyTracks(frame([], { goneNumbers: [1] }), 0);
  expect([...field.sights.keys()]).toEqual([2]);
  field.applyTracks(frame([7], { snapshot: true }), 0);
  expect(field.sights.size).toBe(0);
});

test("corners that aren't four are no outline", () => {
  const field = new TrackField();
  field.applyTracks(frame([1], { views: [{ number: 1, view: { cameraId: "c1", corners: corners.slice(1) } }] }), 0);
  expect(field.sights.get(1)?.corners).toEqual([]);
});
