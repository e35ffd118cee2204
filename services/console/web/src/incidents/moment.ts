/** A moment of a camera that is on its way into an incident. */
import { create } from "zustand";
import { useLive } from "../live/store";
import { useSession } from "../session/store";

export interface CameraMoment {
  cameraId: string;
  cameraName: string;
  /** The stretch of the recording that the entry leads back to, Unix milliseconds. */
  fromMs: number;
  untilMs: number;
  /** What was on the screen; undefined: there was none, or it may not be copied. */
  picture: Blob | undefined;
  /** Why there is no picture. */
  without: string;
}

export const useMoment = create<{ moment: CameraMoment | undefined }>()(() => ({ moment: undefined }));

/** So much is shown before and after a moment that somebody pointed at. */
const BEFORE_MS = 2_000;
const AFTER_MS = 3_000;
const QUALITY = 0.9;

/** Own cameras' pictures may be copied, a partner's only where the agreement lets recordings leave. */
export function mayCopy(cameraId: string): boolean {
  const { cameras, sharedCameras, agreements } = useLive.getState();
  const shared = cameras.has(cameraId) ? undefined : sharedCameras.get(cameraId);
  return !shared || (agreements.get(shared.agreementId)?.camerasExport ?? false);
}

/** What a video shows now, as a JPEG. */
export function frameOf(video: HTMLVideoElement | null | undefined): Promise<Blob | undefined> {
  if (!video?.videoWidth) return Promise.resolve(undefined);
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? undefined), "image/jpeg", QUALITY));
}

/** Opens the dialog with what is on the screen. `atMs` undefined: now, live. */
export async function toIncident(cameraId: string, cameraName: string, video: HTMLVideoElement | null | undefined, atMs?: number, marks?: readonly [number, number]): Promise<void> {
  const at = atMs ?? Date.now() + useSession.getState().clockSkewMs;
  const allowed = mayCopy(cameraId);
  const picture = allowed ? await frameOf(video) : undefined;
  const [fromMs, untilMs] = marks && marks[1] > marks[0] ? marks : [at - BEFORE_MS, at + AFTER_MS];
  const without = !allowed ? "The partner's agreement lets no copies of its pictures leave: the entry leads to the recording." : picture ? "" : "No picture is on the screen: the entry leads to the recording.";
  useMoment.setState({ moment: { cameraId, cameraName, fromMs, untilMs, picture, without } });
}

/** Where an entry leads back to. */
export const playbackAt = (cameraId: string, fromMs: number, untilMs: number): string => `/playback?cameras=${encodeURIComponent(cameraId)}&until=${Math.round(untilMs + 60_000)}&at=${Math.round(fromMs)}`;
