import { create } from "zustand";
import { drop } from "./pool";

export const DOCK_TILES = 4;

export interface DockTile {
  cameraId: string;
  /** Rises when the person asks for a new try. */
  attempt: number;
}

interface DockState {
  tiles: readonly DockTile[];
  enlarged: string | undefined;
}

export const useDock = create<DockState>()(() => ({ tiles: [], enlarged: undefined }));

/** These cameras and no others, best first. Tiles already open stay connected. */
export function dockCameras(cameraIds: readonly string[]): void {
  useDock.setState(({ tiles, enlarged }) => {
    const next = cameraIds.slice(0, DOCK_TILES).map((cameraId) => tiles.find((tile) => tile.cameraId === cameraId) ?? { cameraId, attempt: 0 });
    return { tiles: next, enlarged: next.some((tile) => tile.cameraId === enlarged) ? enlarged : undefined };
  });
}

/** One more; the oldest leaves when the dock is full. */
export function openCamera(cameraId: string): void {
  useDock.setState(({ tiles }) =>
    tiles.some((tile) => tile.cameraId === cameraId) ? {} : { tiles: [...tiles, { cameraId, attempt: 0 }].slice(-DOCK_TILES) },
  );
}

export function closeCamera(cameraId: string): void {
  useDock.setState(({ tiles, enlarged }) => ({ tiles: tiles.filter((tile) => tile.cameraId !== cameraId), enlarged: enlarged === cameraId ? undefined : enlarged }));
}

export function retryCamera(cameraId: string): void {
  drop(cameraId);
  useDock.setState(({ tiles }) => ({ tiles: tiles.map((tile) => (tile.cameraId === cameraId ? { ...tile, attempt: tile.attempt + 1 } : tile)) }));
}

export function enlarge(index: number): void {
  useDock.setState(({ tiles, enlarged }) => {
    const cameraId = tiles[index]?.cameraId;
    return { enlarged: cameraId === enlarged ? undefined : cameraId };
  });
}
