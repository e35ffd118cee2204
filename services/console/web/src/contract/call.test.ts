import { expect, test } from "vitest";
import { prepare } from "./call";

test("path segments leave the body, nested ones too", () => {
  const request = prepare("PUT /v1/cameras/{camera.camera_id}", { camera: { camera_id: "c/1", name: "North" } });
  expect(request.path).toBe("/v1/cameras/c%2F1");
  expect(JSON.parse(request.body ?? "")).toEqual({ camera: { name: "North" } });
});

test("what is left of a GET becomes the query, dotted and repeated", () => {
  const request = prepare("GET /v1/cameras/nearest", { coordinate: { latitude_deg: 60.17 }, kinds: ["a", "b"], limit: 4 });
  expect(request.path).toBe("/v1/cameras/nearest?coordinate.latitude_deg=60.17&kinds=a&kinds=b&limit=4");
  expect(request.body).toBeUndefined();
});

test("an empty path field is refused before anything is sent", () => {
  expect(() => prepare("DELETE /v1/zones/{zone_id}", {})).toThrow(/zone_id/);
});
