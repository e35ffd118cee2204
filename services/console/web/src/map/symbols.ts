/** Map symbols drawn on canvases in the theme's colours: square = camera, severity shapes = alerts, stripe = a partner's. */
import type { Map as MapLibre } from "maplibre-gl";

export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const RATIO = 2;

function draw(size: number, paint: (pen: OffscreenCanvasRenderingContext2D) => void): ImageData {
  const canvas = new OffscreenCanvas(size * RATIO, size * RATIO);
  const pen = canvas.getContext("2d") as OffscreenCanvasRenderingContext2D;
  pen.scale(RATIO, RATIO);
  pen.lineJoin = "round";
  paint(pen);
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

function camera(state: "live" | "idle" | "off", partner: boolean, plateReader: boolean): ImageData {
  const main = partner ? colour("partner") : state === "off" ? colour("text-3") : colour("accent");
  return draw(24, (pen) => {
    pen.beginPath();
    pen.roundRect(3, 3, 18, 18, 4);
    pen.fillStyle = state === "live" ? main : colour("bg-1");
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = main;
    if (partner) pen.setLineDash([4, 2.5]);
    pen.stroke();
    pen.setLineDash([]);
    const ink = state === "live" ? colour("bg-1") : main;
    pen.strokeStyle = pen.fillStyle = ink;
    if (plateReader) {
      pen.lineWidth = 1.6;
      pen.strokeRect(6.5, 9, 11, 6);
      pen.fillRect(9, 11.2, 6, 1.7);
    } else {
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(12, 12, 4, 0, Math.PI * 2);
      pen.stroke();
    }
    if (state === "off") {
      pen.lineWidth = 2;
      pen.strokeStyle = colour("s2");
      pen.beginPath();
      pen.moveTo(5, 19);
      pen.lineTo(19, 5);
      pen.stroke();
    }
  });
}

function alert(severity: number, open: boolean, partner: boolean): ImageData {
  const main = colour(`s${severity}`);
  return draw(34, (pen) => {
    pen.translate(3, 3);
    pen.beginPath();
    if (severity === 1) polygon(pen, [9, 2, 19, 2, 26, 9, 26, 19, 19, 26, 9, 26, 2, 19, 2, 9]);
    else if (severity === 2) polygon(pen, [14, 2, 27, 26, 1, 26]);
    else if (severity === 3) polygon(pen, [14, 1, 27, 14, 14, 27, 1, 14]);
    else pen.arc(14, 14, 11, 0, Math.PI * 2);
    pen.fillStyle = open && severity < 4 ? main : colour("bg-1");
    pen.fill();
    pen.lineWidth = partner ? 2.6 : 2;
    pen.strokeStyle = partner ? colour("partner") : open ? (severity < 4 ? colour("bg-0") : main) : main;
    if (partner) pen.setLineDash([4, 3]);
    pen.stroke();
    pen.fillStyle = open && severity < 4 ? colour("on-severity") : main;
    pen.font = "700 14px Inter";
    pen.textAlign = "center";
    pen.fillText(String(severity), 14, severity === 2 ? 23 : 19);
  });
}

function polygon(pen: OffscreenCanvasRenderingContext2D, flat: readonly number[]): void {
  for (let index = 0; index < flat.length; index += 2) pen.lineTo(flat[index] as number, flat[index + 1] as number);
  pen.closePath();
}

function call(): ImageData {
  return draw(20, (pen) => {
    pen.beginPath();
    pen.arc(10, 10, 7, 0, Math.PI * 2);
    pen.fillStyle = colour("bg-1");
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = colour("text-2");
    pen.stroke();
    pen.fillStyle = colour("text-2");
    pen.font = "700 9.5px Inter";
    pen.textAlign = "center";
    pen.fillText("C", 10, 13.4);
  });
}

/** Square with the top open to the right: work, not an alarm. */
function incident(urgent: boolean): ImageData {
  return draw(28, (pen) => {
    pen.beginPath();
    pen.roundRect(3, 3, 22, 22, 5);
    pen.fillStyle = urgent ? colour("s1") : colour("bg-1");
    pen.fill();
    pen.lineWidth = 2;
    pen.strokeStyle = urgent ? colour("bg-0") : colour("text-1");
    pen.stroke();
    pen.fillStyle = urgent ? colour("on-severity") : colour("text-1");
    pen.font = "700 14px Inter";
    pen.textAlign = "center";
    pen.fillText("I", 14, 19);
  });
}

const MARKS: Record<string, readonly [letter: string, tone: string]> = {
  exit: ["E", "mark-exit"],
  stairs: ["S", "text-1"],
  elevator: ["L", "text-1"],
  hazard: ["!", "s1"],
  utility: ["U", "text-1"],
  access_point: ["A", "mark-exit"],
  camera: ["C", "accent"],
  other: ["•", "text-1"],
};

/** What stands for a kind of mark, on the map and on the plan. */
export const markLetter = (kind: string): string => (MARKS[kind] ?? MARKS["other"])?.[0] ?? "";

export function markIcon(kind: string): string {
  return `mark-${MARKS[kind] ? kind : "other"}`;
}

/** Hazards are triangles, exits arrows out of a door, everything else a letter in a disc. */
function mark(kind: string): ImageData {
  const [letter, tone] = MARKS[kind] ?? ["•", "text-1"];
  return draw(22, (pen) => {
    pen.beginPath();
    if (kind === "hazard") polygon(pen, [11, 2, 20.5, 19, 1.5, 19]);
    else if (kind === "exit") pen.roundRect(2, 4, 18, 14, 3);
    else pen.arc(11, 11, 8.5, 0, Math.PI * 2);
    pen.fillStyle = colour(tone);
    pen.fill();
    pen.lineWidth = 1.5;
    pen.strokeStyle = colour("bg-0");
    pen.stroke();
    pen.fillStyle = pen.strokeStyle = colour("bg-0");
    if (kind === "exit") {
      pen.lineWidth = 2;
      pen.beginPath();
      pen.moveTo(5, 11);
      pen.lineTo(16, 11);
      pen.moveTo(12, 7.5);
      pen.lineTo(16, 11);
      pen.lineTo(12, 14.5);
      pen.stroke();
      return;
    }
    pen.font = "700 12px Inter";
    pen.textAlign = "center";
    pen.fillText(letter, 11, kind === "hazard" ? 17 : 15.3);
  });
}

export function addSymbols(map: MapLibre): void {
  const add = (name: string, image: ImageData) => {
    if (map.hasImage(name)) map.removeImage(name);
    map.addImage(name, image, { pixelRatio: RATIO });
  };
  for (const state of ["live", "idle", "off"] as const)
    for (const owner of ["own", "partner"] as const)
      for (const kind of ["street", "plate"] as const) add(`camera-${owner}-${kind}-${state}`, camera(state, owner === "partner", kind === "plate"));
  for (let severity = 1; severity <= 4; severity++)
    for (const open of [true, false]) for (const partner of [true, false]) add(`alert-${severity}-${open ? "new" : "taken"}-${partner ? "partner" : "own"}`, alert(severity, open, partner));
  add("call", call());
  add("incident", incident(false));
  add("incident-urgent", incident(true));
  for (const kind of Object.keys(MARKS)) add(markIcon(kind), mark(kind));
}
