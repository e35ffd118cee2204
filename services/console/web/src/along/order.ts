/** Which cameras stand along a line, in the order in which somebody who moves along it passes them. Pure. */
import { alongLine } from "../map/geometry";

/** Of somebody who stands still, or of a track without fixes, no more than this is one passing. */
const LONGEST_PASS_MS = 10 * 60_000;

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
    .map((camera) => {
      const { alongM, distanceM } = alongLine(camera, line);
      return { cameraId: camera.cameraId, alongM, distanceM };
    })
    .filter(({ distanceM }) => distanceM <= withinM)
    .sort((one, other) => one.alongM - other.alongM || one.distanceM - other.distanceM || (one.cameraId < other.cameraId ? -1 : 1));
}

/** The camera that a moving thing reaches next, when it has come that far; the last one at the end. */
export function nextFrom(cameras: readonly AlongCamera[], alongM: number): number {
  const index = cameras.findIndex((camera) => camera.alongM >= alongM);
  return index < 0 ? Math.max(0, cameras.length - 1) : index;
}

export interface Pass {
  cameraId: string;
  /** When it was nearest, and how near that is. */
  atMs: number;
  distanceM: number;
}

/**
 * Every time that a track comes within reach of a camera, by time. A camera that is passed twice stands there twice; fixes that lie far apart
 * are joined by a straight line, and the time between them is shared out by length.
 */
export function passes(cameras: readonly CameraPlace[], track: readonly Place[], timesMs: readonly number[], withinM: number): Pass[] {
  const found: Pass[] = [];
  for (const camera of cameras) {
    let best: Pass | undefined;
    let since = 0;
    const end = () => {
      if (best) found.push(best);
      best = undefined;
    };
    for (let index = 0; index + 1 < track.length; index++) {
      const [from, to] = [track[index] as Place, track[index + 1] as Place];
      const [fromMs, toMs] = [timesMs[index] as number, timesMs[index + 1] as number];
      const { distanceM, share } = alongLine(camera, [from, to]);
      if (distanceM > withinM) {
        end();
        continue;
      }
      const atMs = fromMs + share * (toMs - fromMs);
      if (best && atMs - since > LONGEST_PASS_MS) end();
      if (!best) since = atMs;
      if (!best || distanceM < best.distanceM) best = { cameraId: camera.cameraId, atMs, distanceM };
    }
    end();
  }
  return found.sort((one, other) => one.atMs - other.atMs || one.distanceM - other.distanceM || (one.cameraId < other.cameraId ? -1 : 1));
}
