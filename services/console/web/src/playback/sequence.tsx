import { useEffect, useRef, useState } from "react";
import { clock } from "../contract/time";
import { useLive } from "../live/store";
import { useKeys } from "../shell/keys";
import { Page } from "../ui/page";
import { Button } from "../ui/parts";
import { orderText, type Passing } from "./order";
import { Stage } from "./stage";
import { footagePicture } from "./strip";

/** Cameras one after the other, each with its own time: along the way that somebody went. */
export function Sequence({ order }: { order: readonly Passing[] }) {
  const [index, setIndex] = useState(0);
  const [playingOn, setPlayingOn] = useState(true);
  const own = useLive((state) => state.cameras);
  const shared = useLive((state) => state.sharedCameras);
  const name = (id: string) => (own.get(id) ?? shared.get(id)?.camera)?.name ?? "Camera";
  const current = order[index] as Passing;
  const show = (to: number) => setIndex(Math.max(0, Math.min(order.length - 1, to)));
  useKeys({ "[": () => show(index - 1), "]": () => show(index + 1) });
  return (
    <Page
      title="Recordings along the way"
      actions={
        <>
          <Button disabled={index === 0} onClick={() => show(index - 1)}>
            Camera before <kbd>[</kbd>
          </Button>
          <Button disabled={index === order.length - 1} onClick={() => show(index + 1)} data-testid="next-camera">
            Next camera <kbd>]</kbd>
          </Button>
          <label className="check">
            <input type="checkbox" checked={playingOn} onChange={(event) => setPlayingOn(event.target.checked)} />
            Play in order
          </label>
        </>
      }
    >
      <div className="sequence" data-testid="sequence" data-index={index} data-count={order.length}>
        <ol className="sequence-list" aria-label="Cameras in the order of passing">
          {order.map((one, number) => (
            <li key={`${one.cameraId}/${one.fromMs}`}>
              <button type="button" className="list-row" aria-current={number === index ? "step" : undefined} data-selected={number === index || undefined} data-camera={one.cameraId} onClick={() => show(number)}>
                <Still passing={one} />
                <span className="list-text">
                  <span className="ellipsis">
                    {number + 1}. {name(one.cameraId)}
                  </span>
                  <span className="muted mono">
                    {clock.format(one.fromMs)} – {clock.format(one.untilMs)}
                  </span>
                </span>
              </button>
            </li>
          ))}
        </ol>
        <Stage
          key={`${index}/${orderText([current])}`}
          cameraIds={[current.cameraId]}
          name={name}
          fromMs={current.fromMs}
          untilMs={current.untilMs}
          onEnd={() => {
            if (playingOn) show(index + 1);
          }}
        />
      </div>
    </Page>
  );
}

/** What the camera showed when the way led past it. */
function Still({ passing }: { passing: Passing }) {
  const holder = useRef<HTMLSpanElement>(null);
  const [url, setUrl] = useState("");
  const [missing, setMissing] = useState(false);
  useEffect(() => {
    const stop = new AbortController();
    let made = "";
    // Asked for when the row comes into sight: a long way has many.
    const look = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      look.disconnect();
      footagePicture(passing.cameraId, passing.atMs ?? (passing.fromMs + passing.untilMs) / 2, stop.signal)
        .then((picture) => {
          made = URL.createObjectURL(picture);
          setUrl(made);
        })
        .catch(() => stop.signal.aborted || setMissing(true));
    });
    if (holder.current) look.observe(holder.current);
    return () => {
      look.disconnect();
      stop.abort();
      URL.revokeObjectURL(made);
    };
  }, [passing.cameraId, passing.fromMs, passing.untilMs, passing.atMs]);
  return (
    <span ref={holder} className="sequence-still">
      {url ? <img src={url} alt="" /> : <span className="muted">{missing ? "none" : "…"}</span>}
    </span>
  );
}
