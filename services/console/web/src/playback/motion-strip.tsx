import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useMemo, useState } from "react";
import { clock, milliseconds } from "../contract/time";
import { useRead } from "../contract/use-call";
import { FootageSearchService } from "../generated/rtcc/video/v1/footage_search_pb";
import { useKeys } from "../shell/keys";
import { Button, ProblemNote } from "../ui/parts";
import { jump, outline, type Stretch } from "./motion";
import "./motion.css";

const LEVELS = [
  [32, "All motion"],
  [48, "Clear motion"],
  [112, "Strong motion"],
] as const;

/** Where something moved, below the time line: computed from what the coded pictures cost, a hint where to look and no more. */
export function MotionStrip(props: { cameraIds: string[]; name(id: string): string; fromMs: number; untilMs: number; nowMs: number; onSeek(ms: number): void }) {
  const { cameraIds, fromMs, untilMs } = props;
  const [threshold, setThreshold] = useState<number>(48);
  const read = useRead(FootageSearchService.method.listMotion, { cameraIds, startsAt: timestampFromMs(fromMs), endsAt: timestampFromMs(untilMs), threshold }, { what: "Motion in recordings" });
  const cameras = useMemo(
    () =>
      (read.data?.cameras ?? []).map((one) => ({
        id: one.cameraId,
        steps: one.scores.length,
        path: outline(one.scores),
        known: one.scores.some((value) => value > 0),
        stretches: one.spans.map((span): Stretch => ({ fromMs: milliseconds(span.startedAt), untilMs: milliseconds(span.endedAt), sceneChange: span.sceneChange })),
      })),
    [read.data],
  );
  const all = cameras.flatMap((one) => one.stretches);
  const go = (forward: boolean) => {
    const ms = jump(all, props.nowMs, forward);
    if (ms !== undefined) props.onSeek(ms);
  };
  useKeys({ j: () => go(true), k: () => go(false) });
  const part = (ms: number) => `${Math.min(100, Math.max(0, (100 * (ms - fromMs)) / (untilMs - fromMs)))}%`;
  const seek = (event: React.MouseEvent<HTMLDivElement>) => {
    const frame = event.currentTarget.getBoundingClientRect();
    props.onSeek(fromMs + ((event.clientX - frame.left) / frame.width) * (untilMs - fromMs));
  };
  return (
    <section className="motion card" aria-label="Motion" data-testid="motion" data-stretches={all.length}>
      <div className="row motion-head">
        <Button size="small" disabled={jump(all, props.nowMs, false) === undefined} onClick={() => go(false)} aria-label="Motion before">
          ◂ Motion <kbd>K</kbd>
        </Button>
        <Button size="small" disabled={jump(all, props.nowMs, true) === undefined} onClick={() => go(true)} aria-label="Next motion" data-testid="next-motion">
          Motion ▸ <kbd>J</kbd>
        </Button>
        <select className="input narrow" aria-label="How much motion" value={threshold} onChange={(event) => setThreshold(Number(event.target.value))}>
          {LEVELS.map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
        <span className="muted">{read.isPending ? "Reading…" : !cameras.some((one) => one.known) ? "Not measured in this time." : all.length === 1 ? "1 stretch" : `${all.length} stretches`}</span>
      </div>
      <ProblemNote error={read.error} />
      {cameras.map((one) => (
        <div key={one.id} className="motion-row" data-camera-id={one.id} title={props.name(one.id)} onClick={seek}>
          <svg viewBox={`0 0 ${one.steps} 100`} preserveAspectRatio="none" role="img" aria-label={`Motion of ${props.name(one.id)}: ${one.stretches.length} stretches`}>
            <path d={one.path} />
          </svg>
          {one.stretches.map((stretch) => (
            <button
              type="button"
              key={stretch.fromMs}
              className="motion-stretch"
              data-scene={stretch.sceneChange || undefined}
              tabIndex={-1}
              aria-label={`${stretch.sceneChange ? "The picture changed" : "Motion"} at ${clock.format(stretch.fromMs)}`}
              title={`${clock.format(stretch.fromMs)}${stretch.sceneChange ? ": the whole picture changed" : ` to ${clock.format(stretch.untilMs)}`}`}
              style={{ left: part(stretch.fromMs), width: `calc(${part(fromMs + stretch.untilMs - stretch.fromMs)} + 2px)` }}
              onClick={(event) => {
                event.stopPropagation();
                props.onSeek(stretch.fromMs);
              }}
            />
          ))}
          <span className="timeline-now" style={{ left: part(props.nowMs) }} />
        </div>
      ))}
    </section>
  );
}
