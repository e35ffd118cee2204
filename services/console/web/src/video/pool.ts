/** Viewers that are open, one a camera: a tile takes over the connection that pre-connecting began. */
import { relayEndings } from "../live/store";
import { WhepViewer } from "./whep";

const UNUSED_CLOSES_AFTER_MS = 15_000;
/** Decoding more at once stutters on the machines that stand at desks. */
export const MOST_LIVE = 16;
const viewers = new Map<string, { viewer: WhepViewer; users: number; timer: ReturnType<typeof setTimeout> | undefined }>();

/** Undefined: as many are open as this window takes. One that nobody looks at any more makes room. */
export function takeViewer(cameraId: string, partner: boolean, name: string): WhepViewer | undefined {
  let held = viewers.get(cameraId);
  if (!held && viewers.size >= MOST_LIVE) {
    const [unused] = [...viewers].find(([, one]) => one.users === 0) ?? [];
    if (unused === undefined) return undefined;
    drop(unused);
  }
  if (!held) {
    held = { viewer: new WhepViewer(cameraId, partner, name), users: 0, timer: undefined };
    viewers.set(cameraId, held);
  }
  clearTimeout(held.timer);
  held.users += 1;
  return held.viewer;
}

export function releaseViewer(cameraId: string, keepWarm = false): void {
  const held = viewers.get(cameraId);
  if (!held) return;
  held.users -= 1;
  if (held.users > 0) return;
  if (keepWarm) held.timer = setTimeout(() => drop(cameraId), UNUSED_CLOSES_AFTER_MS);
  else drop(cameraId);
}

/** Begin now what a tile will probably want in a second. Own cameras only: a partner's is never opened without its purpose. */
export function preconnect(cameraId: string, name: string): void {
  if (viewers.has(cameraId) || viewers.size >= MOST_LIVE) return;
  takeViewer(cameraId, false, name);
  releaseViewer(cameraId, true);
}

/** A right ended, or a new try was asked for. */
export function drop(cameraId: string): void {
  const held = viewers.get(cameraId);
  viewers.delete(cameraId);
  clearTimeout(held?.timer);
  held?.viewer.close();
}

export function dropAll(): void {
  for (const cameraId of [...viewers.keys()]) drop(cameraId);
}

/** A relay that is asked to go leaves time; all views at once would be a rush on the others. */
const SPREAD_MS = 1_000;

relayEndings.add((relayId, lost) => {
  for (const { viewer } of viewers.values()) {
    if (viewer.relayId === relayId) setTimeout(() => viewer.move(relayId), lost ? 0 : Math.random() * SPREAD_MS);
  }
});
