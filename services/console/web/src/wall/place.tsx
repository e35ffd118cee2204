import { useState, type DragEvent } from "react";
import { useLive } from "../live/store";
import { Button } from "../ui/parts";
import { LiveTile } from "../video/tile";
import { CAMERA_DRAG_TYPE } from "./channel";
import type { Followed, Slot } from "./plan";

/** A tile that is dragged to another place. */
export const PLACE_DRAG_TYPE = "application/x-rtcc-place";

interface PlaceProps {
  place: Slot;
  number: number;
  side: number;
  follows: Followed | undefined;
  selected: boolean;
  enlarged: boolean;
  covered: boolean;
  attempts: ReadonlyMap<string, number>;
  onSelect(): void;
  onEnlarge(): void;
  onClear(): void;
  onSearch(): void;
  onRetry(cameraId: string): void;
  onDropped(event: DragEvent): void;
}

/** One tile of a wall: a camera, the alerts' camera, or room for one. */
export function Place(props: PlaceProps) {
  const { place, number, side, follows, selected, enlarged } = props;
  const [over, setOver] = useState(false);
  const cameraId = follows?.cameraId ?? place.cameraId;
  const name = useLive((state) => (state.cameras.get(cameraId) ?? state.sharedCameras.get(cameraId)?.camera)?.name ?? "");
  const row = Math.floor(place.cell / side) + 1;
  const column = (place.cell % side) + 1;
  const takes = (event: DragEvent) => [CAMERA_DRAG_TYPE, PLACE_DRAG_TYPE].some((type) => event.dataTransfer.types.includes(type));
  return (
    <div
      className="wall-place"
      role="group"
      aria-label={`Tile ${number}: ${cameraId ? name : place.followAlerts ? "follows alerts" : "empty"}`}
      tabIndex={selected ? 0 : -1}
      data-testid="wall-place"
      data-cell={place.cell}
      data-selected={selected || undefined}
      data-enlarged={enlarged || undefined}
      data-follows={place.followAlerts || undefined}
      data-over={over || undefined}
      style={{ gridArea: `${row} / ${column} / span ${place.span} / span ${place.span}` }}
      draggable={cameraId !== "" || place.followAlerts}
      onDragStart={(event) => event.dataTransfer.setData(PLACE_DRAG_TYPE, String(place.cell))}
      onDragOver={(event) => {
        if (!takes(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        props.onDropped(event);
      }}
      onFocus={props.onSelect}
      onClick={props.onSelect}
      onDoubleClick={() => (cameraId ? props.onEnlarge() : props.onSearch())}
    >
      {cameraId ? (
        <LiveTile
          key={cameraId}
          cameraId={cameraId}
          attempt={props.attempts.get(cameraId) ?? 0}
          index={number - 1}
          enlarged={enlarged}
          covered={props.covered}
          {...(follows ? { told: follows.title } : {})}
          onEnlarge={props.onEnlarge}
          onClose={props.onClear}
          onRetry={() => props.onRetry(cameraId)}
          onReplay={() => window.open(`/playback?cameras=${encodeURIComponent(cameraId)}`, "_blank", "noopener")}
        />
      ) : (
        <div className="wall-empty">
          <span className="mono">{number}</span>
          {place.followAlerts ? (
            <span>No open alert has a camera.</span>
          ) : (
            <Button tabIndex={selected ? 0 : -1} onClick={props.onSearch} aria-label={`Put a camera into tile ${number}`}>
              + Camera
            </Button>
          )}
        </div>
      )}
    </div>
  );
}
