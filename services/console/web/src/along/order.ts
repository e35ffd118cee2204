/** Which cameras stand along a line, in the order in which somebody who moves along it passes them. Pure. */
import { alongLine } from "../map/geometry";

export interface Place {
  longitude: number;
  latitude: number;
}
export interface CameraPlace extends Place {
  cameraId: string;
}
export interface AlongCamera {
  cameraId: string;
  /** Metres from the start of the line to where the camera is passed, and from the line to the camera. */
  alongM: number;
  distanceM: number;
}

export function camerasAlong(cameras: readonly CameraPlace[], line: readonly Place[], withinM: number): AlongCamera[] {
  if (line.length < 2) return [];
  return cameras
    .map((camera) => ({ cameraId: camera.cameraId, ...alongLine(camera, line) }))
    .filter(({ distanceM }) => distanceM <= withinM)
    .sort((one, other) => one.alongM - other.alongM || one.distanceM - other.distanceM || (one.cameraId < other.cameraId ? -1 : 1));
}

/** The camera that a moving thing reaches next, when it has come that far; the last one at the end. */
export function nextFrom(cameras: readonly AlongCamera[], alongM: number): number {
  const index = cameras.findIndex((camera) => camera.alongM >= alongM);
  return index < 0 ? Math.max(0, cameras.length - 1) : index;
}
