import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useEffect, useMemo, useRef, useState } from "react";
import { send } from "../contract/call";
import { exchange } from "../contract/exchange";
import { clock, dayAndTime } from "../contract/time";
import { useRead } from "../contract/use-call";
import { FootageService, type ListFootageResponse } from "../generated/rtcc/video/v1/footage_pb";
import { RegistryService } from "../generated/rtcc/registry/v1/registry_pb";
import { useLive } from "../live/store";
import { useRight } from "../session/store";
import { useKeys } from "../shell/keys";
import { go } from "../shell/router";
import { Page } from "../ui/page";
import { Button, ProblemNote } from "../ui/parts";
import { Bookmark, ExportDialog } from "./handover";
import { MotionStrip } from "./motion-strip";
import { FootagePlayer } from "./player";
import { at, bars, holesOf, nextPicture, stretchesOf, type Hole, type Stretch } from "./timeline";
import "./playback.css";

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16] as const;
const LENGTHS_MIN = [5, 15, 60, 360] as const;
const MOST_CAMERAS = 4;
const FRAME_MS = 1000 / 25;
const PICTURES = 8;

interface Recorded {
  stretches: Stretch[];
  holes: Hole[];
  codecs: Map<string, string>;
}

const local = (ms: number) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);

/** What up to four cameras showed, in step: one clock for all, by the server's time of day. */
export default function Playback() {
  const asked = new URLSearchParams(location.search);
  const [cameraIds, setCameraIds] = useState<string[]>((asked.get("cameras") ?? "").split(",").filter(Boolean).slice(0, MOST_CAMERAS));
  const [lengthMin, setLengthMin] = useState<number>(15);
  const [untilMs, setUntilMs] = useState(Number(asked.get("until")) || Date.now());
  const [atMs] = useState(Number(asked.get("at")));
  const fromMs = untilMs - lengthMin * 60_000;
  useEffect(() => go(`/playback?cameras=${cameraIds.join(",")}&until=${untilMs}`, true), [cameraIds, untilMs]);
  const cameras = useRead(RegistryService.method.listCameras, {});
  const shared = useLive((state) => state.sharedCameras);
  const all = [...(cameras.data?.cameras ?? []), ...[...shared.values()].flatMap(({ camera }) => camera ?? [])];
  const name = (id: string) => all.find(({ cameraId }) => cameraId === id)?.name ?? id;
  return (
    <Page
      title="Playback"
      actions={
        <>
          <select className="input narrow" aria-label="Add a camera" value="" disabled={cameraIds.length >= MOST_CAMERAS} onChange={(event) => setCameraIds([...cameraIds, event.target.value])}>
            <option value="">Add a camera…</option>
            {all
              .filter(({ cameraId, hasStream }) => hasStream && !cameraIds.includes(cameraId))
              .map(({ cameraId, name }) => (
                <option key={cameraId} value={cameraId}>
                  {name}
                </option>
              ))}
          </select>
          <select className="input narrow" aria-label="Length" value={lengthMin} onChange={(event) => setLengthMin(Number(event.target.value))}>
            {LENGTHS_MIN.map((minutes) => (
              <option key={minutes} value={minutes}>
                {minutes < 60 ? `${minutes} min` : `${minutes / 60} h`}
              </option>
            ))}
          </select>
          <input className="input narrow" type="datetime-local" step={1} aria-label="Until" value={local(untilMs)} onChange={(event) => setUntilMs(Date.parse(event.target.value) || untilMs)} />
          <Button onClick={() => setUntilMs(Date.now())}>Until now</Button>
        </>
      }
    >
      {cameraIds.length ? (
        <Stage key={`${cameraIds.join()}/${fromMs}/${untilMs}`} cameraIds={cameraIds} name={name} fromMs={fromMs} untilMs={untilMs} atMs={atMs} onRemove={(id) => setCameraIds(cameraIds.filter((one) => one !== id))} />
      ) : (
        <p className="empty card">Choose one to four cameras to see what they showed.</p>
      )}
    </Page>
  );
}

function Stage(props: { cameraIds: string[]; name(id: string): string; fromMs: number; untilMs: number; atMs: number; onRemove(id: string): void }) {
  const { cameraIds, fromMs, untilMs } = props;
  const [recorded, setRecorded] = useState<ReadonlyMap<string, Recorded>>();
  const [problem, setProblem] = useState<unknown>();
  useEffect(() => {
    const stop = new AbortController();
    const window = { startsAt: timestampFromMs(fromMs), endsAt: timestampFromMs(untilMs) };
    Promise.all(cameraIds.map((cameraId) => send(FootageService.method.listFootage, { cameraId, ...window }, { signal: stop.signal, what: "Recordings" })))
      .then((answers) => setRecorded(new Map(answers.map((answer, index) => [cameraIds[index] as string, read(answer)]))))
      .catch((error: unknown) => stop.signal.aborted || setProblem(error));
    return () => stop.abort();
  }, []);
  if (problem) return <ProblemNote error={problem} />;
  if (!recorded) return <p className="empty card">Reading what is recorded…</p>;
  return <Deck {...props} recorded={recorded} />;
}

const read = (answer: ListFootageResponse): Recorded => ({ stretches: stretchesOf(answer.segments), holes: holesOf(answer.gaps), codecs: new Map(answer.inits.map((one) => [one.initId, one.codec])) });

function Deck(props: { cameraIds: string[]; name(id: string): string; fromMs: number; untilMs: number; atMs: number; onRemove(id: string): void; recorded: ReadonlyMap<string, Recorded> }) {
  const { cameraIds, fromMs, untilMs, recorded, name } = props;
  const all = useMemo(() => cameraIds.map((id) => recorded.get(id)?.stretches ?? []), [cameraIds, recorded]);
  const startMs = nextPicture(all, fromMs - 1) ?? fromMs;
  const [nowMs, setNowMs] = useState(props.atMs > fromMs && props.atMs < untilMs ? props.atMs : Math.max(fromMs, startMs));
  const [playing, setPlaying] = useState(false);
  const [speed, setSpeed] = useState<number>(1);
  const [marks, setMarks] = useState<[number, number]>();
  const [dialog, setDialog] = useState<"bookmark" | "export">();
  const mayExport = useRight("footage.export");
  const mayNote = useRight("incident.add_entry");
  const players = useRef(new Map<string, FootagePlayer>());
  const off = useRef(new Map<string, number>());
  const moment = useRef(nowMs);
  const [, repaint] = useState(0);

  const seek = (ms: number) => {
    moment.current = Math.min(untilMs, Math.max(fromMs, ms));
    setNowMs(moment.current);
  };
  useEffect(() => {
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      if (playing) {
        moment.current += (now - last) * speed;
        if (all.every((stretches) => at(stretches, moment.current) < 0)) moment.current = nextPicture(all, moment.current) ?? untilMs;
        if (moment.current >= untilMs) {
          moment.current = untilMs;
          setPlaying(false);
        }
      }
      last = now;
      for (const [id, player] of players.current) {
        const apart = player.follow(moment.current, speed, playing);
        if (apart === undefined) off.current.delete(id);
        else off.current.set(id, apart);
      }
      setNowMs(moment.current);
    }, 50);
    return () => clearInterval(timer);
  }, [playing, speed, all, untilMs]);

  const step = (frames: number) => {
    setPlaying(false);
    seek(moment.current + frames * FRAME_MS);
  };
  useKeys({ " ": () => setPlaying((before) => !before), ".": () => step(1), ",": () => step(-1) });
  const apart = [...off.current.values()];
  const spread = apart.length > 1 ? Math.max(...apart) - Math.min(...apart) : 0;
  return (
    <div className="stack" data-testid="playback" data-now={Math.round(nowMs)} data-playing={playing} data-spread-ms={Math.round(spread)}>
      <div className="deck" data-count={cameraIds.length}>
        {cameraIds.map((id) => (
          <Screen key={id} cameraId={id} name={name(id)} recorded={recorded.get(id) as Recorded} originMs={fromMs} nowMs={nowMs} onRemove={() => props.onRemove(id)} onPlayer={(player) => (player ? players.current.set(id, player) : players.current.delete(id))} onChange={() => repaint((count) => count + 1)} />
        ))}
      </div>
      <div className="row playback-bar">
        <Button look="primary" onClick={() => setPlaying(!playing)} data-testid="play">
          {playing ? "Pause" : "Play"} <kbd>Space</kbd>
        </Button>
        <Button onClick={() => step(-1)} aria-label="One picture back">
          ◂ <kbd>,</kbd>
        </Button>
        <Button onClick={() => step(1)} aria-label="One picture on" data-testid="step">
          ▸ <kbd>.</kbd>
        </Button>
        <select className="input narrow" aria-label="Speed" value={speed} onChange={(event) => setSpeed(Number(event.target.value))}>
          {SPEEDS.map((one) => (
            <option key={one} value={one}>
              {one}×
            </option>
          ))}
        </select>
        <strong className="mono" data-testid="moment">
          {dayAndTime(timestampFromMs(nowMs))}
        </strong>
        <span className="grow" />
        <Button onClick={() => setMarks([nowMs, Math.max(nowMs, marks?.[1] ?? 0)])}>Mark in</Button>
        <Button onClick={() => setMarks([Math.min(nowMs, marks?.[0] ?? nowMs), nowMs])}>Mark out</Button>
        {mayNote && <Button onClick={() => setDialog("bookmark")}>Bookmark…</Button>}
        {mayExport && (
          <Button disabled={!marks || marks[1] <= marks[0]} onClick={() => setDialog("export")} data-testid="export">
            Export…
          </Button>
        )}
      </div>
      <Timeline {...props} nowMs={nowMs} marks={marks} onSeek={seek} />
      <MotionStrip cameraIds={cameraIds} name={name} fromMs={fromMs} untilMs={untilMs} nowMs={nowMs} onSeek={seek} />
      <Strip cameraId={cameraIds[0] as string} fromMs={fromMs} untilMs={untilMs} onSeek={seek} />
      {dialog === "bookmark" && <Bookmark cameraId={cameraIds[0] as string} cameraName={name(cameraIds[0] as string)} fromMs={marks?.[0] ?? nowMs} untilMs={marks?.[1] ?? nowMs} onClose={() => setDialog(undefined)} />}
      {dialog === "export" && marks && <ExportDialog cameraIds={cameraIds} name={name} fromMs={marks[0]} untilMs={marks[1]} onClose={() => setDialog(undefined)} />}
    </div>
  );
}

function Screen(props: { cameraId: string; name: string; recorded: Recorded; originMs: number; nowMs: number; onRemove(): void; onPlayer(player: FootagePlayer | undefined): void; onChange(): void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [player, setPlayer] = useState<FootagePlayer>();
  const { stretches, holes, codecs } = props.recorded;
  useEffect(() => {
    const made = new FootagePlayer(video.current as HTMLVideoElement, props.cameraId, codecs, stretches, props.originMs, props.onChange);
    setPlayer(made);
    props.onPlayer(made);
    return () => {
      props.onPlayer(undefined);
      made.stop();
    };
  }, []);
  const shown = at(stretches, props.nowMs) >= 0;
  const hole = holes.find((one) => props.nowMs >= one.fromMs && props.nowMs < one.untilMs);
  return (
    <figure className="tile" data-camera-id={props.cameraId} data-shown={shown}>
      <video ref={video} muted playsInline aria-label={`Recorded: ${props.name}`} style={{ visibility: shown ? "visible" : "hidden" }} />
      <figcaption>
        <span className="ellipsis tile-name">{props.name}</span>
        <span className="grow" />
        <Button look="quiet" size="small" aria-label={`Close ${props.name}`} onClick={props.onRemove}>
          ✕
        </Button>
      </figcaption>
      {!shown && (
        <div className="tile-note" role="status">
          {hole?.reason ?? "Nothing is recorded here."}
        </div>
      )}
      {player?.problem && <div className="tile-note">{player.problem}</div>}
    </figure>
  );
}

function Timeline(props: { cameraIds: string[]; name(id: string): string; recorded: ReadonlyMap<string, Recorded>; fromMs: number; untilMs: number; nowMs: number; marks: [number, number] | undefined; onSeek(ms: number): void }) {
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

/** Stills at even distances, of the first camera: key pictures, decoded by the server. */
function Strip({ cameraId, fromMs, untilMs, onSeek }: { cameraId: string; fromMs: number; untilMs: number; onSeek(ms: number): void }) {
  const [pictures, setPictures] = useState<(string | undefined)[]>([]);
  useEffect(() => {
    const stop = new AbortController();
    const urls: string[] = [];
    void (async () => {
      for (let number = 0; number < PICTURES && !stop.signal.aborted; number += 1) {
        const ms = fromMs + ((number + 0.5) * (untilMs - fromMs)) / PICTURES;
        const path = `/v1/cameras/${encodeURIComponent(cameraId)}/footage/picture?at=${new Date(ms).toISOString()}`;
        const url = await exchange({ verb: "GET", path }, { withPurpose: true, signal: stop.signal })
          .then((answer) => answer.blob())
          .then((blob) => URL.createObjectURL(blob))
          .catch(() => undefined);
        if (url) urls.push(url);
        if (!stop.signal.aborted) setPictures((before) => [...before.slice(0, number), url]);
      }
    })();
    return () => {
      stop.abort();
      urls.forEach((url) => URL.revokeObjectURL(url));
    };
  }, []);
  return (
    <div className="strip" data-testid="strip">
      {Array.from({ length: PICTURES }, (_, number) => {
        const ms = fromMs + ((number + 0.5) * (untilMs - fromMs)) / PICTURES;
        const url = pictures[number];
        return (
          <button type="button" key={number} onClick={() => onSeek(ms)} aria-label={`Go to ${clock.format(ms)}`}>
            {url ? <img src={url} alt="" /> : <span className="muted">–</span>}
          </button>
        );
      })}
    </div>
  );
}
