import { lazy, Suspense, useEffect, useRef, useState, useSyncExternalStore, type ReactNode } from "react";
import { span } from "../contract/time";
import { CameraState } from "../generated/rtcc/video/v1/video_pb";
import { toIncident } from "../incidents/moment";
import { useLive } from "../live/store";
import { PtzButton, PtzPanel } from "../ptz/ptz";
import { useRight, useSession } from "../session/store";
import { go } from "../shell/router";
import { Icon } from "../ui/icons";
import { notifyProblem } from "../ui/notices";
import { Button, PartnerBadge } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { useSeen } from "./on-screen";
import type { HttpsView } from "./over-https";
import { releaseViewer, takeViewer } from "./pool";
import { Stills } from "./stills";
import { BLOCKED_AFTER_FAILURES, type ViewerState, type WhepViewer } from "./whep";

const OverHttps = lazy(() => import("./over-https"));

type TileState = ViewerState | "gone" | "paused" | "stills";

const STATE_WORDS: Record<TileState, string> = {
  live: "● LIVE",
  connecting: "connecting",
  stalled: "stalled",
  reconnecting: "reconnecting",
  forbidden: "forbidden",
  failed: "failed",
  gone: "gone",
  paused: "paused",
  stills: "stills",
};

interface TileProps {
  cameraId: string;
  attempt: number;
  index: number;
  enlarged: boolean;
  /** Another tile lies over it. */
  covered?: boolean;
  /** Beside the name: why this camera is shown. */
  told?: string;
  /** Before the buttons that every tile has. */
  extra?: ReactNode;
  onEnlarge(): void;
  onClose?: (() => void) | undefined;
  onRetry(): void;
  /** Instead of leaving this screen. */
  onReplay?: (() => void) | undefined;
}

/** One live camera. The last picture greys out when it is old, and says how old; a reason stands where there is no picture. */
export function LiveTile({ cameraId, attempt, index, enlarged, covered = false, told, extra, onEnlarge, onClose, onRetry, onReplay }: TileProps) {
  const own = useLive((state) => state.cameras.get(cameraId));
  const shared = useLive((state) => state.sharedCameras.get(cameraId));
  const health = useLive((state) => state.cameraStates.get(cameraId));
  const agencyName = useLive((state) => state.agencies.get(shared?.camera?.agencyId ?? "")?.name);
  const viewerName = useSession((state) => state.session?.person.display_name ?? "");
  const mayReplay = useRight("footage.list");
  const mayNote = useRight("incident.add_entry");
  const mayHear = useRight("camera.listen");
  const camera = own ?? shared?.camera;
  const partner = !own && shared !== undefined;
  const name = camera?.name ?? "Camera";
  const known = camera !== undefined;
  // Before the living picture has come, nobody knows what is granted.
  const arrived = useLive((state) => state.cameras.size + state.sharedCameras.size > 0);
  const figure = useRef<HTMLElement>(null);
  const seen = useSeen(figure, covered);
  const { viewer, full } = useViewerOf(cameraId, partner, name, known && seen, attempt);
  const view = useViewer(viewer);
  const video = useRef<HTMLVideoElement>(null);
  useShownWidth(figure, viewer);
  usePlaying(video, viewer);
  const soundEnds = view.hears && health?.soundAllowed === false;
  useEffect(() => {
    // Cut by the relay already; allowed again, it waits for a press.
    if (soundEnds) viewer?.endSound("it isn't allowed any more");
  }, [soundEnds, viewer]);

  const healthReason = health && (health.state === CameraState.FAILED || health.state === CameraState.STALLED) ? health.reason : "";
  const webrtcBlocked = view.mediaFailures >= BLOCKED_AFTER_FAILURES && view.state !== "live";
  const { https, httpsVideo, onView } = useHttps(webrtcBlocked && !full, attempt);
  const [stillProblem, setStillProblem] = useState("");
  const flows = health?.state === CameraState.LIVE;
  const overHttps = https !== undefined && https.state !== "failed" && (flows || https.frames > 0);
  const still = full || (https?.state === "failed" && flows);
  const shown = overHttps ? https : view;
  const state: TileState = !known ? (arrived ? "gone" : "connecting") : !seen ? "paused" : still ? "stills" : shown.state;
  const now = useNow(1000, state === "stalled" || state === "reconnecting");
  const ageS = (now - performance.timeOrigin - shown.lastFrameAtMs) / 1000;
  const reason = {
    live: "",
    connecting: shown.reason && `Connecting again: ${healthReason || shown.reason}`,
    stalled: healthReason || shown.reason,
    reconnecting: healthReason || shown.reason,
    forbidden: shown.reason,
    failed: shown.reason || healthReason,
    gone: "This camera is no longer granted to you.",
    paused: "Nobody sees this tile: it goes on when it is on the screen.",
    stills: stillProblem || (full ? "As many live views as this device takes: a picture a second." : "The network lets no live video through: a picture a second."),
  }[state];
  return (
    <figure
      ref={figure}
      className={`tile ${partner ? "shared-stripe" : ""}`}
      data-camera-id={cameraId}
      data-state={state}
      data-first-frame-ms={view.firstFrameMs?.toFixed(0)}
      data-frames={shown.frames}
      data-way={overHttps && seen ? "https" : undefined}
      data-enlarged={enlarged || undefined}
    >
      <video ref={video} muted playsInline autoPlay aria-label={`Live: ${name}`} />
      {overHttps && seen && (
        <Suspense>
          <OverHttps key={attempt} cameraId={cameraId} partner={partner} name={name} video={httpsVideo} onView={onView} />
        </Suspense>
      )}
      {state === "stills" && <Stills cameraId={cameraId} partner={partner} name={name} onProblem={setStillProblem} />}
      {partner && <span className="watermark" aria-hidden="true">{`${viewerName} · `.repeat(4)}</span>}
      <figcaption>
        <span className="tile-number mono">{index + 1}</span>
        <span className="ellipsis tile-name">{name}</span>
        {told && <span className="ellipsis tile-told">{told}</span>}
        <span className="grow" />
        {state === "live" && overHttps && (
          <span className="tile-way" title={`Over HTTPS, for the network lets no WebRTC through: about ${https.delayS.toFixed(1)} s behind the camera.`}>
            HTTPS
          </span>
        )}
        <span className="tile-state" data-state={state}>
          {STATE_WORDS[state]}
        </span>
        {own && health?.soundAllowed && mayHear && viewer && !overHttps && (
          <Button
            look="quiet"
            size="small"
            className={view.hears ? "tile-heard" : "tile-more"}
            data-silent={view.silent || undefined}
            aria-pressed={view.hears}
            aria-label={`Sound of ${name}`}
            title={view.silent ? `On, but no sound comes. ${health.soundReason}` : view.hears ? "Sound is on: switch it off" : view.soundEnded ? `Sound is off: ${view.soundEnded}` : "Sound is off: switch it on"}
            onClick={() => viewer.hear(!view.hears).catch(notifyProblem)}
          >
            <Icon name={view.hears ? "sound" : "muted"} size={16} />
          </Button>
        )}
        {own && <PtzButton cameraId={cameraId} name={name} />}
        {extra}
        {mayNote && (
          <Button look="quiet" size="small" className="tile-more" aria-label={`${name} to the incident`} title="To the incident (B)" onClick={() => void toIncident(cameraId, name, httpsVideo.current ?? video.current)}>
            <Icon name="flag" size={16} />
          </Button>
        )}
        {mayReplay && (
          <Button look="quiet" size="small" className="tile-more" aria-label={`Recordings of ${name}`} title="Recordings" onClick={onReplay ?? (() => go(`/playback?cameras=${cameraId}`))}>
            <Icon name="retention" size={16} />
          </Button>
        )}
        <Button look="quiet" size="small" aria-label={enlarged ? `Shrink ${name}` : `Enlarge ${name}`} onClick={onEnlarge}>
          {enlarged ? "⤡" : "⤢"}
        </Button>
        {onClose && (
          <Button look="quiet" size="small" aria-label={`Close ${name}`} onClick={onClose}>
            ✕
          </Button>
        )}
      </figcaption>
      {own && <PtzPanel cameraId={cameraId} name={name} />}
      {partner && (
        <div className="tile-partner">
          <PartnerBadge agency={agencyName ?? shared?.camera?.agencyId ?? "partner"} />
        </div>
      )}
      {state !== "live" && (
        <div className="tile-note">
          {state === "connecting" && !reason && (
            <>
              <span className="spinner" aria-hidden="true" /> Connecting
            </>
          )}
          {(state === "stalled" || state === "reconnecting") && <strong data-testid="picture-age">Picture is {span(ageS)} old.</strong>}
          {reason && <span>{reason}</span>}
          {(state === "failed" || state === "forbidden") && (
            <Button size="small" onClick={onRetry}>
              Try again
            </Button>
          )}
        </div>
      )}
      <Spoken name={name} state={state} reason={reason} />
    </figure>
  );
}

/** What a screen reader says: each change to or from trouble once, and no age that ticks. */
function Spoken({ name, state, reason }: { name: string; state: TileState; reason: string }) {
  const troubled = useRef(false);
  const quiet = state === "connecting" || state === "paused";
  if (state !== "live" && !quiet) troubled.current = true;
  const text = quiet || (state === "live" && !troubled.current) ? "" : state === "live" ? `${name} is live again` : `${name}: ${state}. ${reason}`;
  return (
    <span className="hidden-visually" role="status">
      {text}
    </span>
  );
}

/** The connection, while the tile is seen; none when the device has as many as it takes. */
function useViewerOf(cameraId: string, partner: boolean, name: string, wanted: boolean, attempt: number): { viewer: WhepViewer | undefined; full: boolean } {
  const [held, setHeld] = useState<{ viewer: WhepViewer | undefined; full: boolean }>({ viewer: undefined, full: false });
  useEffect(() => {
    if (!wanted) return;
    const viewer = takeViewer(cameraId, partner, name);
    setHeld({ viewer, full: viewer === undefined });
    return () => {
      if (viewer) releaseViewer(cameraId);
      setHeld({ viewer: undefined, full: false });
    };
    // The name only labels the purpose dialog; a renamed camera keeps its connection.
  }, [cameraId, partner, wanted, attempt]);
  return held;
}

const begun: HttpsView = { state: "connecting", reason: "", frames: 0, lastFrameAtMs: 0, delayS: 0 };

/** The way over HTTPS, while WebRTC is blocked: undefined while it isn't; "failed" at once where the browser can't. */
function useHttps(wanted: boolean, attempt: number): { https: HttpsView | undefined; httpsVideo: React.RefObject<HTMLVideoElement | null>; onView(view: HttpsView): void } {
  const httpsVideo = useRef<HTMLVideoElement>(null);
  const [view, setView] = useState<HttpsView>(begun);
  useEffect(() => setView("MediaSource" in window ? begun : { ...begun, state: "failed" }), [wanted, attempt]);
  return { https: wanted ? view : undefined, httpsVideo, onView: setView };
}

/** Tells the connection how wide it is shown. */
function useShownWidth(figure: React.RefObject<HTMLElement | null>, viewer: WhepViewer | undefined): void {
  useEffect(() => {
    const element = figure.current;
    if (!element || !viewer) return;
    const watch = new ResizeObserver(() => viewer.show(element, element.clientWidth));
    watch.observe(element);
    viewer.show(element, element.clientWidth);
    return () => {
      watch.disconnect();
      viewer.show(element, undefined);
    };
  }, [figure, viewer]);
}

function usePlaying(video: React.RefObject<HTMLVideoElement | null>, viewer: WhepViewer | undefined): void {
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
  }, [video, viewer]);
}

interface ViewerPicture {
  state: WhepViewer["state"];
  reason: string;
  firstFrameMs: number | undefined;
  frames: number;
  lastFrameAtMs: number;
  mediaFailures: number;
  hears: boolean;
  silent: boolean;
  soundEnded: string;
}

const none: ViewerPicture = { state: "connecting", reason: "", firstFrameMs: undefined, frames: 0, lastFrameAtMs: 0, mediaFailures: 0, hears: false, silent: false, soundEnded: "" };

/** The viewer's state as React reads it: a new object only when something changed. */
function useViewer(viewer: WhepViewer | undefined): ViewerPicture {
  const held = useRef(none);
  return useSyncExternalStore(
    (changed) => viewer?.subscribe(changed) ?? (() => undefined),
    () => {
      const before = held.current;
      const now: ViewerPicture = viewer
        ? { state: viewer.state, reason: viewer.reason, firstFrameMs: viewer.firstFrameMs, frames: viewer.framesDecoded, lastFrameAtMs: viewer.lastFrameAtMs, mediaFailures: viewer.mediaFailures, hears: viewer.hears, silent: viewer.silent, soundEnded: viewer.soundEnded }
        : none;
      const same = before.state === now.state && before.reason === now.reason && before.firstFrameMs === now.firstFrameMs && before.frames === now.frames && before.mediaFailures === now.mediaFailures && before.hears === now.hears && before.silent === now.silent;
      if (!same) held.current = now;
      return held.current;
    },
  );
}
