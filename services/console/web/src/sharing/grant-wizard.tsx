import { create } from "@bufbuild/protobuf";
import { useState } from "react";
import { send } from "../contract/call";
import { fromLocalInput } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { AgreementSchema, RegistryService } from "../generated/rtcc/registry/v1/registry_pb";
import { useOwnAgency } from "../session/store";
import { notify } from "../ui/notices";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { CameraChoice } from "./camera-choice";
import { useNames } from "./sharing";
import { ALERT_KINDS, inWords, PERSON_FIELDS, REDACTIONS } from "./words";

type Step = "partner" | "what" | "limits" | "read";
const STEPS: readonly (readonly [Step, string])[] = [
  ["partner", "With whom"],
  ["what", "What"],
  ["limits", "Limits"],
  ["read", "Read and grant"],
];

/** Whoever sees anything of a person sees who it is; without that there is nothing to see. */
function withGround(fields: ReadonlySet<string>, changed: string): ReadonlySet<string> {
  if (changed === "identity" && !fields.has("identity")) return new Set();
  return fields.size ? new Set(["identity", ...fields]) : fields;
}

/** Four short steps; the last one says in plain words what is about to be granted. */
export function GrantWizard({ onClose }: { onClose(): void }) {
  const own = useOwnAgency();
  const names = useNames();
  const agencies = useRead(RegistryService.method.listAgencies, {});
  const cameras = useRead(RegistryService.method.listCameras, {});
  const [step, setStep] = useState<Step>("partner");
  const [draft, setDraft] = useState({
    grantee: "",
    title: "",
    alertKinds: new Set<string>() as ReadonlySet<string>,
    cameraIds: new Set<string>() as ReadonlySet<string>,
    onlyDuringAlert: true,
    recorded: false,
    exported: false,
    units: false,
    tracks: false,
    personFields: new Set<string>() as ReadonlySet<string>,
    until: "",
    purposes: "",
    redactions: new Set<string>() as ReadonlySet<string>,
    attestation: false,
  });
  const set = (part: Partial<typeof draft>) => setDraft((before) => ({ ...before, ...part }));
  const until = fromLocalInput(draft.until);
  const agreement = create(AgreementSchema, {
    grantorAgencyId: own,
    granteeAgencyId: draft.grantee,
    title: draft.title.trim(),
    alertKinds: [...draft.alertKinds],
    cameraIds: [...draft.cameraIds],
    camerasLive: draft.cameraIds.size > 0,
    camerasRecorded: draft.cameraIds.size > 0 && draft.recorded,
    camerasExport: draft.cameraIds.size > 0 && draft.recorded && draft.exported,
    camerasOnlyDuringAlert: draft.cameraIds.size > 0 && draft.onlyDuringAlert,
    units: draft.units,
    tracks: draft.tracks,
    personFields: [...draft.personFields],
    purposes: draft.purposes.split(",").map((one) => one.trim()).filter(Boolean),
    redactions: [...draft.redactions],
    attestationRequired: draft.attestation,
    ...(until ? { validUntil: until } : {}),
  });
  const grant = useAct(
    () => send(RegistryService.method.createAgreement, { agreement }),
    () => {
      notify("Granted.");
      onClose();
    },
  );
  const at = STEPS.findIndex(([id]) => id === step);
  const empty = !draft.alertKinds.size && !draft.cameraIds.size && !draft.units && !draft.tracks && !draft.personFields.size;
  const toggled = (values: ReadonlySet<string>, id: string) => {
    const next = new Set(values);
    if (!next.delete(id)) next.add(id);
    return next;
  };
  return (
    <Dialog
      wide
      title="Share with an agency"
      testId="grant-wizard"
      onClose={onClose}
      onSubmit={() => (step === "read" ? grant.mutate(undefined) : setStep(STEPS[at + 1]?.[0] ?? "read"))}
      foot={
        <>
          {at > 0 && <Button onClick={() => setStep(STEPS[at - 1]?.[0] ?? "partner")}>Back</Button>}
          <Button type="submit" look="primary" busy={grant.isPending} disabled={(step === "partner" && !draft.grantee) || (step !== "partner" && empty)} data-testid="wizard-next">
            {step === "read" ? "Grant" : "Next"}
          </Button>
        </>
      }
    >
      <ol className="wizard-steps" aria-label="Steps">
        {STEPS.map(([id, title], index) => (
          <li key={id} aria-current={id === step ? "step" : undefined} data-done={index < at || undefined}>
            {index + 1}. {title}
          </li>
        ))}
      </ol>
      {step === "partner" && (
        <>
          <Field label="Agency">
            {(attributes) => (
              <select {...attributes} name="grantee" required autoFocus value={draft.grantee} onChange={(event) => set({ grantee: event.target.value })}>
                <option value="">Choose…</option>
                {(agencies.data?.agencies ?? [])
                  .filter((agency) => agency.agencyId !== own)
                  .map((agency) => (
                    <option key={agency.agencyId} value={agency.agencyId}>
                      {agency.name}
                    </option>
                  ))}
              </select>
            )}
          </Field>
          <Field label="Title" hint="As both sides will see it">
            {(attributes) => <input {...attributes} name="title" required maxLength={120} placeholder="Stolen vehicles across the border" value={draft.title} onChange={(event) => set({ title: event.target.value })} />}
          </Field>
          <ProblemNote error={agencies.error} />
        </>
      )}
      {step === "what" && (
        <>
          <fieldset className="plain">
            <legend className="legend">Alerts of</legend>
            {ALERT_KINDS.map(([id, title]) => (
              <label key={id} className="check">
                <input type="checkbox" name={`kind-${id}`} checked={draft.alertKinds.has(id)} onChange={() => set({ alertKinds: toggled(draft.alertKinds, id) })} />
                {title}
              </label>
            ))}
          </fieldset>
          <CameraChoice cameras={cameras.data?.cameras ?? []} chosen={draft.cameraIds} onChosen={(cameraIds) => set({ cameraIds })} />
          {draft.cameraIds.size > 0 && (
            <label className="check">
              <input type="checkbox" name="only-during-alert" checked={draft.onlyDuringAlert} onChange={(event) => set({ onlyDuringAlert: event.target.checked })} />
              Cameras only while an alert shared with them is open
            </label>
          )}
          {draft.cameraIds.size > 0 && (
            <label className="check">
              <input type="checkbox" name="recorded" checked={draft.recorded} onChange={(event) => set({ recorded: event.target.checked })} />
              Recordings of these cameras
            </label>
          )}
          {draft.cameraIds.size > 0 && draft.recorded && (
            <label className="check">
              <input type="checkbox" name="exported" checked={draft.exported} onChange={(event) => set({ exported: event.target.checked })} />
              Exported copies of these recordings
            </label>
          )}
          <label className="check">
            <input type="checkbox" name="units" checked={draft.units} onChange={(event) => set({ units: event.target.checked })} />
            Positions of our units
          </label>
          <label className="check">
            <input type="checkbox" name="tracks" checked={draft.tracks} onChange={(event) => set({ tracks: event.target.checked })} />
            Drones and aircraft that our receivers hear
          </label>
          <details>
            <summary>Person records</summary>
            <fieldset className="plain">
              <legend className="legend">What they find and see of the persons that we know; never intelligence</legend>
              {PERSON_FIELDS.map(([id, title]) => (
                <label key={id} className="check">
                  <input type="checkbox" name={`person-${id}`} checked={draft.personFields.has(id)} onChange={() => set({ personFields: withGround(toggled(draft.personFields, id), id) })} />
                  {title}
                </label>
              ))}
            </fieldset>
          </details>
          {empty && <p className="muted">Nothing is chosen yet. Default is nothing.</p>}
        </>
      )}
      {step === "limits" && (
        <>
          <Field label="Ends at" hint="Empty: until revoked">
            {(attributes) => <input {...attributes} name="until" type="datetime-local" value={draft.until} onChange={(event) => set({ until: event.target.value })} />}
          </Field>
          <Field label="Only for these purposes" hint="Separated by commas; empty: any that is not barred">
            {(attributes) => <input {...attributes} name="purposes" value={draft.purposes} placeholder="Stolen vehicle, Missing person" onChange={(event) => set({ purposes: event.target.value })} />}
          </Field>
          <fieldset className="plain">
            <legend className="legend">Remove before anything leaves</legend>
            {REDACTIONS.map(([id, title]) => (
              <label key={id} className="check">
                <input type="checkbox" name={`redact-${id}`} checked={draft.redactions.has(id)} onChange={() => set({ redactions: toggled(draft.redactions, id) })} />
                {title}
              </label>
            ))}
          </fieldset>
          <label className="check">
            <input type="checkbox" name="attestation" checked={draft.attestation} onChange={(event) => set({ attestation: event.target.checked })} />
            They must attest the terms first
          </label>
        </>
      )}
      {step === "read" && (
        <>
          <div className="note stack" data-tone="act" data-testid="grant-words">
            <strong>{draft.title}</strong>
            <ul>
              {inWords(agreement, names.agency(draft.grantee), names.camera).map((sentence) => (
                <li key={sentence}>{sentence}</li>
              ))}
            </ul>
          </div>
          <p className="muted">Both sides are told. You can narrow or revoke it at any time; it never widens by itself.</p>
          <ProblemNote error={grant.error} />
        </>
      )}
    </Dialog>
  );
}
