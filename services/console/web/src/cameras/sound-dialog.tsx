import { useState } from "react";
import { send } from "../contract/call";
import { useAct, useRead } from "../contract/use-call";
import { RegistryService, type Agency } from "../generated/rtcc/registry/v1/registry_pb";
import { useOwnAgency } from "../session/store";
import { notify } from "../ui/notices";
import { Read } from "../ui/page";
import { Button, Dialog, ProblemNote } from "../ui/parts";

/** The agency's own decision about sound: off until somebody looked at the law. */
export default function SoundDialog({ onClose }: { onClose(): void }) {
  const agencies = useRead(RegistryService.method.listAgencies, {});
  const own = useOwnAgency();
  return (
    <Read query={agencies}>
      {(data) => {
        const agency = data.agencies.find((one) => one.agencyId === own);
        return agency ? <Decision agency={agency} onClose={onClose} /> : null;
      }}
    </Read>
  );
}

function Decision({ agency, onClose }: { agency: Agency; onClose(): void }) {
  const [allowed, setAllowed] = useState(agency.soundAllowed);
  const save = useAct(
    () => send(RegistryService.method.updateAgency, { agency: { ...agency, soundAllowed: allowed } }),
    () => {
      notify(allowed ? "Sound is allowed for the cameras marked for it." : "Sound is off for all cameras.");
      onClose();
    },
  );
  return (
    <Dialog
      title={`Sound of ${agency.name}`}
      testId="sound-dialog"
      onClose={onClose}
      onSubmit={() => save.mutate(undefined)}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={save.isPending}>
            Save
          </Button>
        </>
      }
    >
      <p>
        A microphone hears people who may expect not to be overheard. Listening to or recording them can be an offence (18 U.S.C. 2510-2523), and several states want the consent of everybody who speaks. Ask your counsel before you switch it on; the change stands in the audit log under your
        name.
      </p>
      <label className="check">
        <input type="checkbox" name="sound-allowed" checked={allowed} onChange={(event) => setAllowed(event.target.checked)} />
        Cameras that are marked for it may be heard and recorded with their sound
      </label>
      <ProblemNote error={save.error} />
    </Dialog>
  );
}
