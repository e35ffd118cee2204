import { useState } from "react";
import { send } from "../contract/call";
import { useAct } from "../contract/use-call";
import { IncidentsService, type Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { take } from "./actions";
import { OUTCOMES, working } from "./words";

export function CloseIncident({ incident, onClose }: { incident: Incident; onClose(): void }) {
  const [outcome, setOutcome] = useState("resolved");
  const [note, setNote] = useState("");
  const [clearUnits, setClearUnits] = useState(false);
  const busy = working(incident);
  const close = useAct(() => send(IncidentsService.method.closeIncident, { incidentId: incident.incidentId, outcome, note: note.trim(), clearUnits }), (answer) => {
    take(answer.incident);
    onClose();
  });
  return (
    <Dialog
      title={`Close ${incident.number}`}
      testId="incident-close-dialog"
      onClose={onClose}
      onSubmit={() => close.mutate(undefined)}
      foot={
        <Button type="submit" look="primary" busy={close.isPending} disabled={busy.length > 0 && !clearUnits} data-testid="incident-close-submit">
          Close incident
        </Button>
      }
    >
      <Field label="Outcome">
        {(attributes) => (
          <select {...attributes} name="outcome" value={outcome} onChange={(event) => setOutcome(event.target.value)}>
            {OUTCOMES.map(([id, title]) => (
              <option key={id} value={id}>
                {title}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Note" hint="What a later reader should know">
        {(attributes) => <textarea {...attributes} name="note" maxLength={2000} value={note} onChange={(event) => setNote(event.target.value)} />}
      </Field>
      {busy.length > 0 && (
        <label className="check">
          <input type="checkbox" name="clear-units" checked={clearUnits} onChange={(event) => setClearUnits(event.target.checked)} />
          {busy.map((unit) => unit.callSign).join(", ")} still {busy.length === 1 ? "works" : "work"} on it: clear from now on
        </label>
      )}
      <ProblemNote error={close.error} />
    </Dialog>
  );
}
