import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { useAct } from "../contract/use-call";
import type { Position } from "../generated/rtcc/geo/v1/geo_pb";
import { IncidentsService } from "../generated/rtcc/incidents/v1/incidents_pb";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { take } from "./actions";
import { openIncident } from "./list";

interface Start {
  kind: string;
  title: string;
  address: string;
  priority: number;
  alertId: string;
  position: Position | undefined;
}

/** By hand, or from an alert, which then fills in what it knows. */
export function NewIncident({ start, onClose }: { start?: Start; onClose(): void }) {
  const [kind, setKind] = useState(start?.kind ?? "");
  const [title, setTitle] = useState(start?.title ?? "");
  const [priority, setPriority] = useState(String(start?.priority ?? 3));
  const [address, setAddress] = useState(start?.address ?? "");
  const [narrative, setNarrative] = useState("");
  const save = useAct(
    () =>
      send(IncidentsService.method.createIncident, {
        kind: kind.trim(),
        title: title.trim(),
        priority: Number(priority),
        address: address.trim(),
        narrative: narrative.trim(),
        alertId: start?.alertId ?? "",
        ...(start?.position ? { position: start.position } : {}),
      }),
    (answer) => {
      take(answer.incident);
      onClose();
      if (answer.incident) openIncident(answer.incident.incidentId);
    },
  );
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  return (
    <Dialog
      title={start ? "New incident from this alert" : "New incident"}
      testId="incident-form"
      onClose={onClose}
      onSubmit={() => save.mutate(undefined)}
      foot={
        <Button type="submit" look="primary" busy={save.isPending} data-testid="incident-create">
          Create
        </Button>
      }
    >
      <div className="columns">
        <Field label="Kind" problem={reason("kind")}>
          {(attributes) => <input {...attributes} name="kind" required maxLength={120} value={kind} placeholder="Robbery" onChange={(event) => setKind(event.target.value)} />}
        </Field>
        <Field label="Priority" problem={reason("priority")}>
          {(attributes) => (
            <select {...attributes} name="priority" value={priority} onChange={(event) => setPriority(event.target.value)}>
              {["1", "2", "3", "4", "5"].map((one) => (
                <option key={one} value={one}>
                  {`P${one}${one === "1" ? ", most urgent" : ""}`}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <Field label="Title" hint="Empty: the kind and the address" problem={reason("title")}>
        {(attributes) => <input {...attributes} name="title" maxLength={200} value={title} onChange={(event) => setTitle(event.target.value)} />}
      </Field>
      <Field label="Address" problem={reason("address")}>
        {(attributes) => <input {...attributes} name="address" maxLength={200} value={address} onChange={(event) => setAddress(event.target.value)} />}
      </Field>
      <Field label="What is known" problem={reason("narrative")}>
        {(attributes) => <textarea {...attributes} name="narrative" maxLength={8000} value={narrative} onChange={(event) => setNarrative(event.target.value)} />}
      </Field>
      <ProblemNote error={save.error} />
    </Dialog>
  );
}
