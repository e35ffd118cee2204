/** One camera's recording, its pictures or its sound, in a video element: segments are fetched around the moment that is shown and appended by their own time of day. */
import { exchange } from "../contract/exchange";
import { besides, pictureTimes } from "./pictures";
import { aheadMs, at, correction, needed, type Stretch } from "./timeline";

/** A jump to what is loaded takes some 20 ms; one that was asked for before it was loaded may never end in Chromium, and is asked for again. */
const JUMP_TAKES_MS = 600;
const PICTURE_COMES_WITHIN_MS = 5_000;
/** Kept on both sides of the moment, beyond what is loaded ahead. */
const KEPT_S = 60;

export class FootagePlayer {
  /** What failed last, in words. */
  problem = "";
  private readonly source = new MediaSource();
  private readonly url = URL.createObjectURL(this.source);
  private buffer: SourceBuffer | undefined;
  /** By stretch: when each of its pictures begins, and the end of the last one, Unix milliseconds. */
  private readonly loaded = new Map<string, readonly number[]>();
  private initId = "";
  private loading = false;
  private wantedMs: number;
  private aheadMs = aheadMs(1);
  private ended = false;
  private jumpingSinceMs = 0;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly cameraId: string,
    private readonly codecs: ReadonlyMap<string, string>,
    private readonly stretches: readonly Stretch[],
    /** The unix time that is second 0 of the element: floating point has too few digits for microseconds since 1970. */
    private readonly originMs: number,
    private readonly changed: () => void,
    private readonly kind: "media" | "sound" = "media",
  ) {
    this.wantedMs = originMs;
    video.src = this.url;
    this.source.addEventListener("sourceopen", () => void this.fill());
  }

  /** Shows the moment; called with every tick of the common clock. Answers how far off the picture is, or undefined where none is recorded. */
  follow(ms: number, speed: number, playing: boolean): number | undefined {
    this.wantedMs = ms;
    this.aheadMs = aheadMs(playing ? speed : 1);
    void this.fill();
    if (at(this.stretches, ms) < 0) {
      this.video.pause();
      return undefined;
    }
    const wantedS = (ms - this.originMs) / 1000;
    const offMs = (this.video.currentTime - wantedS) * 1000;
    if (!playing) {
      this.video.pause();
      if (this.mayJump(wantedS, Math.abs(offMs) > 5)) this.video.currentTime = wantedS;
      return offMs;
    }
    const { seek, rate } = correction(offMs, speed);
    if (this.mayJump(wantedS, seek)) this.video.currentTime = wantedS + 0.05 * speed;
    this.video.playbackRate = Math.min(16, Math.max(0.0625, rate));
    // Refused while nothing is buffered yet: the next tick asks again.
    if (this.video.paused && this.video.readyState >= 2) this.video.play().catch(() => undefined);
    return offMs;
  }

  /** Whether to set the element's time now. While a jump is under way, only when it hangs although its goal is loaded. */
  private mayJump(wantedS: number, wanted: boolean): boolean {
    const now = performance.now();
    if (!this.video.seeking) {
      this.jumpingSinceMs = now;
      return wanted;
    }
    if (now - this.jumpingSinceMs < JUMP_TAKES_MS || !this.holds(wantedS)) return false;
    this.jumpingSinceMs = now;
    return true;
  }

  private holds(seconds: number): boolean {
    const ranges = this.buffer?.buffered;
    for (let index = 0; ranges && index < ranges.length; index++) if (seconds >= ranges.start(index) && seconds < ranges.end(index)) return true;
    return false;
  }

  /** The element as soon as it shows the moment that was asked for last; undefined where none is recorded, or none comes. */
  async whenShown(): Promise<HTMLVideoElement | undefined> {
    for (const ends = performance.now() + PICTURE_COMES_WITHIN_MS; performance.now() < ends && !this.ended; await new Promise((next) => setTimeout(next, 40))) {
      if (at(this.stretches, this.wantedMs) < 0) return undefined;
      if (this.video.readyState >= 2 && !this.video.seeking) return this.video;
    }
    return undefined;
  }

  /** The middle of the picture so many on (or back) from the one at the moment; undefined where that isn't loaded. */
  pictureFrom(ms: number, pictures: number): number | undefined {
    const index = at(this.stretches, ms);
    const near = [index - 1, index, index + 1].map((one) => this.loaded.get(this.stretches[one]?.id ?? "") ?? []);
    return index < 0 ? undefined : besides(near, ms, pictures);
  }

  stop(): void {
    this.ended = true;
    this.video.pause();
    this.video.removeAttribute("src");
    this.video.load();
    URL.revokeObjectURL(this.url);
  }

  private async fill(): Promise<void> {
    if (this.loading || this.ended || this.source.readyState !== "open") return;
    this.loading = true;
    try {
      for (let next = this.next(); next && !this.ended; next = this.next()) await this.load(next);
    } catch (error) {
      this.problem = error instanceof Error ? error.message : "The recording can't be loaded.";
    } finally {
      this.loading = false;
      if (!this.ended) this.changed();
    }
  }

  private next(): Stretch | undefined {
    return needed(this.stretches, this.wantedMs, this.aheadMs).find(({ id }) => !this.loaded.has(id));
  }

  private async load(stretch: Stretch): Promise<void> {
    if (stretch.initId !== this.initId) {
      const type = `video/mp4; codecs="${this.codecs.get(stretch.initId) ?? "avc1.42c01e"}"`;
      if (!this.buffer) {
        this.buffer = this.source.addSourceBuffer(type);
        this.buffer.timestampOffset = -this.originMs / 1000;
      } else this.buffer.changeType(type);
      await this.append(await this.fetched(stretch.initId));
      this.initId = stretch.initId;
    }
    const data = await this.fetched(stretch.id);
    await this.forget();
    await this.append(data);
    this.loaded.set(stretch.id, pictureTimes(data));
    this.problem = "";
  }

  private async fetched(mediaId: string): Promise<ArrayBuffer> {
    const answer = await exchange({ verb: "GET", path: `/v1/cameras/${encodeURIComponent(this.cameraId)}/footage/${this.kind}/${mediaId}` }, { withPurpose: true });
    return answer.arrayBuffer();
  }

  private append(data: ArrayBuffer): Promise<void> {
    return this.done((buffer) => buffer.appendBuffer(data));
  }

  /** What is far from the moment goes, so that hours don't fill the memory. */
  private async forget(): Promise<void> {
    const ranges = this.buffer?.buffered;
    if (!ranges?.length) return;
    const nowS = (this.wantedMs - this.originMs) / 1000;
    const [firstS, lastS] = [ranges.start(0), ranges.end(ranges.length - 1)];
    const keptBehindS = this.aheadMs / 1000 + KEPT_S;
    const farBefore = nowS - KEPT_S > firstS;
    const farBehind = lastS > nowS + keptBehindS;
    if (!farBefore && !farBehind) return;
    const [cutBeforeS, cutBehindS] = [nowS - KEPT_S / 2, nowS + keptBehindS - KEPT_S / 2];
    if (farBefore) await this.done((buffer) => buffer.remove(firstS, cutBeforeS));
    if (farBehind) await this.done((buffer) => buffer.remove(cutBehindS, lastS));
    // What was cut into is loaded again when it is wanted.
    for (const one of this.stretches) {
      const [fromS, untilS] = [(one.fromMs - this.originMs) / 1000, (one.untilMs - this.originMs) / 1000];
      if ((farBefore && fromS < cutBeforeS) || (farBehind && untilS > cutBehindS)) this.loaded.delete(one.id);
    }
  }

  private done(act: (buffer: SourceBuffer) => void): Promise<void> {
    const buffer = this.buffer;
    if (!buffer || this.ended) return Promise.resolve();
    return new Promise((resolve, reject) => {
      buffer.addEventListener("updateend", () => resolve(), { once: true });
      buffer.addEventListener("error", () => reject(new Error("The browser can't show this recording.")), { once: true });
      act(buffer);
    });
  }
}
