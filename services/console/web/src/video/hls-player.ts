/**
 * One camera live over HTTPS, where the network lets no WebRTC through: parts of a third of a second, each asked for before it exists, in a
 * video element by Media Source Extensions. What was buffered plays on while a view is opened anew elsewhere.
 */
import { DeclinedError, exchange } from "../contract/exchange";
import { explain, ProblemError, problemFrom } from "../contract/problem";
import { relayEndings } from "../live/store";
import { codecOf, entrance, listedParts, pace, partAddress, startOf } from "./hls-playlist";
import { FORBIDDEN, SMALL_WIDTH_PX, type ViewerState } from "./whep";

const STALLED_AFTER_MS = 3_000;
const LOOK_EVERY_MS = 250;
/** Behind the newest picture, at first; each time that the picture ran dry it is more. */
const FIRST_TARGET_S = 0.6;
const MOST_TARGET_S = 2.5;
/** Pictures wait at the relay until their part is whole: half of one on the average. */
const PACKING_S = 0.2;
const KEPT_S = 8;
const LONGEST_PAUSE_MS = 8_000;

/** A browser holds six connections to one host open by HTTP/1.1; these requests wait for what doesn't exist yet, and others must get through. */
let free = 4;
const queue: (() => void)[] = [];

async function inTurn<T>(act: () => Promise<T>): Promise<T> {
  if (free === 0) await new Promise<void>((next) => queue.push(next));
  else free -= 1;
  try {
    return await act();
  } finally {
    const next = queue.shift();
    if (next) next();
    else free += 1;
  }
}

export class HlsPlayer {
  state: ViewerState = "connecting";
  reason = "";
  frames = 0;
  lastFrameAtMs = 0;
  /** About how far the picture is behind the camera. */
  delayS = 0;
  private readonly source = new MediaSource();
  private readonly url = URL.createObjectURL(this.source);
  private readonly opened = new Promise<void>((resolve) => this.source.addEventListener("sourceopen", () => resolve(), { once: true }));
  private buffer: SourceBuffer | undefined;
  private init = "";
  private viewerId = "";
  private hasSmaller = false;
  private openedSmall = false;
  private view = new AbortController();
  private targetS = FIRST_TARGET_S;
  private readonly startedMs = performance.now();
  private readonly look: ReturnType<typeof setInterval>;
  private ended = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly cameraId: string,
    private readonly partner: boolean,
    private readonly cameraName: string,
    private readonly changed: () => void,
  ) {
    video.src = this.url;
    video.requestVideoFrameCallback(this.sawFrame);
    video.addEventListener("waiting", this.ranDry);
    this.look = setInterval(() => this.steer(), LOOK_EVERY_MS);
    relayEndings.add(this.relayEnds);
    void this.run();
  }

  /** It is shown larger or smaller: a small picture is the camera's smaller stream, where it has one. */
  resized(): void {
    if (this.viewerId && this.hasSmaller && this.small !== this.openedSmall) this.view.abort();
  }

  private get small(): boolean {
    return this.video.clientWidth > 0 && this.video.clientWidth <= SMALL_WIDTH_PX;
  }

  stop(): void {
    this.ended = true;
    clearInterval(this.look);
    relayEndings.delete(this.relayEnds);
    this.video.removeEventListener("waiting", this.ranDry);
    this.leave();
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.url);
  }

  private async run(): Promise<void> {
    await this.opened;
    for (let failures = 0; !this.ended; failures += 1) {
      const before = this.frames;
      try {
        await this.open();
        await this.follow();
      } catch (error) {
        if (this.ended) return;
        const refused = error instanceof DeclinedError || (error instanceof ProblemError && FORBIDDEN.has(error.kind));
        const full = error instanceof ProblemError && error.kind === "exhausted" && !this.viewerId;
        if (refused || full || !(error instanceof ProblemError || error instanceof TypeError || this.view.signal.aborted)) {
          this.leave();
          this.become(refused ? "forbidden" : "failed", explain(error));
          return;
        }
        this.reason = explain(error);
      }
      this.leave();
      if (this.frames > before) failures = 0;
      await new Promise((next) => setTimeout(next, Math.min(LONGEST_PAUSE_MS, 300 * 2 ** failures) * (0.5 + Math.random())));
    }
  }

  private get path(): string {
    return `/v1/cameras/${encodeURIComponent(this.cameraId)}`;
  }

  private async open(): Promise<void> {
    this.view = new AbortController();
    this.openedSmall = this.small;
    const body = JSON.stringify({ shown_width_px: this.video.clientWidth });
    const answer = await exchange({ verb: "POST", path: `${this.path}/hls`, body, contentType: "application/json" }, { withPurpose: this.partner, what: `Live view of ${this.cameraName}` });
    const opened = (await answer.json()) as { viewer_id: string; has_smaller: boolean };
    this.viewerId = opened.viewer_id;
    this.hasSmaller = opened.has_smaller;
    if (this.ended) this.leave();
    else this.resized();
  }

  /** Ends the view; what is buffered plays on. */
  private leave(): void {
    this.view.abort();
    if (this.viewerId) void fetch(`${this.path}/viewers/${this.viewerId}`, { method: "DELETE", headers: { "Rtcc-Request": "1" }, keepalive: true, credentials: "same-origin" }).catch(() => undefined);
    this.viewerId = "";
  }

  private readonly relayEnds = (relayId: string): void => {
    if (this.viewerId.split(".")[0] === relayId) this.view.abort();
  };

  /** Part by part, until the view ends. */
  private async follow(): Promise<void> {
    let next = -1;
    for (let joins = true; ; joins = false) {
      const parts = listedParts(new TextDecoder().decode((await this.fetched("playlist"))!));
      const first = entrance(parts, next);
      if (!first) throw new ProblemError("unavailable", 503, "No picture", "The camera sends no pictures now.", [], "", 0);
      if (first.init !== this.init || joins) await this.begin(first.init);
      for (next = first.number; ; next += 1) {
        const data = await this.fetched(`media/${partAddress(next, first.init)}`);
        // It will never be: what follows needs another beginning, which the playlist tells.
        if (!data) break;
        if (joins) await this.join(data);
        joins = false;
        await this.append(data);
        await this.forget();
        this.steer();
      }
    }
  }

  /** Undefined: there is no such part. */
  private async fetched(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    return inTurn(async () => {
      const answer = await fetch(`${this.path}/hls/${this.viewerId}/${name}`, { credentials: "same-origin", signal: this.view.signal });
      if (answer.ok) return new Uint8Array(await answer.arrayBuffer());
      const problem = await problemFrom(answer);
      if (problem.kind === "not-found" && name.startsWith("media/p")) return undefined;
      throw problem;
    });
  }

  private async begin(init: string): Promise<void> {
    const data = await this.fetched(`media/${init}`);
    if (!data) return;
    const type = `video/mp4; codecs="${codecOf(data)}"`;
    if (!MediaSource.isTypeSupported(type)) throw new Error("The browser can't show this camera's video.");
    if (this.buffer) this.buffer.changeType(type);
    else this.buffer = this.source.addSourceBuffer(type);
    await this.append(data);
    this.init = init;
  }

  /** The time line of another view begins where this one's pictures end. */
  private async join(part: Uint8Array): Promise<void> {
    if (this.buffer) this.buffer.timestampOffset = this.endS - startOf(part);
  }

  private get endS(): number {
    const ranges = this.buffer?.buffered;
    return ranges?.length ? ranges.end(ranges.length - 1) : 0;
  }

  private append(data: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.done((buffer) => buffer.appendBuffer(data));
  }

  private async forget(): Promise<void> {
    const firstS = this.buffer?.buffered.length ? this.buffer.buffered.start(0) : 0;
    if (this.video.currentTime - firstS > 2 * KEPT_S) await this.done((buffer) => buffer.remove(0, this.video.currentTime - KEPT_S));
  }

  private done(act: (buffer: SourceBuffer) => void): Promise<void> {
    const buffer = this.buffer;
    if (!buffer || this.ended) return Promise.resolve();
    return new Promise((resolve, reject) => {
      buffer.addEventListener("updateend", () => (this.video.error ? reject(new Error("The browser can't show this camera's video.")) : resolve()), { once: true });
      act(buffer);
    });
  }

  /** Keeps the picture near the newest one, and over holes. */
  private steer(): void {
    const ranges = this.buffer?.buffered;
    if (ranges?.length && !this.ended) {
      const { video } = this;
      const lastS = ranges.start(ranges.length - 1);
      const behindS = this.endS - video.currentTime;
      const { jump, rate } = pace(behindS, this.targetS);
      if (jump || (video.currentTime < lastS && video.readyState < 3)) video.currentTime = Math.max(lastS, this.endS - this.targetS);
      else if (video.playbackRate !== rate) video.playbackRate = rate;
      if (video.paused && video.readyState >= 2) video.play().catch(() => undefined);
      this.delayS = Math.max(0, behindS) + PACKING_S;
    }
    const stillMs = performance.now() - (this.lastFrameAtMs || this.startedMs);
    if (stillMs > STALLED_AFTER_MS && this.state === "live") this.become("stalled", this.reason || "no new picture");
    else this.changed();
  }

  private readonly ranDry = (): void => {
    if (this.state === "live") this.targetS = Math.min(MOST_TARGET_S, this.targetS + 0.3);
  };

  private readonly sawFrame = (): void => {
    if (this.ended) return;
    this.frames += 1;
    this.lastFrameAtMs = performance.now();
    if (this.state !== "live") this.become("live", "");
    this.video.requestVideoFrameCallback(this.sawFrame);
  };

  private become(state: ViewerState, reason: string): void {
    this.state = state;
    this.reason = reason;
    this.changed();
  }
}
