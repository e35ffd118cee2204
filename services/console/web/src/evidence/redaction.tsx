import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useEffect, useRef, useState } from "react";
import { send } from "../contract/call";
import { clock, dayAndTime, milliseconds } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { EvidenceService, type Export } from "../generated/rtcc/video/v1/evidence_pb";
import { FootageService, type ListFootageResponse } from "../generated/rtcc/video/v1/footage_pb";
import { RedactionMode, RedactionService, RedactionStyle } from "../generated/rtcc/video/v1/redaction_pb";
import { FootagePlayer } from "../playback/player";
import { at, stretchesOf } from "../playback/timeline";
import { useKeys } from "../shell/keys";
import { go } from "../shell/router";
import { notify } from "../ui/notices";
import { Page, Read } from "../ui/page";
import { Button, Field, ProblemNote } from "../ui/parts";
import { placed, type Region } from "./regions";
import { Stage } from "./stage";
import "./evidence.css";

const FRAME_MS = 1000 / 25;

/** Draws what can't be seen in a copy of an export. The copy is made by the server; the export stays as it is. */
export default function Redaction({ exportId }: { exportId: string }) {
  const listed = useRead(EvidenceService.method.listExports, { limit: 200 });
  return (
    <Page title="Redact" actions={<Button onClick={() => go("/exports")}>To the exports</Button>}>
      <Read query={listed}>
        {({ exports }) => {
          const found = exports.find((one) => one.exportId === exportId);
          return found ? <Recording original={found} /> : <p className="empty card">There is no such export in your agency.</p>;
        }}
      </Read>
    </Page>
  );
}

function Recording({ original }: { original: Export }) {
  const [recorded, setRecorded] = useState<ListFootageResponse>();
  const [problem, setProblem] = useState<unknown>();
  useEffect(() => {
    const stop = new AbortController();
    const window = { startsAt: original.startsAt, endsAt: original.endsAt } as Pick<Export, "startsAt" | "endsAt">;
    send(FootageService.method.listFootage, { cameraId: original.cameraId, ...(window.startsAt && { startsAt: window.startsAt }), ...(window.endsAt && { endsAt: window.endsAt }) }, { signal: stop.signal, what: "Recordings" })
      .then(setRecorded)
      .catch((error: unknown) => stop.signal.aborted || setProblem(error));
    return () => stop.abort();
  }, []);
  if (problem) return <ProblemNote error={problem} />;
  if (!recorded) return <p className="empty card">Reading what is recorded…</p>;
  return <Editor original={original} recorded={recorded} />;
}

function Editor({ original, recorded }: { original: Export; recorded: ListFootageResponse }) {
  const fromMs = milliseconds(original.startsAt);
  const untilMs = milliseconds(original.endsAt);
  const [stretches] = useState(() => stretchesOf(recorded.segments));
  const [nowMs, setNowMs] = useState(fromMs);
  const [playing, setPlaying] = useState(false);
  const [regions, setRegions] = useState<readonly Region[]>([]);
  const [chosen, setChosen] = useState(-1);
  const [mode, setMode] = useState(RedactionMode.INSIDE);
  const [style, setStyle] = useState(RedactionStyle.MOSAIC);
  const [reason, setReason] = useState("");
  const video = useRef<HTMLVideoElement>(null);
  const player = useRef<FootagePlayer>(undefined);
  const [, repaint] = useState(0);
  const moment = useRef(fromMs);
  const seek = (ms: number) => {
    moment.current = Math.min(untilMs, Math.max(fromMs, ms));
    setNowMs(moment.current);
  };
  useEffect(() => {
    const codecs = new Map(recorded.inits.map((one) => [one.initId, one.codec]));
    const made = new FootagePlayer(video.current as HTMLVideoElement, original.cameraId, codecs, stretches, fromMs, () => repaint((count) => count + 1));
    player.current = made;
    return () => made.stop();
  }, []);
  useEffect(() => {
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      if (playing) {
        moment.current = Math.min(untilMs, moment.current + now - last);
        if (moment.current === untilMs) setPlaying(false);
      }
      last = now;
      player.current?.follow(moment.current, 1, playing);
      setNowMs(moment.current);
    }, 50);
    return () => clearInterval(timer);
  }, [playing]);
  const step = (frames: number) => {
    setPlaying(false);
    seek(moment.current + frames * FRAME_MS);
  };
  useKeys({ " ": () => setPlaying((before) => !before), ".": () => step(1), ",": () => step(-1) });
  const change = (index: number, changed: Region) => setRegions(regions.map((one, place) => (place === index ? changed : one)));
  const add = (rectangle: { left: number; top: number; width: number; height: number }) => {
    const atMs = Math.round(nowMs);
    setRegions([...regions, placed({ fromMs: atMs, untilMs, boxes: [] }, atMs, rectangle)]);
    setChosen(regions.length);
  };
  const order = useAct(
    () =>
      send(
        RedactionService.method.createRedaction,
        {
          exportId: original.exportId,
          mode,
          style,
          reason: reason.trim(),
          regions: regions.map((region) => ({
            startsAt: timestampFromMs(region.fromMs),
            endsAt: timestampFromMs(region.untilMs),
            boxes: region.boxes.map(({ atMs, ...rectangle }) => ({ at: timestampFromMs(atMs), ...rectangle })),
          })),
        },
        { what: "Redacted copy" },
      ),
    () => {
      notify("The redacted copy is being made. The export stays as it is.");
      go("/exports");
    },
  );
  const missing = at(stretches, nowMs) < 0;
  return (
    <div className="redaction" data-testid="redaction" data-now={Math.round(nowMs)}>
      <div className="stack">
        <Stage video={video} regions={regions} nowMs={nowMs} mode={mode} style={style} chosen={chosen} onChoose={setChosen} onAdd={add} onPlace={(index, rectangle) => change(index, placed(regions[index] as Region, Math.round(nowMs), rectangle))} note={missing ? "Nothing is recorded here, or it is no longer kept." : player.current?.problem} />
        <div className="row">
          <Button look="primary" onClick={() => setPlaying(!playing)}>
            {playing ? "Pause" : "Play"} <kbd>Space</kbd>
          </Button>
          <Button onClick={() => step(-1)} aria-label="One picture back">
            ◂ <kbd>,</kbd>
          </Button>
          <Button onClick={() => step(1)} aria-label="One picture on">
            ▸ <kbd>.</kbd>
          </Button>
          <input className="grow" type="range" aria-label="Time" aria-valuetext={clock.format(nowMs)} min={fromMs} max={untilMs} step={40} value={nowMs} onChange={(event) => seek(Number(event.target.value))} />
          <strong className="mono">{dayAndTime(timestampFromMs(nowMs))}</strong>
        </div>
      </div>
      <form
        className="stack card redaction-side"
        onSubmit={(event) => {
          event.preventDefault();
          order.mutate(undefined);
        }}
      >
        <p className="secondary">Draw over the picture, or add a region and move it with the arrow keys (Shift: its size). Go on in time and move it again: between both places it follows. The copy has no sound.</p>
        <Field label="Hide">
          {(attributes) => (
            <select {...attributes} name="mode" value={mode} onChange={(event) => setMode(Number(event.target.value))}>
              <option value={RedactionMode.INSIDE}>what is inside the regions</option>
              <option value={RedactionMode.OUTSIDE}>everything but the regions</option>
            </select>
          )}
        </Field>
        <Field label="By">
          {(attributes) => (
            <select {...attributes} name="style" value={style} onChange={(event) => setStyle(Number(event.target.value))}>
              <option value={RedactionStyle.MOSAIC}>coarse blocks</option>
              <option value={RedactionStyle.COVER}>one colour</option>
            </select>
          )}
        </Field>
        <Button onClick={() => add({ left: 0.4, top: 0.4, width: 0.2, height: 0.2 })} data-testid="add-region">
          Add a region
        </Button>
        <ol className="stack regions">
          {regions.map((region, index) => (
            <li key={index} className="stack" data-testid="region" data-chosen={index === chosen}>
              <div className="row">
                <Button size="small" look="quiet" aria-pressed={index === chosen} onClick={() => setChosen(index)}>
                  Region {index + 1}
                </Button>
                <span className="muted mono">
                  {clock.format(region.fromMs)} to {clock.format(region.untilMs)}, {region.boxes.length} {region.boxes.length === 1 ? "place" : "places"}
                </span>
              </div>
              <div className="row">
                <Button size="small" disabled={nowMs >= region.untilMs} onClick={() => change(index, { ...region, fromMs: Math.round(nowMs) })}>
                  Starts here
                </Button>
                <Button size="small" disabled={nowMs <= region.fromMs} onClick={() => change(index, { ...region, untilMs: Math.round(nowMs) })}>
                  Ends here
                </Button>
                <Button size="small" look="danger" aria-label={`Remove region ${index + 1}`} onClick={() => setRegions(regions.filter((_, place) => place !== index))}>
                  Remove
                </Button>
              </div>
            </li>
          ))}
        </ol>
        <Field label="Reason">{(attributes) => <input {...attributes} name="reason" required maxLength={300} autoComplete="off" value={reason} onChange={(event) => setReason(event.target.value)} />}</Field>
        <ProblemNote error={order.error} />
        <Button type="submit" look="primary" busy={order.isPending} disabled={mode === RedactionMode.INSIDE && !regions.length}>
          Make the redacted copy
        </Button>
      </form>
    </div>
  );
}
