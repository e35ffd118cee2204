/** What a recording rule and a recorder say, in words. Pure. */
import type { Camera } from "../generated/rtcc/registry/v1/registry_pb";
import { RecordingMode, RecordingState, type CameraRecording, type RecordingPolicy } from "../generated/rtcc/video/v1/footage_pb";
import { spanWords } from "../retention/spans";

type Rule = Pick<RecordingPolicy, "mode" | "keepS" | "preRollS" | "postRollS" | "keepSound">;

export function modeWords(rule: Rule | undefined): string {
  if (rule?.mode === RecordingMode.CONTINUOUS) return "continuously";
  if (rule?.mode === RecordingMode.ON_EVENT) return `around alerts, ${rule.preRollS} s before to ${rule.postRollS} s after`;
  return rule ? "off" : "no rule";
}

/** "continuously, with sound, kept for 30 days". */
export function ruleWords(rule: Rule | undefined): string {
  return rule ? `${modeWords(rule)}${rule.keepSound && rule.mode !== RecordingMode.OFF ? ", with sound" : ""}, kept for ${spanWords(Number(rule.keepS))}` : "no rule: nothing is recorded";
}

/** The camera's own rule, else the agency's. */
export function ruleOf(cameraId: string, rules: readonly RecordingPolicy[]): RecordingPolicy | undefined {
  return rules.find((rule) => rule.cameraId === cameraId) ?? rules.find((rule) => !rule.cameraId);
}

/** What the recorder does: a shape, a word, and whether somebody should look. */
export const STATES: Record<RecordingState, { shape: string; words: string; tone?: "live" | "bad" }> = {
  [RecordingState.UNSPECIFIED]: { shape: "–", words: "not known yet" },
  [RecordingState.OFF]: { shape: "○", words: "off" },
  [RecordingState.RECORDING]: { shape: "●", words: "recording", tone: "live" },
  [RecordingState.WAITING]: { shape: "◐", words: "waiting for an alert" },
  [RecordingState.FAILED]: { shape: "✕", words: "doesn't record", tone: "bad" },
};

/** What becomes of a camera's pictures now: its recorder's word, and where its rule wants a recorder and there is none, why. */
export function nowOf(rule: Rule | undefined, recording: Pick<CameraRecording, "state" | "reason"> | undefined, camera: Pick<Camera, "enabled" | "hasStream" | "published">, trouble: string): { state: RecordingState; reason: string } {
  const told = recording?.state ?? RecordingState.OFF;
  if (told !== RecordingState.OFF || !rule || rule.mode === RecordingMode.OFF) return { state: told, reason: told === RecordingState.FAILED ? (recording?.reason ?? "") : "" };
  const why = !camera.enabled ? "It is switched off in Cameras, Edit." : !camera.hasStream && !camera.published ? "It has no stream. That is set in Cameras, Edit." : trouble;
  return why ? { state: RecordingState.FAILED, reason: why } : { state: RecordingState.UNSPECIFIED, reason: "Its recorder hasn't told yet." };
}

/** "3 record, 1 waits for an alert, 2 should record and don't." Off ones aren't counted. */
export function tally(cameras: readonly Pick<CameraRecording, "state">[]): string {
  const count = (state: RecordingState) => cameras.filter((one) => one.state === state).length;
  const [record, wait, fail] = [count(RecordingState.RECORDING), count(RecordingState.WAITING), count(RecordingState.FAILED)];
  const parts = [
    record && `${record} ${record === 1 ? "records" : "record"}`,
    wait && `${wait} ${wait === 1 ? "waits" : "wait"} for an alert`,
    fail && `${fail} should record and ${fail === 1 ? "doesn't" : "don't"}`,
  ].filter(Boolean);
  return parts.length ? `Now ${parts.join(", ")}.` : "No camera records now.";
}

/** 1,500,000: "1.5 MB". */
export function sizeWords(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  const step = Math.max(0, Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${(bytes / 1000 ** step).toFixed(step ? 1 : 0)} ${units[step]}`;
}

/** Who has a say about sound (0019): undefined where the caller may not know. */
export interface SoundSay {
  agency: boolean | undefined;
  /** Of the one camera that the rule is for; undefined for the agency's rule. */
  camera?: boolean | undefined;
  /** What the video service makes of all three; false though agency and camera allow it: the installation. */
  allowed?: boolean | undefined;
}

/** Why no sound can be kept, and where that is set; "" when it can. */
export function whyNoSound({ agency, camera, allowed }: SoundSay): string {
  if (agency === false) return "This agency allows no sound. An administrator sets that in Cameras, “Sound…”.";
  if (camera === false) return "This camera isn't marked for sound. That is set in Cameras, Edit, “Its sound may be heard and recorded”.";
  if (agency && camera && allowed === false) return "The installation takes no sound (RTCC_VIDEO_SOUND is off). Whoever runs it sets that.";
  return "";
}
