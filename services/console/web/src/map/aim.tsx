import { useEffect, useRef, useState } from "react";
import type { MapEngine } from "./engine";

const STEP_PX = 60;
const FINE_STEP_PX = 6;
export const DIRECTIONS: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Placing without a pointer: the map moves under a cross in its middle, Enter sets a point there. A pointer reaches through it. */
export function Aim({ engine, focused, onPoint, onUndo }: { engine: MapEngine; focused: boolean; onPoint(longitude: number, latitude: number): void; onUndo?: (() => void) | undefined }) {
  const element = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState("");
  useEffect(() => {
    if (focused) element.current?.focus({ preventScroll: true });
  }, [focused]);
  useEffect(() => {
    const tell = () => setPlace(`${engine.map.getCenter().lat.toFixed(5)}, ${engine.map.getCenter().lng.toFixed(5)}`);
    tell();
    engine.map.on("moveend", tell);
    return () => void engine.map.off("moveend", tell);
  }, [engine]);
  const pressed = (event: React.KeyboardEvent) => {
    const direction = DIRECTIONS[event.key];
    const step = event.shiftKey ? FINE_STEP_PX : STEP_PX;
    if (direction) engine.map.panBy([direction[0] * step, direction[1] * step], { duration: 0 });
    else if (event.key === "+") engine.map.zoomIn({ duration: 0 });
    else if (event.key === "-") engine.map.zoomOut({ duration: 0 });
    else if (event.key === "Enter" || event.key === " ") onPoint(engine.map.getCenter().lng, engine.map.getCenter().lat);
    else if (event.key === "Backspace" && onUndo) onUndo();
    else return;
    // Enter means something else on the map when nothing is placed.
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div ref={element} className="aim map-aim" role="application" tabIndex={0} aria-label="Place on the map by keyboard: arrow keys move the map under the cross, with Shift a little, Enter sets a point" onKeyDown={pressed} data-testid="map-aim">
      <p className="aim-hint">
        <span className="mono" aria-live="polite">
          {place}
        </span>{" "}
        <kbd>Arrows</kbd> move <kbd>Shift</kbd> finer <kbd>Enter</kbd> set{" "}
        {onUndo && (
          <>
            <kbd>Backspace</kbd> take back
          </>
        )}
      </p>
    </div>
  );
}
