import { clock } from "../contract/time";
import type { Recorded } from "./deck";
import { bars } from "./timeline";

/** What is recorded of each camera and what isn't, by time; scrubbed by pointer or arrow keys. */
export function Timeline(props: { cameraIds: string[]; recorded: ReadonlyMap<string, Recorded>; fromMs: number; untilMs: number; nowMs: number; marks: [number, number] | undefined; onSeek(ms: number): void }) {
  const { fromMs, untilMs, marks } = props;
  const part = (ms: number) => `${Math.min(100, Math.max(0, (100 * (ms - fromMs)) / (untilMs - fromMs)))}%`;
  const wide = (a: number, b: number) => `${(100 * (Math.min(b, untilMs) - Math.max(a, fromMs))) / (untilMs - fromMs)}%`;
  const slide = (event: React.PointerEvent<HTMLDivElement>) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const frame = event.currentTarget.getBoundingClientRect();
    props.onSeek(fromMs + ((event.clientX - frame.left) / frame.width) * (untilMs - fromMs));
  };
  return (
    <div className="timeline card">
      <div className="timeline-track" role="slider" tabIndex={0} aria-label="Time" aria-valuemin={fromMs} aria-valuemax={untilMs} aria-valuenow={Math.round(props.nowMs)} aria-valuetext={clock.format(props.nowMs)} data-testid="timeline" onPointerDown={slide} onPointerMove={slide} onKeyDown={(event) => event.key === "ArrowRight" ? props.onSeek(props.nowMs + 10_000) : event.key === "ArrowLeft" && props.onSeek(props.nowMs - 10_000)}>
        {props.cameraIds.map((id) => (
          <div className="timeline-row" key={id} data-camera-id={id}>
            {bars(props.recorded.get(id)?.stretches ?? [], (untilMs - fromMs) / 1000).map((bar) => (
              <span key={bar.fromMs} className="timeline-bar" style={{ left: part(bar.fromMs), width: wide(bar.fromMs, bar.untilMs) }} />
            ))}
            {(props.recorded.get(id)?.holes ?? []).map((hole) => (
              <span key={hole.fromMs} className="timeline-hole" data-kind={hole.kind} title={`${clock.format(hole.fromMs)} to ${clock.format(hole.untilMs)}: ${hole.reason}`} style={{ left: part(hole.fromMs), width: wide(hole.fromMs, hole.untilMs) }} />
            ))}
          </div>
        ))}
        {marks && <span className="timeline-marks" style={{ left: part(marks[0]), width: wide(marks[0], marks[1]) }} />}
        <span className="timeline-now" style={{ left: part(props.nowMs) }} />
      </div>
      <div className="spread muted mono">
        <span>{clock.format(fromMs)}</span>
        <span>{clock.format(untilMs)}</span>
      </div>
    </div>
  );
}
