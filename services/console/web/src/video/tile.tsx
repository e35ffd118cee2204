import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { span } from "../contract/time";
import { CameraState } from "../generated/rtcc/video/v1/video_pb";
import { useLive } from "../live/store";
import { PtzButton, PtzPanel } from "../ptz/ptz";
import { useRight, useSession } from "../session/store";
import { go } from "../shell/router";
import { Button, PartnerBadge } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { closeCamera, enlarge, retryCamera, useDock } from "./dock";
import { releaseViewer, takeViewer } from "./pool";
import type { WhepViewer } from "./whep";

/** One live camera. The last picture greys out when it is old, and says how old; a reason stands where there is no picture. */
export function VideoTile({ cameraId, attempt, index }: { cameraId: string; attempt: number; index: number }) {
  const own = useLive((state) => state.cameras.get(cameraId));
  const shared = useLive((state) => state.sharedCameras.get(cameraId));
  const health = useLive((state) => state.cameraStates.get(cameraId));
  const agencyName = useLive((state) => state.agencies.get(shared?.camera?.agencyId ?? "")?.name);
  const viewerName = useSession((state) => state.session?.person.display_name ?? "");
  const enlarged = useDock((state) => state.enlarged === cameraId);
  const mayReplay = useRight("footage.list");
  const camera = own ?? shared?.camera;
  const partner = !own && shared !== undefined;
  const name = camera?.name ?? "Camera";
  const [viewer, setViewer] = useState<WhepViewer>();
  const known = camera !== undefined;

  useEffect(() => {
    if (!known) return;
    setViewer(takeViewer(cameraId, partner, name));
    return () => {
      releaseViewer(cameraId);
      setViewer(undefined);
    };
    // The name only labels the purpose dialog; a renamed camera keeps its connection.
  }, [cameraId, partner, known, attempt]);

  const view = useViewer(viewer);
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const element = video.current;
    if (!element || !viewer) return;
    element.srcObject = viewer.stream;
    // Autoplay can be refused until a gesture; the muted attribute makes that rare, and the controls then offer "play".
    element.play().catch(() => undefined);
    let handle = element.requestVideoFrameCallback(() => viewer.sawFrame());
    const again = () => {
      handle = element.requestVideoFrameCallback(() => viewer.sawFrame());
    };
    viewer.stream.addEventListener("addtrack", again);
    return () => {
      element.cancelVideoFrameCallback(handle);
      viewer.stream.removeEventListener("addtrack", again);
      element.srcObject = null;
    };
  }, [viewer]);

  const state = !known ? "gone" : view.state;
  const healthReason = health && (health.state === CameraState.FAILED || health.state === CameraState.STALLED) ? health.reason : "";
  const now = useNow(1000, state === "stalled");
  return (
    <figure className={`tile ${partner ? "shared-stripe" : ""}`} data-camera-id={cameraId} data-state={state} data-first-frame-ms={view.firstFrameMs?.toFixed(0)} data-frames={view.frames} data-enlarged={enlarged || undefined}>
      <video ref={video} muted playsInline autoPlay aria-label={`Live: ${name}`} />
      {partner && <span className="watermark" aria-hidden="true">{`${viewerName} · `.repeat(4)}</span>}
      <figcaption>
        <span className="tile-number mono">{index + 1}</span>
        <span className="ellipsis tile-name">{name}</span>
        <span className="grow" />
        <span className="tile-state" data-state={state}>
          {state === "live" ? "● LIVE" : state}
        </span>
        {own && <PtzButton cameraId={cameraId} name={name} />}
        {mayReplay && (
          <Button look="quiet" size="small" aria-label={`Recordings of ${name}`} title="Recordings" onClick={() => go(`/playback?cameras=${cameraId}`)}>
            ⏱
          </Button>
        )}
        <Button look="quiet" size="small" aria-label={enlarged ? `Shrink ${name}` : `Enlarge ${name}`} onClick={() => enlarge(index)}>
          {enlarged ? "⤡" : "⤢"}
        </Button>
        <Button look="quiet" size="small" aria-label={`Close ${name}`} onClick={() => closeCamera(cameraId)}>
          ✕
        </Button>
      </figcaption>
      {own && <PtzPanel cameraId={cameraId} name={name} />}
      {partner && (
        <div className="tile-partner">
          <PartnerBadge agency={agencyName ?? shared?.camera?.agencyId ?? "partner"} />
        </div>
      )}
      {state !== "live" && (
        <div className="tile-note" role="status">
          {state === "connecting" && !view.reason && (
            <>
              <span className="spinner" aria-hidden="true" /> Connecting
            </>
          )}
          {state === "gone" && "This camera is no longer granted to you."}
          {state === "stalled" && `Picture is ${span((now - performance.timeOrigin - view.lastFrameAtMs) / 1000)} old. ${healthReason || view.reason}`}
          {state === "connecting" && view.reason && `Connecting again: ${healthReason || view.reason}`}
          {state === "failed" && (
            <div className="stack">
              <span>{view.reason || healthReason}</span>
              <Button size="small" onClick={() => retryCamera(cameraId)}>
                Try again
              </Button>
            </div>
          )}
        </div>
      )}
    </figure>
  );
}

interface ViewerPicture {
  state: WhepViewer["state"];
  reason: string;
  firstFrameMs: number | undefined;
  frames: number;
  lastFrameAtMs: number;
}

const none: ViewerPicture = { state: "connecting", reason: "", firstFrameMs: undefined, frames: 0, lastFrameAtMs: 0 };

/** The viewer's state as React reads it: a new object only when something changed. */
function useViewer(viewer: WhepViewer | undefined): ViewerPicture {
  const held = useRef(none);
  return useSyncExternalStore(
    (changed) => viewer?.subscribe(changed) ?? (() => undefined),
    () => {
      const before = held.current;
      const now: ViewerPicture = viewer
        ? { state: viewer.state, reason: viewer.reason, firstFrameMs: viewer.firstFrameMs, frames: viewer.framesDecoded, lastFrameAtMs: viewer.lastFrameAtMs }
        : none;
      const same = before.state === now.state && before.reason === now.reason && before.firstFrameMs === now.firstFrameMs && before.frames === now.frames;
      if (!same) held.current = now;
      return held.current;
    },
  );
}
