/**
 * Units on their own WebGL2 canvas above the map: two positions and a time a unit, interpolated in the vertex shader, so a redraw costs
 * no work per unit on the main thread. The map below is not redrawn. Labels stand on a 2D canvas, few and only when near.
 */
import { STALE_AFTER_S, type UnitField } from "../live/units";
import type { Moving } from "./moving";
import { buildAtlas, ATLAS_CELLS } from "./unit-atlas";

/** Affine map from Mercator, relative to `origin`, to CSS pixels: x = a·dx + c·dy + e, y = b·dx + d·dy + f. */
export interface View {
  originX: number;
  originY: number;
  a: number;
  b: number;
  c: number;
  d: number;
  e: number;
  f: number;
  width: number;
  height: number;
  zoom: number;
}

export interface UnitColours {
  own: string;
  partner: string;
  panic: string;
  act: string;
  grey: string;
  rim: string;
  text: string;
}

const FLOATS = 10;
const LABELS_FROM_ZOOM = 13.8;
const MOST_LABELS = 120;
const PICK_RADIUS_PX = 16;

const VERTEX = `#version 300 es
layout(location=0) in vec2 from; layout(location=1) in vec2 to; layout(location=2) in vec2 glide; layout(location=3) in vec4 style;
uniform mat3 view; uniform vec2 size; uniform float now; uniform float scale;
out vec2 turn; out vec3 look;
void main() {
  float share = clamp((now - glide.x) / glide.y, 0.0, 1.0);
  vec2 pixel = (view * vec3(mix(from, to, share), 1.0)).xy;
  gl_Position = vec4(pixel.x / size.x * 2.0 - 1.0, 1.0 - pixel.y / size.y * 2.0, 0.0, 1.0);
  gl_PointSize = style.w * scale;
  turn = vec2(cos(style.x), sin(style.x)); look = vec3(style.y, style.z, 0.0);
}`;

/** `look.y` is the tone (moving.ts), 8 more when the fix is old. */
const FRAGMENT = `#version 300 es
precision mediump float;
in vec2 turn; in vec3 look; uniform sampler2D atlas; uniform vec3 own, partner, panic, act, grey, rim; out vec4 colour;
void main() {
  vec2 p = gl_PointCoord - 0.5;
  vec2 q = vec2(p.x * turn.x + p.y * turn.y, p.y * turn.x - p.x * turn.y) + 0.5;
  if (q.x < 0.0 || q.y < 0.0 || q.x > 1.0 || q.y > 1.0) discard;
  float tone = floor(look.y + 0.5); float faded = step(8.0, tone); tone -= faded * 8.0;
  float shared = float(tone == 2.0 || tone == 5.0);
  vec4 mask = texture(atlas, vec2((q.x + look.x) / ${ATLAS_CELLS}.0, q.y));
  vec3 base = tone < 0.5 ? own : tone < 1.5 ? panic : tone < 2.5 ? partner : tone < 3.5 ? act : tone < 4.5 ? grey : partner;
  float stripe = mix(1.0, step(0.42, fract((gl_PointCoord.x + gl_PointCoord.y) * 5.0)) * 0.65 + 0.35, shared);
  vec3 body = mix(rim, base * stripe, mask.g);
  colour = vec4(mix(body, rim, mask.b), 1.0) * mask.r * mix(1.0, 0.42, faded);
}`;

export class UnitLayer {
  private readonly gl: WebGL2RenderingContext | null;
  private readonly labels: CanvasRenderingContext2D | null;
  private readonly program: WebGLProgram | undefined;
  private readonly uniforms: Record<string, WebGLUniformLocation | null> = {};
  private readonly buffer: WebGLBuffer | undefined;
  private packed = new Float32Array(FLOATS * 256);
  private packedVersions = "";
  private packedOrigin = { x: Number.NaN, y: Number.NaN };
  private packedAtMs = 0;
  private glideEndsMs = 0;
  /** Drawn by the processor: fewer frames leave it time for video. */
  readonly software: boolean;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly labelCanvas: HTMLCanvasElement,
    private readonly groups: readonly Moving[],
  ) {
    this.gl = canvas.getContext("webgl2", { premultipliedAlpha: true, antialias: false, alpha: true });
    this.labels = labelCanvas.getContext("2d");
    const renderer = this.gl ? String(this.gl.getParameter(this.gl.RENDERER)) : "";
    this.software = !this.gl || /swiftshader|llvmpipe|software|basic render/i.test(renderer);
    if (!this.gl) return;
    this.program = link(this.gl);
    this.buffer = this.gl.createBuffer();
    for (const name of ["view", "size", "now", "scale", "own", "partner", "panic", "act", "grey", "rim"]) this.uniforms[name] = this.gl.getUniformLocation(this.program, name);
    const texture = this.gl.createTexture();
    this.gl.bindTexture(this.gl.TEXTURE_2D, texture);
    this.gl.texImage2D(this.gl.TEXTURE_2D, 0, this.gl.RGBA, this.gl.RGBA, this.gl.UNSIGNED_BYTE, buildAtlas());
    this.gl.texParameteri(this.gl.TEXTURE_2D, this.gl.TEXTURE_MIN_FILTER, this.gl.LINEAR);
    this.gl.texParameteri(this.gl.TEXTURE_2D, this.gl.TEXTURE_WRAP_S, this.gl.CLAMP_TO_EDGE);
    this.gl.texParameteri(this.gl.TEXTURE_2D, this.gl.TEXTURE_WRAP_T, this.gl.CLAMP_TO_EDGE);
  }

  /** Whether a redraw would show anything else than the last one did. */
  moving(nowMs: number): boolean {
    return this.versions() !== this.packedVersions || nowMs < this.glideEndsMs || nowMs - this.packedAtMs > 5_000;
  }

  draw(view: View, colours: UnitColours, nowMs: number, serverNowMs: number): void {
    const { gl } = this;
    const ratio = Math.min(2, devicePixelRatio || 1);
    for (const canvas of [this.canvas, this.labelCanvas]) {
      const width = Math.round(view.width * ratio);
      const height = Math.round(view.height * ratio);
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    }
    if (gl && this.program) {
      const count = this.pack(view, nowMs, serverNowMs);
      gl.viewport(0, 0, this.canvas.width, this.canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.useProgram(this.program);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
      gl.uniformMatrix3fv(this.uniforms.view ?? null, false, [view.a, view.b, 0, view.c, view.d, 0, view.e, view.f, 1]);
      gl.uniform2f(this.uniforms.size ?? null, view.width, view.height);
      gl.uniform1f(this.uniforms.now ?? null, nowMs - this.packedAtMs);
      gl.uniform1f(this.uniforms.scale ?? null, ratio * Math.min(1.25, Math.max(0.6, (view.zoom - 8) / 6)));
      for (const name of ["own", "partner", "panic", "act", "grey", "rim"] as const) gl.uniform3fv(this.uniforms[name] ?? null, rgb(colours[name]));
      gl.drawArrays(gl.POINTS, 0, count);
    }
    this.drawLabels(view, colours, nowMs, serverNowMs, ratio);
  }

  /** What is nearest to a CSS pixel, if anything is under the pointer. */
  pick(view: View, x: number, y: number, nowMs: number): { kind: Moving["kind"]; number: number } | undefined {
    let best: { kind: Moving["kind"]; number: number } | undefined;
    let bestDistance = PICK_RADIUS_PX;
    for (const { kind, field, hidden } of this.groups) {
      for (let row = 0; row < field.count && !hidden; row++) {
        const [px, py] = this.pixel(view, field, row, nowMs);
        const distance = Math.hypot(px - x, py - y);
        if (distance >= bestDistance) continue;
        bestDistance = distance;
        best = { kind, number: field.numbers[row] as number };
      }
    }
    return best;
  }

  private versions(): string {
    return this.groups.map(({ field, hidden, looks }) => `${hidden ? "-" : field.version}.${looks}`).join();
  }

  private pixel(view: View, field: UnitField, row: number, nowMs: number): [number, number] {
    const [x, y] = field.at(row, nowMs);
    return onScreen(view, x, y);
  }

  /** How many points stand in the buffer. */
  private pack(view: View, nowMs: number, serverNowMs: number): number {
    const { gl } = this;
    const shown = this.groups.filter(({ hidden }) => !hidden);
    const count = shown.reduce((sum, { field }) => sum + field.count, 0);
    const versions = this.versions();
    const fresh = versions === this.packedVersions && view.originX === this.packedOrigin.x && view.originY === this.packedOrigin.y;
    if (!gl || (fresh && nowMs - this.packedAtMs < 5_000)) return count;
    if (this.packed.length < count * FLOATS) this.packed = new Float32Array(count * 2 * FLOATS);
    let ends = 0;
    let at = 0;
    for (const group of shown) {
      const { field } = group;
      for (let row = 0; row < field.count; row++, at += FLOATS) {
        const start = field.startMs[row] as number;
        const glide = field.glideMs[row] as number;
        const heading = field.headings[row] as number;
        this.packed[at] = (field.fromX[row] as number) - view.originX;
        this.packed[at + 1] = (field.fromY[row] as number) - view.originY;
        this.packed[at + 2] = (field.toX[row] as number) - view.originX;
        this.packed[at + 3] = (field.toY[row] as number) - view.originY;
        this.packed[at + 4] = start - nowMs;
        this.packed[at + 5] = glide;
        this.packed[at + 6] = heading >= 360 ? 0 : (heading * Math.PI) / 180;
        group.look(row, this.packed, at + 6);
        if (serverNowMs - (field.fixedAtMs[row] as number) > STALE_AFTER_S * 1000) this.packed[at + 8] = (this.packed[at + 8] as number) + 8;
        ends = Math.max(ends, start + glide);
      }
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer ?? null);
    gl.bufferData(gl.ARRAY_BUFFER, this.packed.subarray(0, count * FLOATS), gl.DYNAMIC_DRAW);
    for (const [index, length, offset] of [[0, 2, 0], [1, 2, 2], [2, 2, 4], [3, 4, 6]] as const) {
      gl.enableVertexAttribArray(index);
      gl.vertexAttribPointer(index, length, gl.FLOAT, false, FLOATS * 4, offset * 4);
    }
    this.packedVersions = versions;
    this.packedOrigin = { x: view.originX, y: view.originY };
    this.packedAtMs = nowMs;
    this.glideEndsMs = ends;
    return count;
  }

  private drawLabels(view: View, colours: UnitColours, nowMs: number, serverNowMs: number, ratio: number): void {
    const pen = this.labels;
    if (!pen) return;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, view.width, view.height);
    for (const group of this.groups) if (!group.hidden) group.under?.(pen, (x, y) => onScreen(view, x, y), colours, nowMs);
    if (view.zoom < LABELS_FROM_ZOOM) return;
    pen.font = "600 11.5px Inter";
    pen.textAlign = "center";
    pen.lineWidth = 3.2;
    pen.lineJoin = "round";
    pen.strokeStyle = colours.rim;
    let drawn = 0;
    for (const group of this.groups) {
      const { field } = group;
      for (let row = 0; row < field.count && drawn < MOST_LABELS && !group.hidden; row++) {
        const [x, y] = this.pixel(view, field, row, nowMs);
        if (x < -40 || y < -20 || x > view.width + 40 || y > view.height + 20) continue;
        const found = group.label(row);
        if (!found.text) continue;
        const ageSeconds = (serverNowMs - (field.fixedAtMs[row] as number)) / 1000;
        const text = ageSeconds > STALE_AFTER_S ? `${found.text} ${Math.round(ageSeconds / 60)} min` : found.text;
        pen.globalAlpha = ageSeconds > STALE_AFTER_S ? 0.7 : 1;
        pen.fillStyle = found.urgent ? colours.panic : colours.text;
        pen.strokeText(text, x, y + 25);
        pen.fillText(text, x, y + 25);
        drawn++;
      }
    }
    pen.globalAlpha = 1;
  }
}

/** CSS pixels of a Mercator place. */
function onScreen(view: View, x: number, y: number): [number, number] {
  const dx = x - view.originX;
  const dy = y - view.originY;
  return [view.a * dx + view.c * dy + view.e, view.b * dx + view.d * dy + view.f];
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(type);
    if (!shader) throw new Error("WebGL gave no shader: the context is lost");
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(`unit shader: ${gl.getShaderInfoLog(shader)}`);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  return program;
}

function rgb(hex: string): [number, number, number] {
  const value = Number.parseInt(hex.trim().slice(1), 16);
  return [((value >> 16) & 255) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}
