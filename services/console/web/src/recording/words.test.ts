import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { RecordingMode, RecordingPolicySchema, RecordingState } from "../generated/rtcc/video/v1/footage_pb";
import { nowOf, ruleOf, ruleWords, sizeWords, STATES, tally, whyNoSound } from "./words";

const rule = (cameraId: string, mode: RecordingMode) => create(RecordingPolicySchema, { cameraId, mode, keepS: 2_592_000n, preRollS: 10, postRollS: 60 });

test("a rule is said in words", () => {
  expect(ruleWords(rule("", RecordingMode.CONTINUOUS))).toBe("continuously, kept for 30 days");
  expect(ruleWords(rule("", RecordingMode.ON_EVENT))).toBe("around alerts, 10 s before to 60 s after, kept for 30 days");
  expect(ruleWords(rule("", RecordingMode.OFF))).toBe("off, kept for 30 days");
  expect(ruleWords({ ...rule("", RecordingMode.CONTINUOUS), keepSound: true })).toBe("continuously, with sound, kept for 30 days");
  expect(ruleWords(undefined)).toBe("no rule: nothing is recorded");
});

test("a camera's own rule counts before the agency's", () => {
  const rules = [rule("", RecordingMode.CONTINUOUS), rule("c1", RecordingMode.OFF)];
  expect(ruleOf("c1", rules)?.mode).toBe(RecordingMode.OFF);
  expect(ruleOf("c2", rules)?.mode).toBe(RecordingMode.CONTINUOUS);
  expect(ruleOf("c2", [])).toBeUndefined();
});

test("each state has a shape and words of its own", () => {
  const states = Object.values(STATES);
  expect(new Set(states.map((one) => one.shape)).size).toBe(states.length);
  expect(new Set(states.map((one) => one.words)).size).toBe(states.length);
});

test("what the recorders do is counted in words", () => {
  const of = (...states: RecordingState[]) => tally(states.map((state) => ({ state })));
  expect(of(RecordingState.RECORDING, RecordingState.FAILED, RecordingState.OFF)).toBe("Now 1 records, 1 should record and doesn't.");
  expect(of(RecordingState.RECORDING, RecordingState.RECORDING, RecordingState.WAITING)).toBe("Now 2 record, 1 waits for an alert.");
  expect(of(RecordingState.OFF)).toBe("No camera records now.");
});

test("a camera that its rule wants recorded, and that has no recorder, is never said to be off", () => {
  const wants = rule("", RecordingMode.CONTINUOUS);
  const camera = { enabled: true, hasStream: true, published: false };
  const off = { state: RecordingState.OFF, reason: "" };
  expect(nowOf(wants, undefined, { ...camera, enabled: false }, "")).toEqual({ state: RecordingState.FAILED, reason: "It is switched off in Cameras, Edit." });
  // footage is stored of it, so the service tells of it
  expect(nowOf(wants, off, { ...camera, hasStream: false }, "").reason).toContain("no stream");
  expect(nowOf(wants, off, { ...camera, hasStream: false, published: true }, "").state).toBe(RecordingState.UNSPECIFIED);
  expect(nowOf(wants, undefined, camera, "more cameras than this relay takes")).toEqual({ state: RecordingState.FAILED, reason: "more cameras than this relay takes" });
  expect(nowOf(rule("", RecordingMode.OFF), undefined, { ...camera, enabled: false }, "")).toEqual(off);
  expect(nowOf(undefined, undefined, camera, "no answer")).toEqual(off);
  expect(nowOf(wants, { state: RecordingState.FAILED, reason: "The camera sent no pictures." }, camera, "")).toEqual({ state: RecordingState.FAILED, reason: "The camera sent no pictures." });
  expect(nowOf(wants, { state: RecordingState.RECORDING, reason: "" }, camera, "").state).toBe(RecordingState.RECORDING);
});

test("sizes are said as disks are sold", () => {
  expect([0, 999, 1_500_000, 8_589_934_592].map(sizeWords)).toEqual(["0 B", "999 B", "1.5 MB", "8.6 GB"]);
});

test("why no sound can be kept names who set it", () => {
  expect(whyNoSound({ agency: false, camera: false })).toContain("“Sound…”");
  expect(whyNoSound({ agency: true, camera: false })).toContain("isn't marked");
  expect(whyNoSound({ agency: true, camera: true, allowed: false })).toContain("RTCC_VIDEO_SOUND");
  expect(whyNoSound({ agency: true, camera: true, allowed: true })).toBe("");
  // before anything is known nothing is claimed
  expect(whyNoSound({ agency: undefined })).toBe("");
});
