/**
 * A WHEP viewer (draft-ietf-wish-whep): the offer goes out at once, without waiting for candidates, because the relay answers with its own
 * address (measured: 0.15 s to the first frame instead of 1.5 s). Watches its own pictures: no new one for 3 s is a stall, for 8 s a new start.
 * Tells how large it is shown: a small picture is the camera's smaller stream, where it has one. Begins without sound; one view is heard at a time.
 */
import { send } from "../contract/call";
import { DeclinedError, exchange } from "../contract/exchange";
import { explain, ProblemError } from "../contract/problem";
import { VideoService } from "../generated/rtcc/video/v1/video_pb";
import { notify, notifyProblem } from "../ui/notices";
import { firstFrame } from "./first-frame";

/** "reconnecting": there was a picture, and a new try is under way; "forbidden": the right is missing or has ended. */
export type ViewerState = "connecting" | "live" | "stalled" | "reconnecting" | "forbidden" | "failed";

const WATCH_EVERY_MS = 1_000;
const STALLED_AFTER_MS = 3_000;
const RESTART_AFTER_MS = 8_000;
/** ICE and DTLS take some 100 ms where packets come through at all. */
const CONNECTS_WITHIN_MS = 4_000;
/** After so many answers without a picture the network is taken to let none through; live video is asked for again now and then. */
export const BLOCKED_AFTER_FAILURES = 2;
const BLOCKED_TRIES_EVERY_MS = 60_000;
/** While no sound comes though it is on, the relay is asked so often whether it is still on there. */
const SOUND_ASKED_EVERY_MS = 30_000;
/** What this network did to the last views: the next one needn't find out by itself. */
let networkBlocks = false;
/** Refusals that a new try won't change. */
export const FORBIDDEN = new Set(["refused", "unauthenticated", "session-locked", "purpose-required"]);
const FINAL = new Set([...FORBIDDEN, "not-found", "invalid-input"]);
/** Shown no wider than this, a picture needs no more than the smaller stream. */
export const SMALL_WIDTH_PX = 480;

let heard: WhepViewer | undefined;

export class WhepViewer {
  state: ViewerState = "connecting";
  reason = "";
  framesDecoded = 0;
  /** From the request to the first decoded frame; undefined before it. */
  firstFrameMs: number | undefined;
  lastFrameAtMs = 0;
  /** How often in a row the service took the offer and no picture came: the network may let none through. */
  mediaFailures = networkBlocks ? BLOCKED_AFTER_FAILURES : 0;
  /** Its sound is switched on; `silent`: but none came for a second. */
  hears = false;
  silent = false;
  /** Why its sound is off though nobody switched it off; "" otherwise. */
  soundEnded = "";
  /** The relay has taken the word to send sound. */
  private soundTaken = false;
  private soundAskedMs = -Infinity;
  private soundTrack: MediaStreamTrack | undefined;
  private soundPackets = 0;
  private speaker: HTMLAudioElement | undefined;
  private readonly widthsPx = new Map<object, number>();
  private toldSmall = false;
  readonly stream = new MediaStream();
  private peer: RTCPeerConnection | undefined;
  private location = "";
  /** The connection to a relay that goes away: its picture is shown until the new one has one. */
  private leaving: { peer: RTCPeerConnection; location: string } | undefined;
  private watch: ReturnType<typeof setInterval> | undefined;
  private restart: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners = new Set<() => void>();
  private startedMs = 0;
  private watchFromMs = 0;
  private attempts = 0;
  private closed = false;

  constructor(
    readonly cameraId: string,
    /** A partner's camera carries the standing purpose. */
    private readonly partner: boolean,
    private readonly cameraName: string,
  ) {
    void this.connect();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The relay that holds the view; "" while there is none. */
  get relayId(): string {
    return this.location.split("/").at(-1)?.split(".")[0] ?? "";
  }

  /** The relay goes away, or is gone: a new view is opened beside the old one, whose last picture stays until the new one has its own. */
  move(relayId: string): void {
    if (this.closed || !this.peer || this.relayId !== relayId) return;
    this.letGo();
    this.leaving = { peer: this.peer, location: this.location };
    clearInterval(this.watch);
    this.location = "";
    this.framesDecoded = 0;
    void this.connect();
  }

  /** How wide `shower` shows it, in CSS pixels; undefined: no more. The largest one counts. */
  show(shower: object, widthPx: number | undefined): void {
    if (widthPx === undefined) this.widthsPx.delete(shower);
    else this.widthsPx.set(shower, Math.max(1, Math.round(widthPx)));
    const viewerId = this.location.split("/").at(-1);
    if (!viewerId || !this.widthPx || this.small === this.toldSmall) return;
    this.toldSmall = this.small;
    // Lost: the size is told again when it changes or the view begins anew.
    void send(VideoService.method.updateViewer, { cameraId: this.cameraId, viewerId, shownWidthPx: this.widthPx }, { withPurpose: this.partner }).catch(() => undefined);
  }

  /** Switches its sound on, and that of any other view off. Rejects when it may not be heard. */
  async hear(on: boolean): Promise<void> {
    if (on && heard !== this) void heard?.hear(false);
    if (on) heard = this;
    else if (heard === this) heard = undefined;
    this.hears = on;
    this.silent = false;
    this.soundEnded = "";
    this.soundAskedMs = -Infinity;
    this.soundPackets = -1;
    this.tell();
    // Opened before its sound was allowed: only a new view's answer has it.
    if (on && this.location && !this.soundTrack) this.move(this.relayId);
    else await this.switchSound();
  }

  private async switchSound(): Promise<void> {
    this.soundTaken = false;
    this.speaker ??= new Audio();
    this.speaker.srcObject = this.hears && this.soundTrack ? new MediaStream([this.soundTrack]) : null;
    if (this.hears) void this.speaker.play().catch(() => undefined);
    const viewerId = this.location.split("/").at(-1);
    if (!viewerId) return;
    try {
      await send(VideoService.method.setViewerSound, { cameraId: this.cameraId, viewerId, on: this.hears });
      this.soundTaken = this.hears;
    } catch (error) {
      // The relay has cut it already where the right has ended.
      if (!this.hears) return;
      this.hears = false;
      this.speaker.srcObject = null;
      this.tell();
      throw error;
    }
  }

  /** The relay has cut the sound: the button is released, and says why. */
  endSound(reason: string): void {
    if (heard === this) heard = undefined;
    this.hears = this.silent = false;
    this.soundEnded = reason;
    if (this.speaker) this.speaker.srcObject = null;
    notify(`Sound of ${this.cameraName} is off: ${reason}.`, "bad");
    this.tell();
  }

  /** A microphone that is silent and a right that ended look alike from here: the relay knows. */
  private async askForSound(): Promise<void> {
    const viewerId = this.location.split("/").at(-1);
    if (!viewerId || !this.soundTaken || !this.widthPx || performance.now() - this.soundAskedMs < SOUND_ASKED_EVERY_MS) return;
    this.soundAskedMs = performance.now();
    const told = await send(VideoService.method.updateViewer, { cameraId: this.cameraId, viewerId, shownWidthPx: this.widthPx });
    if (!told.hears && this.hears && this.soundTaken && this.location.endsWith(viewerId)) this.endSound("you may not hear it any more");
  }

  /** 0: not known yet. */
  private get widthPx(): number {
    return Math.max(0, ...this.widthsPx.values());
  }

  private get small(): boolean {
    return this.widthPx > 0 && this.widthPx <= SMALL_WIDTH_PX;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.restart);
    if (heard === this) heard = undefined;
    if (this.speaker) this.speaker.srcObject = null;
    this.hangUp();
    this.letGo();
    this.listeners.clear();
  }

  private async connect(): Promise<void> {
    this.startedMs = performance.now();
    const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.peer = peer;
    peer.addTransceiver("video", { direction: "recvonly" });
    // Silent until it is switched on; refused where the camera, the agency or the right has none.
    if (!this.partner) peer.addTransceiver("audio", { direction: "recvonly" });
    this.soundTrack = undefined;
    peer.ontrack = async (event) => {
      if (event.track.kind === "audio") {
        if (peer === this.peer) this.soundTrack = event.track;
        return;
      }
      if (this.leaving) await firstFrame(peer, () => this.leaving !== undefined && peer === this.peer);
      if (peer !== this.peer) return;
      for (const old of this.stream.getTracks()) this.stream.removeTrack(old);
      this.stream.addTrack(event.track);
      this.letGo();
    };
    peer.onconnectionstatechange = () => {
      if (peer === this.peer && (peer.connectionState === "failed" || peer.connectionState === "closed")) this.tryAgain("the connection to the video service broke");
    };
    try {
      await peer.setLocalDescription(await peer.createOffer());
      const asked = { widthPx: this.widthPx, small: this.small };
      const answer = await exchange(
        { verb: "POST", path: `/v1/whep/${encodeURIComponent(this.cameraId)}${asked.widthPx ? `?shown_width_px=${Math.min(99_999, asked.widthPx)}` : ""}`, body: peer.localDescription?.sdp ?? "", contentType: "application/sdp" },
        { withPurpose: this.partner, what: `Live view of ${this.cameraName}` },
      );
      this.location = answer.headers.get("Location") ?? "";
      this.toldSmall = asked.small;
      // It may have grown or shrunk meanwhile.
      this.show(this, undefined);
      const sdp = await answer.text();
      if (this.closed || peer !== this.peer) {
        this.release();
        return;
      }
      await peer.setRemoteDescription({ type: "answer", sdp });
      // A relay that ends a view (a right was revoked) says so in DTLS at once; connectionState notices about 6 s later (Chromium).
      const transport = peer.getReceivers()[0]?.transport;
      transport?.addEventListener("statechange", () => {
        if (peer === this.peer && transport.state === "closed") this.tryAgain("the video service ended this view");
      });
      if (this.hears) void this.switchSound().catch(notifyProblem);
      // Counted from the answer: what was shown before stays as old as it is.
      this.watchFromMs = performance.now();
      this.watch = setInterval(() => void this.look(peer), WATCH_EVERY_MS);
    } catch (error) {
      if (this.closed || peer !== this.peer) return;
      this.hangUp();
      const refused = error instanceof DeclinedError || (error instanceof ProblemError && FORBIDDEN.has(error.kind));
      if (refused || (error instanceof ProblemError && FINAL.has(error.kind))) {
        this.letGo();
        this.become(refused ? "forbidden" : "failed", explain(error));
      } else this.tryAgain(explain(error));
    }
  }

  private async look(peer: RTCPeerConnection): Promise<void> {
    const reports = await peer.getStats();
    if (peer !== this.peer) return;
    for (const report of reports.values() as IterableIterator<{ type: string; kind?: string; framesDecoded?: number; packetsReceived?: number }>) {
      if (report.type !== "inbound-rtp") continue;
      if (report.kind !== "video") {
        const packets = report.packetsReceived ?? 0;
        const silent = this.hears && packets === this.soundPackets;
        this.soundPackets = packets;
        if (silent !== this.silent) {
          this.silent = silent;
          this.tell();
        }
        // Not answered: asked again in the next silent second after the pause.
        if (silent) this.askForSound().catch(() => undefined);
        continue;
      }
      if ((report.framesDecoded ?? 0) !== this.framesDecoded) this.sawFrame(report.framesDecoded ?? 0);
    }
    const still = performance.now() - Math.max(this.lastFrameAtMs, this.watchFromMs);
    if (still > CONNECTS_WITHIN_MS && peer.connectionState !== "connected") this.tryAgain("the network lets no live video through");
    else if (still > RESTART_AFTER_MS) this.tryAgain("no picture came for 8 s");
    else if (still > STALLED_AFTER_MS && this.state === "live") this.become("stalled", "no new picture");
  }

  /** Also told by the video element, which knows of the first frame before the statistics do. */
  sawFrame(framesDecoded?: number): void {
    this.lastFrameAtMs = performance.now();
    if (framesDecoded !== undefined) this.framesDecoded = framesDecoded;
    this.firstFrameMs ??= performance.now() - this.startedMs;
    this.attempts = 0;
    this.mediaFailures = 0;
    networkBlocks = false;
    if (this.state !== "live") this.become("live", "");
    else this.tell();
  }

  private tryAgain(reason: string): void {
    if (this.closed) return;
    if (this.location) this.mediaFailures += 1;
    if (this.mediaFailures === BLOCKED_AFTER_FAILURES) networkBlocks = true;
    this.hangUp();
    this.become(this.firstFrameMs === undefined ? "connecting" : "reconnecting", reason);
    const usual = this.mediaFailures < BLOCKED_AFTER_FAILURES ? Math.min(15_000, 500 * 2 ** this.attempts) : BLOCKED_TRIES_EVERY_MS;
    const pause = usual * (0.5 + Math.random());
    this.attempts += 1;
    clearTimeout(this.restart);
    this.restart = setTimeout(() => void this.connect(), pause);
  }

  private hangUp(): void {
    clearInterval(this.watch);
    this.framesDecoded = 0;
    const peer = this.peer;
    this.peer = undefined;
    peer?.close();
    this.release();
  }

  private letGo(): void {
    this.leaving?.peer.close();
    if (this.leaving) this.end(this.leaving.location);
    this.leaving = undefined;
  }

  private release(): void {
    if (this.location) this.end(this.location);
    this.location = "";
  }

  /** Tells the relay at once, so that "viewers now" is true. A lost DELETE ends by the relay's own time-out. */
  private end(location: string): void {
    void fetch(location, { method: "DELETE", headers: { "Rtcc-Request": "1" }, keepalive: true, credentials: "same-origin" }).catch(() => undefined);
  }

  private become(state: ViewerState, reason: string): void {
    this.state = state;
    this.reason = reason;
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}
