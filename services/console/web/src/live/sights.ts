/** Where the cameras of own drones look: kept beside the positions, and like them outside of React. */
import type { TrackView } from "../generated/rtcc/live/v1/live_pb";

/** Degrees, [longitude, latitude]. `corners`: four around the picture's ground, or none. */
export interface Sight {
  cameraId: string;
  middle: readonly [number, number] | undefined;
  corners: readonly (readonly [number, number])[];
  slantRangeM: number | undefined;
}

export function sightsOf(views: readonly TrackView[]): [number: number, sight: Sight][] {
  return views.flatMap(({ number, view }): [number, Sight][] => {
    if (!view) return [];
    const middle = view.frameCenter && ([view.frameCenter.longitudeDeg, view.frameCenter.latitudeDeg] as const);
    const corners = view.corners.map((corner) => [corner.longitudeDeg, corner.latitudeDeg] as const);
    return [[number, { cameraId: view.cameraId, middle, corners: corners.length === 4 ? corners : [], slantRangeM: view.slantRangeM }]];
  });
}
