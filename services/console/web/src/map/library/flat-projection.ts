/** Stands for MapLibre's choice of projections: a city lies flat, and the globe is 15 kB gzipped. */
// @ts-expect-error MapLibre's sources ship without their declarations; the build reads them, not the type checker
import { MercatorCameraHelper } from "maplibre-gl-source/geo/projection/mercator_camera_helper.ts";
// @ts-expect-error as above
import { MercatorProjection } from "maplibre-gl-source/geo/projection/mercator_projection.ts";
// @ts-expect-error as above
import { createMercatorTransform } from "maplibre-gl-source/geo/projection/mercator_transform.ts";

export function createProjectionFromName(_name: unknown, constrainOverride: unknown) {
  return { projection: new MercatorProjection(), transform: createMercatorTransform({ constrainOverride }), cameraHelper: new MercatorCameraHelper() };
}
