import { useEffect, useRef } from "react";
import type { ViewerState } from "./whep";
import { HlsPlayer } from "./hls-player";

/** What a tile shows of it. */
export interface HttpsView {
  state: ViewerState;
  reason: string;
  frames: number;
  lastFrameAtMs: number;
  delayS: number;
}

const SAY_EVERY_MS = 1_000;

/** A camera's live picture over HTTPS, some second behind. Tells what it does when that changes, and its figures once a second. */
export default function OverHttps({ cameraId, partner, name, video, onView }: { cameraId: string; partner: boolean; name: string; video: React.RefObject<HTMLVideoElement | null>; onView(view: HttpsView): void }) {
  const telling = useRef(onView);
  telling.current = onView;
  useEffect(() => {
    const element = video.current;
    if (!element) return;
    let [told, toldAtMs] = ["", -SAY_EVERY_MS];
    const tell = (): void => {
      const { state, reason, frames, lastFrameAtMs, delayS } = player;
      if (state + reason === told && performance.now() - toldAtMs < SAY_EVERY_MS) return;
      [told, toldAtMs] = [state + reason, performance.now()];
      telling.current({ state, reason, frames, lastFrameAtMs, delayS });
    };
    const player = new HlsPlayer(element, cameraId, partner, name, tell);
    const watch = new ResizeObserver(() => player.resized());
    watch.observe(element);
    return () => {
      watch.disconnect();
      player.stop();
    };
  }, [cameraId, partner]);
  return <video ref={video} className="tile-still" muted playsInline autoPlay aria-label={`Live over HTTPS: ${name}`} data-testid="over-https" />;
}
