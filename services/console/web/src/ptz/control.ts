/** The one camera that this window moves: its lease kept alive, movements sent while a key or button is held, and everything stopped when not. */
import { create } from "zustand";
import { send } from "../contract/call";
import { DeclinedError } from "../contract/exchange";
import { explain } from "../contract/problem";
import { PtzService, type Preset } from "../generated/rtcc/video/v1/ptz_pb";

const RENEW_EVERY_MS = 5_000;
/** The device stops 2 s after the last one: a lost connection stops the camera. */
const REPEAT_EVERY_MS = 900;

export interface Speed {
  pan: number;
  tilt: number;
  zoom: number;
}

interface PtzState {
  cameraId: string;
  leaseId: string;
  presets: readonly Preset[];
  busy: boolean;
  /** Why the camera can't be moved; by camera. */
  problem: { cameraId: string; text: string } | undefined;
}

const idle = { cameraId: "", leaseId: "", presets: [], busy: false };
export const usePtz = create<PtzState>()(() => ({ ...idle, problem: undefined }));

let renewing: ReturnType<typeof setInterval> | undefined;
let repeating: ReturnType<typeof setInterval> | undefined;

export async function takeControl(cameraId: string, over = false): Promise<void> {
  if (usePtz.getState().cameraId) await giveBack();
  usePtz.setState({ busy: true, problem: undefined });
  try {
    const answer = over ? await send(PtzService.method.takeOverControl, { cameraId }) : await send(PtzService.method.takeControl, { cameraId });
    usePtz.setState({ cameraId, leaseId: answer.control?.leaseId ?? "", presets: answer.presets, busy: false });
    renewing = setInterval(() => void renew(), RENEW_EVERY_MS);
  } catch (error) {
    usePtz.setState({ busy: false, problem: error instanceof DeclinedError ? undefined : { cameraId, text: explain(error) } });
  }
}

export async function giveBack(): Promise<void> {
  const { cameraId, leaseId } = usePtz.getState();
  forget();
  if (!cameraId) return;
  try {
    await send(PtzService.method.releaseControl, { cameraId, leaseId });
  } catch {
    // it runs out within seconds, and the camera stops by itself
  }
}

/** Moves until `halt`. */
export function move(speed: Speed): void {
  clearInterval(repeating);
  void act({ case: "continuous", value: speed });
  repeating = setInterval(() => void act({ case: "continuous", value: speed }), REPEAT_EVERY_MS);
}

export function halt(): void {
  if (repeating === undefined) return;
  clearInterval(repeating);
  repeating = undefined;
  void act({ case: "stop", value: true });
}

export function goToPreset(token: string): void {
  halt();
  void act({ case: "preset", value: token });
}

/** The device remembers where it looks now under this name, in place of a place that has it already. */
export function storePlace(name: string): Promise<void> {
  const token = usePtz.getState().presets.find((preset) => preset.name === name)?.token ?? "";
  return changePlaces(PtzService.method.setPreset, { name, token });
}

export function removePlace(token: string): Promise<void> {
  return changePlaces(PtzService.method.removePreset, { token });
}

async function changePlaces(method: typeof PtzService.method.setPreset | typeof PtzService.method.removePreset, change: { name?: string; token: string }): Promise<void> {
  const { cameraId, leaseId } = usePtz.getState();
  try {
    const { presets } = await send(method as typeof PtzService.method.setPreset, { cameraId, leaseId, ...change });
    if (usePtz.getState().leaseId === leaseId) usePtz.setState({ presets, problem: undefined });
  } catch (error) {
    failed(cameraId, error);
  }
}

type Movement = { case: "continuous"; value: Speed } | { case: "stop"; value: true } | { case: "preset"; value: string };

let last: Promise<void> = Promise.resolve();
let waiting = 0;

/** One after the other, so that a stop never overtakes what it stops; on a slow link what is only repeated is left out. */
function act(movement: Movement): Promise<void> {
  const { cameraId, leaseId } = usePtz.getState();
  if (!cameraId || (movement.case === "continuous" && waiting > 1)) return last;
  waiting++;
  last = last.then(async () => {
    try {
      await send(PtzService.method.moveCamera, { cameraId, leaseId, movement });
    } catch (error) {
      failed(cameraId, error);
    } finally {
      waiting--;
    }
  });
  return last;
}

async function renew(): Promise<void> {
  const { cameraId, leaseId } = usePtz.getState();
  try {
    await send(PtzService.method.renewControl, { cameraId, leaseId });
  } catch (error) {
    failed(cameraId, error);
    // somebody took it over, or the ten minutes are over; a link that is down is told by the next movement
    if (!(error instanceof TypeError)) forget();
  }
}

function failed(cameraId: string, error: unknown): void {
  usePtz.setState({ problem: { cameraId, text: explain(error) } });
}

function forget(): void {
  clearInterval(renewing);
  clearInterval(repeating);
  renewing = repeating = undefined;
  usePtz.setState(idle);
}

/** Which way a key moves the camera; undefined for any other key. */
export function speedOfKey(key: string): Speed | undefined {
  const ways: Record<string, Speed> = {
    ArrowLeft: { pan: -0.5, tilt: 0, zoom: 0 },
    ArrowRight: { pan: 0.5, tilt: 0, zoom: 0 },
    ArrowUp: { pan: 0, tilt: 0.5, zoom: 0 },
    ArrowDown: { pan: 0, tilt: -0.5, zoom: 0 },
    "+": { pan: 0, tilt: 0, zoom: 0.5 },
    "=": { pan: 0, tilt: 0, zoom: 0.5 },
    "-": { pan: 0, tilt: 0, zoom: -0.5 },
  };
  return ways[key];
}
