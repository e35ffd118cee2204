import { useMemo, useState } from "react";
import { clock } from "../contract/time";
import { useSession } from "../session/store";
import { go } from "../shell/router";
import { Button } from "../ui/parts";
import { MOST_PASSINGS, orderText, type Passing } from "../playback/order";
import { passes, type AlongCamera, type CameraPlace, type Place } from "./order";

const MARGINS_S = [15, 30, 60, 120, 300] as const;
const DEFAULT_MIN = 15;
const local = (ms: number) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);

interface Props {
  /** In the order of the way. */
  cameras: readonly AlongCamera[];
  places: readonly CameraPlace[];
  line: readonly Place[];
  /** When it was at each point of the line; undefined for a line that somebody drew. */
  timesMs: readonly number[] | undefined;
  withinM: number;
  name(cameraId: string): string;
}

/** What the cameras along the way recorded: of a track around each passing, of a drawn line between two times. */
export function RecordedAlong({ cameras, places, line, timesMs, withinM, name }: Props) {
  const skewMs = useSession((state) => state.clockSkewMs);
  const [marginS, setMarginS] = useState<number>(30);
  const [untilMs, setUntilMs] = useState(() => Date.now() + skewMs);
  const [fromMs, setFromMs] = useState(() => Date.now() + skewMs - DEFAULT_MIN * 60_000);
  const order = useMemo((): Passing[] => {
    if (!timesMs) return untilMs > fromMs ? cameras.map(({ cameraId }) => ({ cameraId, fromMs, untilMs })) : [];
    return passes(places, line, timesMs, withinM).map(({ cameraId, atMs }) => ({ cameraId, fromMs: atMs - marginS * 1000, untilMs: atMs + marginS * 1000, atMs }));
  }, [cameras, places, line, timesMs, withinM, marginS, fromMs, untilMs]);
  const shown = order.slice(0, MOST_PASSINGS);
  return (
    <div className="stack tight" data-testid="along-recorded" data-passings={order.length}>
      {timesMs ? (
        <label className="row">
          <span className="secondary">Around each passing</span>
          <select className="input narrow" value={marginS} onChange={(event) => setMarginS(Number(event.target.value))}>
            {MARGINS_S.map((seconds) => (
              <option key={seconds} value={seconds}>
                ± {seconds} s
              </option>
            ))}
          </select>
        </label>
      ) : (
        <>
          <label className="row">
            <span className="secondary along-label">From</span>
            <input className="input narrow" type="datetime-local" step={1} value={local(fromMs)} onChange={(event) => setFromMs(Date.parse(event.target.value) || fromMs)} />
          </label>
          <label className="row">
            <span className="secondary along-label">Until</span>
            <input className="input narrow" type="datetime-local" step={1} value={local(untilMs)} onChange={(event) => setUntilMs(Date.parse(event.target.value) || untilMs)} />
          </label>
          {untilMs <= fromMs && (
            <p className="problem" role="alert">
              The end lies before the beginning.
            </p>
          )}
        </>
      )}
      {order.length > shown.length && <p className="note">The first {shown.length} of {order.length}: take a shorter way or time for the others.</p>}
      <Button look="primary" disabled={!shown.length} onClick={() => go(`/playback?order=${orderText(shown)}`)} data-testid="along-play">
        Play {shown.length} in order
      </Button>
      <ol className="along-list" aria-label="Recordings in order">
        {shown.map((one, index) => (
          <li key={`${one.cameraId}/${one.fromMs}`} data-camera={one.cameraId}>
            <button type="button" className="link" onClick={() => go(`/playback?order=${orderText(shown.slice(index))}`)}>
              <span className="mono muted">{clock.format(one.atMs ?? one.fromMs)}</span> <span className="ellipsis">{name(one.cameraId)}</span>
            </button>
          </li>
        ))}
      </ol>
    </div>
  );
}
