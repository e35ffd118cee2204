import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useEffect, useMemo, useRef, useState } from "react";
import { dayAndTime } from "../contract/time";
import { toIncident } from "../incidents/moment";
import { useRight } from "../session/store";
import { useKeys } from "../shell/keys";
import { Icon } from "../ui/icons";
import { Button } from "../ui/parts";
import { ExportDialog } from "./handover";
import { MotionStrip } from "./motion-strip";
import type { StageProps } from "./stage";
import { FootagePlayer } from "./player";
import { Strip } from "./strip";
import { at, nextPicture, stepped, type Hole, type Stretch } from "./timeline";
import { Timeline } from "./track";

/** The one initialisation segment of every sound. */
const SOUND = new Map([["init", "opus"]]);
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16] as const;

export interface Recorded {
  stretches: Stretch[];
  holes: Hole[];
  codecs: Map<string, string>;
}

/** The cameras of a time window in step, under one clock. */
export function Deck(props: StageProps & { recorded: ReadonlyMap<string, Recorded> }) {
  const { cameraIds, fromMs, untilMs, recorded, name } = props;
  const all = useMemo(() => cameraIds.map((id) => recorded.get(id)?.stretches ?? []), [cameraIds, recorded]);
  const asked = props.atMs !== undefined && props.atMs > fromMs && props.atMs < untilMs ? props.atMs : undefined;
  const startMs = asked ?? nextPicture(all, fromMs - 1) ?? fromMs;
  const [nowMs, setNowMs] = useState(Math.min(untilMs, Math.max(fromMs, startMs)));
  const [playing, setPlaying] = useState(props.onEnd !== undefined);
  const [speed, setSpeed] = useState<number>(1);
  const [marks, setMarks] = useState<[number, number]>();
  const [dialog, setDialog] = useState<"export">();
  const mayExport = useRight("footage.export");
  const mayNote = useRight("incident.add_entry");
  // One camera at a time, when somebody asks for it; never at speeds at which nobody understands a word.
  const [heard, setHeard] = useState<string>();
  const sound = useRef<FootagePlayer>(undefined);
  const players = useRef(new Map<string, FootagePlayer>());
  const off = useRef(new Map<string, number>());
  const moment = useRef(nowMs);
  const onEnd = useRef(props.onEnd);
  onEnd.current = props.onEnd;
  const [, repaint] = useState(0);

  const seek = (ms: number) => {
    moment.current = Math.min(untilMs, Math.max(fromMs, ms));
    off.current.clear();
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
          onEnd.current?.();
        }
      }
      last = now;
      sound.current?.follow(moment.current, speed, playing);
      for (const [id, player] of players.current) {
        const apart = player.follow(moment.current, speed, playing);
        if (apart === undefined) off.current.delete(id);
        else off.current.set(id, apart);
      }
      setNowMs(moment.current);
    }, 50);
    return () => clearInterval(timer);
  }, [playing, speed, all, untilMs]);

  /** One picture of the first camera that shows one now. */
  const step = (pictures: number) => {
    setPlaying(false);
    const first = cameraIds.find((id) => at(recorded.get(id)?.stretches ?? [], moment.current) >= 0) ?? cameraIds[0] ?? "";
    seek(players.current.get(first)?.pictureFrom(moment.current, pictures) ?? stepped(recorded.get(first)?.stretches ?? [], moment.current, pictures));
  };
  const bookmark = (id: string) => {
    setPlaying(false);
    const atMs = moment.current;
    // It may not have been told yet where to be: the clock ticks 20 times a second.
    players.current.get(id)?.follow(atMs, speed, false);
    void Promise.resolve(players.current.get(id)?.whenShown()).then((video) => toIncident(id, name(id), video, atMs, marks));
  };
  useKeys({
    " ": () => setPlaying((before) => !before),
    ".": () => step(1),
    ",": () => step(-1),
    ...(mayNote ? { b: () => bookmark(cameraIds[0] as string) } : {}),
  });
  const apart = [...off.current.values()];
  const farthest = apart.length ? Math.round(Math.max(...apart.map(Math.abs))) : undefined;
  const spread = apart.length > 1 ? Math.max(...apart) - Math.min(...apart) : 0;
  return (
    <div className="stack" data-testid="playback" data-now={Math.round(nowMs)} data-playing={playing} data-spread-ms={Math.round(spread)} data-off-ms={farthest} data-speed={speed}>
      <div className="deck" data-count={cameraIds.length}>
        {cameraIds.map((id) => (
          <Screen key={id} cameraId={id} name={name(id)} recorded={recorded.get(id) as Recorded} originMs={fromMs} nowMs={nowMs} onRemove={props.onRemove && (() => props.onRemove?.(id))} onBookmark={mayNote ? () => bookmark(id) : undefined} heard={heard === id} onHear={() => setHeard(heard === id ? undefined : id)} onPlayer={(player) => (player ? players.current.set(id, player) : players.current.delete(id))} onChange={() => repaint((count) => count + 1)} />
        ))}
      </div>
      {heard && speed >= 0.5 && speed <= 2 && <Sound key={heard} cameraId={heard} recorded={recorded.get(heard) as Recorded} originMs={fromMs} onPlayer={(player) => (sound.current = player)} />}
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
        {mayNote && (
          <Button onClick={() => bookmark(cameraIds[0] as string)} data-testid="bookmark">
            To the incident… <kbd>B</kbd>
          </Button>
        )}
        {mayExport && (
          <Button disabled={!marks || marks[1] <= marks[0]} onClick={() => setDialog("export")} data-testid="export">
            Export…
          </Button>
        )}
      </div>
      <Timeline cameraIds={cameraIds} recorded={recorded} fromMs={fromMs} untilMs={untilMs} nowMs={nowMs} marks={marks} onSeek={seek} />
      <MotionStrip cameraIds={cameraIds} name={name} fromMs={fromMs} untilMs={untilMs} nowMs={nowMs} onSeek={seek} />
      <Strip cameraId={cameraIds[0] as string} stretches={all[0] ?? []} fromMs={fromMs} untilMs={untilMs} onSeek={seek} />
      {dialog === "export" && marks && <ExportDialog cameraIds={cameraIds} name={name} fromMs={marks[0]} untilMs={marks[1]} sound={all.flat().some((one) => one.sound && one.untilMs > marks[0] && one.fromMs < marks[1])} onClose={() => setDialog(undefined)} />}
    </div>
  );
}

function Sound(props: { cameraId: string; recorded: Recorded; originMs: number; onPlayer(player: FootagePlayer | undefined): void }) {
  const video = useRef<HTMLVideoElement>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const stretches = props.recorded.stretches.filter((one) => one.sound).map((one) => ({ ...one, initId: "init", withKey: true }));
    const made: FootagePlayer = new FootagePlayer(video.current as HTMLVideoElement, props.cameraId, SOUND, stretches, props.originMs, () => setProblem(made.problem), "sound");
    props.onPlayer(made);
    return () => {
      props.onPlayer(undefined);
      made.stop();
    };
  }, []);
  return (
    <>
      <video ref={video} hidden data-testid="sound" />
      {problem && (
        <p className="problem" role="status">
          {problem}
        </p>
      )}
    </>
  );
}

function Screen(props: { cameraId: string; name: string; recorded: Recorded; originMs: number; nowMs: number; onRemove: (() => void) | undefined; onBookmark: (() => void) | undefined; heard: boolean; onHear(): void; onPlayer(player: FootagePlayer | undefined): void; onChange(): void }) {
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
        {stretches.some((one) => one.sound) && (
          <Button look="quiet" size="small" aria-label={`Sound of ${props.name}`} title="Sound" aria-pressed={props.heard} onClick={props.onHear}>
            <Icon name={props.heard ? "sound" : "muted"} size={16} />
          </Button>
        )}
        {props.onBookmark && (
          <Button look="quiet" size="small" aria-label={`${props.name} to the incident`} title="To the incident" onClick={props.onBookmark}>
            <Icon name="flag" size={16} />
          </Button>
        )}
        {props.onRemove && (
          <Button look="quiet" size="small" aria-label={`Close ${props.name}`} onClick={props.onRemove}>
            ✕
          </Button>
        )}
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
