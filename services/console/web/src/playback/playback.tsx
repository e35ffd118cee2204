import { useEffect, useState } from "react";
import { useRead } from "../contract/use-call";
import { RegistryService } from "../generated/rtcc/registry/v1/registry_pb";
import { useLive } from "../live/store";
import { go } from "../shell/router";
import { Page } from "../ui/page";
import { Button } from "../ui/parts";
import { orderOf } from "./order";
import { Sequence } from "./sequence";
import { Stage } from "./stage";
import "./playback.css";

const LENGTHS_MIN = [5, 15, 60, 360] as const;
const MOST_CAMERAS = 4;

const local = (ms: number) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);

/** What up to four cameras showed, in step: one clock for all, by the server's time of day. */
export default function Playback() {
  const order = orderOf(new URLSearchParams(location.search).get("order") ?? "");
  return order.length ? <Sequence order={order} /> : <Together />;
}

function Together() {
  const asked = new URLSearchParams(location.search);
  const [cameraIds, setCameraIds] = useState<string[]>((asked.get("cameras") ?? "").split(",").filter(Boolean).slice(0, MOST_CAMERAS));
  const [lengthMin, setLengthMin] = useState<number>(15);
  const [untilMs, setUntilMs] = useState(Number(asked.get("until")) || Date.now());
  // Where a link leads to: an incident's entry, for instance.
  const [atMs] = useState(Number(asked.get("at")) || undefined);
  const fromMs = untilMs - lengthMin * 60_000;
  useEffect(() => go(`/playback?cameras=${cameraIds.join(",")}&until=${untilMs}${atMs ? `&at=${atMs}` : ""}`, true), [cameraIds, untilMs, atMs]);
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
