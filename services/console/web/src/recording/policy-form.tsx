import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { useAct } from "../contract/use-call";
import { FootageService, RecordingMode, type RecordingPolicy } from "../generated/rtcc/video/v1/footage_pb";
import { asSpan, inSeconds, spanWords, UNITS, wrongSpan, type Unit } from "../retention/spans";
import { notify } from "../ui/notices";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { ruleWords, whyNoSound, type SoundSay } from "./words";

const MODES = [
  [RecordingMode.CONTINUOUS, "Continuously"],
  [RecordingMode.ON_EVENT, "Around alerts that name the camera, or whose plate it read"],
  [RecordingMode.OFF, "Off: nothing is recorded"],
] as const;

/** Whom the rule is for; the agency: both are "". */
export interface Whose {
  cameraId: string;
  name: string;
}

/** Which rule counts before this one is saved. */
function standsWords(cameraId: string, own: RecordingPolicy | undefined, agencys: RecordingPolicy | undefined): string {
  if (!cameraId) return "For every camera that has no rule of its own, also for those to come.";
  if (own) return agencys ? "A rule of its own: the agency's doesn't count here." : "A rule of its own. It can be taken away once the agency has one: nothing else would say how long what is stored is kept.";
  return `${agencys ? `Now the agency's rule counts: ${ruleWords(agencys)}.` : "Neither the camera nor the agency has a rule: nothing is recorded now."} What you save is this camera's own.`;
}

interface PolicyFormProps {
  whose: Whose;
  policies: readonly RecordingPolicy[];
  sound: SoundSay;
  onClose(): void;
}

export function PolicyForm({ whose: { cameraId, name }, policies, sound, onClose }: PolicyFormProps) {
  const agencys = policies.find((rule) => !rule.cameraId);
  const own = policies.find((rule) => rule.cameraId === cameraId);
  const start = own ?? agencys;
  const [mode, setMode] = useState(start?.mode ?? RecordingMode.CONTINUOUS);
  const [before, setBefore] = useState(String(start?.mode === RecordingMode.ON_EVENT ? start.preRollS : 10));
  const [after, setAfter] = useState(String(start?.mode === RecordingMode.ON_EVENT ? start.postRollS : 60));
  const [count, setCount] = useState(String(asSpan(Number(start?.keepS ?? inSeconds(30, "days"))).count));
  const [unit, setUnit] = useState<Unit>(asSpan(Number(start?.keepS ?? inSeconds(30, "days"))).unit);
  const [keepSound, setKeepSound] = useState(own?.keepSound ?? false);
  const keepS = inSeconds(Number(count), unit);
  const wrong = wrongSpan(keepS);
  const noSound = whyNoSound(sound);
  const shorter = start !== undefined && !wrong && keepS < Number(start.keepS);
  const save = useAct(
    () =>
      send(FootageService.method.setRecordingPolicy, {
        policy: { cameraId, mode, keepS: BigInt(keepS), keepSound, ...(mode === RecordingMode.ON_EVENT ? { preRollS: Number(before), postRollS: Number(after) } : {}) },
      }),
    () => {
      notify("The rule is set. Recorders follow within five seconds.");
      onClose();
    },
  );
  const remove = useAct(
    () => send(FootageService.method.setRecordingPolicy, { policy: { cameraId }, remove: true }),
    () => {
      notify("Its own rule is gone: the agency's counts.");
      onClose();
    },
  );
  const problem = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  return (
    <Dialog
      title={cameraId ? `Recording of ${name}` : "Recording of all cameras"}
      testId="recording-form"
      onClose={onClose}
      onSubmit={() => !wrong && save.mutate(undefined)}
      foot={
        <>
          {own && cameraId && agencys && (
            <Button look="danger" busy={remove.isPending} onClick={() => confirm(`Take this camera's own rule away? The agency's rule (${ruleWords(agencys)}) counts again, also for what is stored already.`) && remove.mutate(undefined)}>
              Remove its own rule
            </Button>
          )}
          <Button type="submit" look="primary" busy={save.isPending}>
            Save
          </Button>
        </>
      }
    >
      <p className="secondary">{standsWords(cameraId, own, agencys)}</p>
      <fieldset className="plain stack tight">
        <legend className="legend">Record</legend>
        {MODES.map(([value, words]) => (
          <label key={value} className="check">
            <input type="radio" name="mode" value={value} checked={mode === value} onChange={() => setMode(value)} />
            {words}
          </label>
        ))}
      </fieldset>
      {mode === RecordingMode.ON_EVENT && (
        <div className="columns">
          <Field label="Seconds before the alert" hint="0 to 60, from memory" problem={problem("pre_roll_s")}>
            {(attributes) => <input {...attributes} name="before" type="number" min={0} max={60} required value={before} onChange={(event) => setBefore(event.target.value)} />}
          </Field>
          <Field label="Seconds after the last alert" hint="10 to 3,600" problem={problem("post_roll_s")}>
            {(attributes) => <input {...attributes} name="after" type="number" min={10} max={3600} required value={after} onChange={(event) => setAfter(event.target.value)} />}
          </Field>
        </div>
      )}
      <div className="columns">
        <Field label="Kept for" hint="3 minutes to 10 years" problem={wrong || problem("keep_s")}>
          {(attributes) => <input {...attributes} name="count" type="number" min={1} required value={count} onChange={(event) => setCount(event.target.value)} />}
        </Field>
        <Field label="Unit">
          {(attributes) => (
            <select {...attributes} name="unit" value={unit} onChange={(event) => setUnit(event.target.value as Unit)}>
              {UNITS.map(([one]) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <p className="note" data-tone={shorter ? "bad" : "act"}>
        {shorter ? `Shorter than now (${spanWords(Number(start.keepS))}): what is older than ${spanWords(keepS)} is deleted for ever, beginning within a minute, unless a hold covers it.` : "What is older is deleted for ever, unless a hold covers it. Each deletion leaves a proof."}
      </p>
      <label className="check">
        <input type="checkbox" name="keep-sound" checked={keepSound} disabled={noSound !== "" && !keepSound} aria-describedby="keep-sound-why" onChange={(event) => setKeepSound(event.target.checked)} />
        Keep the sound with the pictures
      </label>
      <small id="keep-sound-why" className="muted">
        {noSound || (cameraId ? "Hearing it live is another matter, and not changed by this." : "Of the cameras that are marked for sound. Hearing them live is another matter, and not changed by this.")}
        {noSound && keepSound && " Until then nothing of it is recorded."}
      </small>
      <ProblemNote error={save.error ?? remove.error} />
    </Dialog>
  );
}
