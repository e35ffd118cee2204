import { useDock } from "./dock";
import { VideoTile } from "./tile";
import "./video.css";

/** Up to four live cameras below the map; one may be enlarged. */
export function VideoDock() {
  const tiles = useDock((state) => state.tiles);
  const enlarged = useDock((state) => state.enlarged);
  if (!tiles.length) return null;
  return (
    <section className="dock" aria-label="Video" data-testid="dock" data-count={tiles.length} data-enlarged={enlarged ? true : undefined}>
      {tiles.map((tile, index) => (
        <VideoTile key={tile.cameraId} cameraId={tile.cameraId} attempt={tile.attempt} index={index} />
      ))}
    </section>
  );
}
