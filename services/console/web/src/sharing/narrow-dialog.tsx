import { clone } from "@bufbuild/protobuf";
import { useState } from "react";
import { send } from "../contract/call";
import { fromLocalInput } from "../contract/time";
import { useAct } from "../contract/use-call";
import { AgreementSchema, RegistryService, type Agreement } from "../generated/rtcc/registry/v1/registry_pb";
import { notify } from "../ui/notices";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { useNames } from "./sharing";
import { ALERT_KINDS, PERSON_FIELDS, REDACTIONS } from "./words";

/** Only takes away: what the agreement does not grant can't be chosen here. */
export function NarrowDialog({ agreement, onClose }: { agreement: Agreement; onClose(): void }) {
  const names = useNames();
  const [draft, setDraft] = useState(() => clone(AgreementSchema, agreement));
  const [until, setUntil] = useState("");
  const set = (part: Partial<Agreement>) => setDraft((before) => Object.assign(clone(AgreementSchema, before), part));
  const without = (values: readonly string[], id: string) => (values.includes(id) ? values.filter((one) => one !== id) : [...values, id]);
  const save = useAct(
    () => {
      const validUntil = fromLocalInput(until);
      return send(RegistryService.method.narrowAgreement, { agreement: validUntil ? { ...draft, validUntil } : draft });
    },
    () => {
      notify("Narrowed. Both sides are told.");
      onClose();
    },
  );
  return (
    <Dialog title={`Narrow “${agreement.title}”`} testId="narrow-dialog" onClose={onClose} onSubmit={() => save.mutate(undefined)} foot={<Button type="submit" look="primary" busy={save.isPending}>Narrow</Button>}>
      {agreement.alertKinds.length > 0 && (
        <fieldset className="plain">
          <legend className="legend">Alerts of</legend>
          {agreement.alertKinds.map((id) => (
            <label key={id} className="check">
              <input type="checkbox" checked={draft.alertKinds.includes(id)} onChange={() => set({ alertKinds: without(draft.alertKinds, id) })} />
              {ALERT_KINDS.find(([kind]) => kind === id)?.[1] ?? id}
            </label>
          ))}
        </fieldset>
      )}
      {agreement.cameraIds.length > 0 && (
        <fieldset className="plain">
          <legend className="legend">Cameras</legend>
          <div className="choice-list" tabIndex={0} role="group" aria-label="Cameras">
            {agreement.cameraIds.map((id) => (
              <label key={id} className="check">
                <input type="checkbox" checked={draft.cameraIds.includes(id)} onChange={() => set({ cameraIds: without(draft.cameraIds, id) })} />
                {names.camera(id)}
              </label>
            ))}
          </div>
          {!agreement.camerasOnlyDuringAlert && (
            <label className="check">
              <input type="checkbox" checked={draft.camerasOnlyDuringAlert} onChange={(event) => set({ camerasOnlyDuringAlert: event.target.checked })} />
              From now on only while a shared alert is open
            </label>
          )}
        </fieldset>
      )}
      {agreement.units && (
        <label className="check">
          <input type="checkbox" checked={draft.units} onChange={(event) => set({ units: event.target.checked })} />
          Positions of units
        </label>
      )}
      {agreement.tracks && (
        <label className="check">
          <input type="checkbox" checked={draft.tracks} onChange={(event) => set({ tracks: event.target.checked })} />
          Drones and aircraft
        </label>
      )}
      {agreement.personFields.length > 0 && (
        <fieldset className="plain">
          <legend className="legend">Of persons</legend>
          {agreement.personFields.map((id) => (
            <label key={id} className="check">
              <input
                type="checkbox"
                checked={draft.personFields.includes(id)}
                onChange={() => set({ personFields: id === "identity" && draft.personFields.includes(id) ? [] : without(draft.personFields, id) })}
              />
              {PERSON_FIELDS.find(([field]) => field === id)?.[1] ?? id}
            </label>
          ))}
        </fieldset>
      )}
      <fieldset className="plain">
        <legend className="legend">Remove before anything leaves</legend>
        {REDACTIONS.map(([id, title]) => (
          <label key={id} className="check">
            <input type="checkbox" disabled={agreement.redactions.includes(id)} checked={draft.redactions.includes(id)} onChange={() => set({ redactions: without(draft.redactions, id) })} />
            {title}
          </label>
        ))}
      </fieldset>
      <Field label="Ends earlier, at">{(attributes) => <input {...attributes} type="datetime-local" value={until} onChange={(event) => setUntil(event.target.value)} />}</Field>
      <ProblemNote error={save.error} />
    </Dialog>
  );
}
