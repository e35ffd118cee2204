import { lazy, Suspense, useEffect, useState } from "react";
import { toIncident } from "../incidents/moment";
import { useLive } from "../live/store";
import { useMap } from "../map/store";
import { useRight, useSession } from "../session/store";
import { useKeys } from "../shell/keys";
import { Icon } from "../ui/icons";
import { Button } from "../ui/parts";
import { CAMERA_DRAG_TYPE, WallChannel } from "../wall/channel";
import { closeCamera, enlarge, retryCamera, useDock } from "./dock";
import { LiveTile } from "./tile";
import "./video.css";

const ToWall = lazy(() => import("../wall/to-wall").then((module) => ({ default: module.ToWall })));

/** A tile of the dock: live pictures, and the dock's own actions. */
export function VideoTile({ cameraId, attempt, index, onWall }: { cameraId: string; attempt: number; index: number; onWall?: (() => void) | undefined }) {
  const enlarged = useDock((state) => state.enlarged === cameraId);
  const extra = onWall && (
    <Button look="quiet" size="small" className="tile-more" aria-label="Send to the wall" title="Send to the wall (W)" onClick={onWall}>
      <Icon name="walls" size={16} />
    </Button>
  );
  return <LiveTile cameraId={cameraId} attempt={attempt} index={index} enlarged={enlarged} extra={extra} onEnlarge={() => enlarge(index)} onClose={() => closeCamera(cameraId)} onRetry={() => retryCamera(cameraId)} />;
}

/** Up to four live cameras below the map; one may be enlarged. */
export function VideoDock() {
  const tiles = useDock((state) => state.tiles);
  const enlarged = useDock((state) => state.enlarged);
  const mayWall = useRight("wall.list");
  const [sending, setSending] = useState<string>();
  const mayNote = useRight("incident.add_entry");
  useKeys({
    ...(mayWall && tiles.length ? { w: () => setSending(meant()) } : {}),
    ...(mayNote && tiles.length ? { b: () => void bookmark(meant()) } : {}),
  });
  useSelectionForWalls(mayWall);
  if (!tiles.length) return null;
  return (
    <section className="dock" aria-label="Video" data-testid="dock" data-count={tiles.length} data-enlarged={enlarged ? true : undefined}>
      {tiles.map((tile, index) => (
        <div key={tile.cameraId} className="dock-tile" data-enlarged={enlarged === tile.cameraId || undefined} draggable={mayWall} onDragStart={(event) => event.dataTransfer.setData(CAMERA_DRAG_TYPE, tile.cameraId)}>
          <VideoTile cameraId={tile.cameraId} attempt={tile.attempt} index={index} onWall={mayWall ? () => setSending(tile.cameraId) : undefined} />
        </div>
      ))}
      {sending && (
        <Suspense fallback={null}>
          <ToWall key={sending} cameraId={sending} onDone={() => setSending(undefined)} />
        </Suspense>
      )}
    </section>
  );
}

/** The tile that has the focus or lies under the pointer; else the enlarged one, else the first. */
function meant(): string | undefined {
  const { tiles, enlarged } = useDock.getState();
  const pointed = document.activeElement?.closest<HTMLElement>(".dock [data-camera-id]") ?? document.querySelector<HTMLElement>(".dock [data-camera-id]:hover");
  return pointed?.dataset.cameraId ?? enlarged ?? tiles[0]?.cameraId;
}

function bookmark(cameraId: string | undefined): Promise<void> | undefined {
  if (!cameraId) return undefined;
  const { cameras, sharedCameras } = useLive.getState();
  const name = (cameras.get(cameraId) ?? sharedCameras.get(cameraId)?.camera)?.name ?? "Camera";
  return toIncident(cameraId, name, document.querySelector<HTMLVideoElement>(`.dock [data-camera-id="${CSS.escape(cameraId)}"] video`));
}

/** A wall beside this window asks for what is chosen on the map: the docked cameras, then those along the line that lies on it. */
function useSelectionForWalls(may: boolean): void {
  const sessionId = useSession((state) => state.session?.session_id ?? "");
  useEffect(() => {
    if (!may || !sessionId) return;
    const channel = new WallChannel(sessionId, (message) => {
      if (message.kind !== "selection") return;
      const cameraIds = [...new Set([...useDock.getState().tiles.map(({ cameraId }) => cameraId), ...useMap.getState().along])];
      if (cameraIds.length) channel.tell({ kind: "selected", askId: message.askId, cameraIds });
    });
    return () => channel.close();
  }, [may, sessionId]);
}
