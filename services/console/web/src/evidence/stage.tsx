import { useRef, useState, type RefObject } from "react";
import { RedactionMode, RedactionStyle } from "../generated/rtcc/video/v1/redaction_pb";
import { between, fitted, rectangleAt, type Rectangle, type Region } from "./regions";

const STEP = 0.01;
type Corner = readonly [number, number];

interface StageProps {
  video: RefObject<HTMLVideoElement | null>;
  regions: readonly Region[];
  nowMs: number;
  mode: RedactionMode;
  style: RedactionStyle;
  chosen: number;
  note: string | undefined;
  onChoose(index: number): void;
  onAdd(rectangle: Rectangle): void;
  onPlace(index: number, rectangle: Rectangle): void;
}

/** The picture with its regions on it: drawn, moved and sized by pointer or by key. Shows about what the copy will show. */
export function Stage(props: StageProps) {
  const { regions, nowMs, mode, style } = props;
  const frame = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState<{ index: number; rectangle: Rectangle }>();
  const shown = regions.map((region, index) => (drawn?.index === index ? drawn.rectangle : rectangleAt(region, nowMs)));

  const place = (event: React.PointerEvent): Corner => {
    const box = (frame.current as HTMLDivElement).getBoundingClientRect();
    return [Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)), Math.min(1, Math.max(0, (event.clientY - box.top) / box.height))];
  };
  /** Follows the pointer until it is lifted; `made` says what rectangle its place means. */
  const drag = (event: React.PointerEvent, index: number, made: (now: Corner) => Rectangle, done: (rectangle: Rectangle) => void) => {
    event.preventDefault();
    event.stopPropagation();
    const stop = new AbortController();
    const moved = (next: PointerEvent) => setDrawn({ index, rectangle: fitted(made(place(next as unknown as React.PointerEvent))) });
    window.addEventListener("pointermove", moved, { signal: stop.signal });
    window.addEventListener(
      "pointerup",
      (last) => {
        stop.abort();
        setDrawn(undefined);
        done(fitted(made(place(last as unknown as React.PointerEvent))));
      },
      { signal: stop.signal },
    );
    window.addEventListener("pointercancel", () => (stop.abort(), setDrawn(undefined)), { signal: stop.signal });
  };
  const draw = (event: React.PointerEvent) => {
    // without a picture there is nothing to aim at, and the frame has another shape yet
    if (!props.video.current?.videoWidth) return;
    const first = place(event);
    drag(event, regions.length, (now) => between(first, now), (rectangle) => rectangle.width > 0.015 && rectangle.height > 0.015 && props.onAdd(rectangle));
  };
  const move = (event: React.PointerEvent, index: number, old: Rectangle) => {
    const first = place(event);
    props.onChoose(index);
    drag(event, index, (now) => ({ ...old, left: old.left + now[0] - first[0], top: old.top + now[1] - first[1] }), (rectangle) => props.onPlace(index, rectangle));
  };
  const size = (event: React.PointerEvent, index: number, old: Rectangle) =>
    drag(event, index, (now) => between([old.left, old.top], [Math.max(now[0], old.left), Math.max(now[1], old.top)]), (rectangle) => props.onPlace(index, rectangle));
  const pressed = (event: React.KeyboardEvent, index: number, old: Rectangle) => {
    const [x, y] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
    if (x === undefined || y === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    props.onPlace(index, event.shiftKey ? { ...old, width: old.width + x * STEP, height: old.height + y * STEP } : { ...old, left: old.left + x * STEP, top: old.top + y * STEP });
  };
  const hides = mode === RedactionMode.INSIDE;
  return (
    <div className="redaction-stage" ref={frame} onPointerDown={draw} data-testid="stage">
      <video ref={props.video} muted playsInline aria-label="The recording that is redacted" />
      {!hides && <Veil openings={shown} />}
      {[...shown, ...(drawn?.index === regions.length ? [drawn.rectangle] : [])].map(
        (rectangle, index) =>
          rectangle && (
            <div
              key={index}
              role="button"
              tabIndex={0}
              className="redaction-box"
              aria-label={`Region ${index + 1}: move by the arrow keys, size with Shift`}
              data-testid="redaction-box"
              data-hides={hides}
              data-cover={style === RedactionStyle.COVER}
              data-chosen={index === props.chosen}
              style={{ left: `${100 * rectangle.left}%`, top: `${100 * rectangle.top}%`, width: `${100 * rectangle.width}%`, height: `${100 * rectangle.height}%` }}
              onPointerDown={(event) => move(event, index, rectangle)}
              onFocus={() => props.onChoose(index)}
              onKeyDown={(event) => pressed(event, index, rectangle)}
            >
              <span className="redaction-number">{index + 1}</span>
              <span className="redaction-corner" onPointerDown={(event) => size(event, index, rectangle)} />
            </div>
          ),
      )}
      {props.note && <div className="tile-note">{props.note}</div>}
    </div>
  );
}

/** Everything but the openings. */
function Veil({ openings }: { openings: readonly (Rectangle | undefined)[] }) {
  return (
    <svg className="redaction-veil" viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true">
      <mask id="redaction-openings">
        <rect width="1" height="1" fill="#fff" />
        {openings.map((one, index) => one && <rect key={index} x={one.left} y={one.top} width={one.width} height={one.height} fill="#000" />)}
      </mask>
      <rect width="1" height="1" mask="url(#redaction-openings)" />
    </svg>
  );
}
