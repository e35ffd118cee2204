import { useEffect, useState } from "react";
import { exchange } from "../contract/exchange";
import { clock } from "../contract/time";
import { moments, type Stretch } from "./timeline";

const PICTURES = 8;

/** The key picture at or before a moment, decoded by the server. */
export async function footagePicture(cameraId: string, ms: number, signal: AbortSignal): Promise<Blob> {
  const path = `/v1/cameras/${encodeURIComponent(cameraId)}/footage/picture?at=${new Date(ms).toISOString()}`;
  return (await exchange({ verb: "GET", path }, { withPurpose: true, signal })).blob();
}

/** Stills at even distances, of the first camera. Where nothing is recorded stands none: an older one would look as if it were of then. */
export function Strip({ cameraId, stretches, fromMs, untilMs, onSeek }: { cameraId: string; stretches: readonly Stretch[]; fromMs: number; untilMs: number; onSeek(ms: number): void }) {
  const [places] = useState(() => moments(stretches, fromMs, untilMs, PICTURES));
  const [pictures, setPictures] = useState<ReadonlyMap<number, string>>(new Map());
  useEffect(() => {
    const stop = new AbortController();
    const urls: string[] = [];
    void (async () => {
      for (const { ms, recorded } of places) {
        if (stop.signal.aborted) return;
        const picture = recorded ? await footagePicture(cameraId, ms + 1, stop.signal).catch(() => undefined) : undefined;
        if (!picture || stop.signal.aborted) continue;
        const url = URL.createObjectURL(picture);
        urls.push(url);
        setPictures((before) => new Map(before).set(ms, url));
      }
    })();
    return () => {
      stop.abort();
      urls.forEach((url) => URL.revokeObjectURL(url));
    };
  }, []);
  return (
    <div className="strip" data-testid="strip">
      {places.map(({ ms, recorded }) => {
        const url = pictures.get(ms);
        return (
          <button type="button" key={ms} disabled={!recorded} data-ms={Math.round(ms)} onClick={() => onSeek(ms)} aria-label={recorded ? `Go to ${clock.format(ms)}` : `Nothing is recorded at ${clock.format(ms)}`}>
            {url ? <img src={url} alt="" /> : <span className="muted">–</span>}
            <span className="strip-time mono">{clock.format(ms)}</span>
          </button>
        );
      })}
    </div>
  );
}
