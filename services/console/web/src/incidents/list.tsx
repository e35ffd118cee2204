import { useState } from "react";
import { age, dayAndTime } from "../contract/time";
import { useRead } from "../contract/use-call";
import { IncidentsService, IncidentState, type Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import { useLive } from "../live/store";
import { useRight, useSession } from "../session/store";
import { go } from "../shell/router";
import { tellWindows } from "../shell/windows";
import { Page, Read, Table } from "../ui/page";
import { Button } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { FloorPlans } from "./floor-plans";
import { NewIncident } from "./new-incident";
import { inOrder, outcomeName, priorityName, UNIT_STATUS, working } from "./words";

export function openIncident(incidentId: string): void {
  tellWindows({ kind: "incident", incidentId });
  go(`/incident/${encodeURIComponent(incidentId)}`);
}

/** All open incidents as the live picture has them; closed ones are read when asked for. */
export function IncidentList() {
  const mayCreate = useRight("incident.create");
  const mayPlans = useRight("floor_plan.list");
  const open = useLive((state) => state.incidents);
  const [closedToo, setClosedToo] = useState(false);
  const [creating, setCreating] = useState(false);
  const [plans, setPlans] = useState(false);
  const stored = useRead(IncidentsService.method.listIncidents, { includeClosed: closedToo, limit: 200 });
  return (
    <Page
      title="Incidents"
      actions={
        <>
          {mayPlans && <Button onClick={() => setPlans(true)}>Floor plans…</Button>}
          {mayCreate && (
            <Button look="primary" onClick={() => setCreating(true)} data-testid="new-incident">
              New incident
            </Button>
          )}
        </>
      }
    >
      <label className="check">
        <input type="checkbox" checked={closedToo} onChange={(event) => setClosedToo(event.target.checked)} />
        Closed ones too
      </label>
      <Read query={stored}>{(data) => <Rows incidents={merged(data.incidents, open, closedToo)} />}</Read>
      {creating && <NewIncident onClose={() => setCreating(false)} />}
      {plans && <FloorPlans onClose={() => setPlans(false)} />}
    </Page>
  );
}

function merged(stored: readonly Incident[], live: ReadonlyMap<string, Incident>, closedToo: boolean): Incident[] {
  const all = new Map(stored.map((incident) => [incident.incidentId, incident]));
  for (const incident of live.values()) if ((all.get(incident.incidentId)?.revision ?? 0) <= incident.revision) all.set(incident.incidentId, incident);
  return inOrder([...all.values()].filter((incident) => closedToo || incident.state === IncidentState.OPEN));
}

function Rows({ incidents }: { incidents: readonly Incident[] }) {
  const now = useNow(10_000) + useSession((state) => state.clockSkewMs);
  return (
    <Table
      label="Incidents"
      rowTestId="incident-row"
      rows={incidents}
      rowKey={(incident) => incident.incidentId}
      empty="No incident is open. A call for service makes one by itself; you can also make one from an alert, or here."
      onSelect={(incident) => openIncident(incident.incidentId)}
      columns={[
        {
          title: "Number",
          cell: (incident) => (
            <a className="mono nowrap" href={`/incident/${encodeURIComponent(incident.incidentId)}`} onClick={(event) => event.preventDefault()}>
              {incident.number}
            </a>
          ),
        },
        { title: "Priority", cell: (incident) => <span className="badge" data-tone={incident.priority === 1 ? "bad" : incident.priority === 2 ? "act" : undefined}>{priorityName(incident.priority)}</span> },
        {
          title: "What",
          cell: (incident) => (
            <span>
              <strong>{incident.kind}</strong>
              <br />
              <span className="secondary">{incident.title}</span>
            </span>
          ),
        },
        { title: "Where", cell: (incident) => incident.address || (incident.position ? "on the map" : "unknown") },
        {
          title: "Units",
          cell: (incident) => (
            <span className="row">
              {working(incident).map((assignment) => (
                <span key={assignment.assignmentId} className="badge">
                  {assignment.callSign} {UNIT_STATUS[assignment.status]}
                </span>
              ))}
              {incident.state === IncidentState.CLOSED && <span className="badge">{outcomeName(incident.outcome)}</span>}
              {incident.state === IncidentState.OPEN && !working(incident).length && <span className="muted">nobody yet</span>}
            </span>
          ),
        },
        { title: "Signals", cell: (incident) => <span className="mono">{incident.signals}</span> },
        { title: "Since", cell: (incident) => <span title={dayAndTime(incident.occurredAt)}>{age(incident.occurredAt, now)}</span> },
      ]}
    />
  );
}
