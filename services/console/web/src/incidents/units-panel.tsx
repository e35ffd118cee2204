import { useState } from "react";
import { clockTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IncidentState, UnitStatus, type Assignment, type Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import { LocationService } from "../generated/rtcc/location/v1/location_pb";
import { useRight } from "../session/store";
import { notifyProblem } from "../ui/notices";
import { Button } from "../ui/parts";
import { assignUnit, setUnitStatus } from "./actions";
import { nextStatuses, UNIT_STATUS, working } from "./words";

const NEAREST = 6;

/** Who works on it, what each is doing, and who is near and could come. */
export function UnitsPanel({ incident }: { incident: Incident }) {
  const mayAssign = useRight("incident.assign_unit");
  const mayStatus = useRight("incident.set_unit_status");
  const [assigning, setAssigning] = useState(false);
  const [busy, setBusy] = useState<{ unitId: string; callSign: string; number: string }>();
  const at = incident.position?.coordinate;
  const open = incident.state === IncidentState.OPEN;
  const nearest = useRead(LocationService.method.findNearest, at ? { coordinate: at, limit: NEAREST } : {}, { enabled: assigning && at !== undefined });
  const assign = useAct(async ({ unitId, callSign, takeOver }: { unitId: string; callSign: string; takeOver: boolean }) => {
    const { won, busyNumber } = await assignUnit(incident.incidentId, unitId, takeOver);
    setBusy(won ? undefined : { unitId, callSign, number: busyNumber });
  });
  const change = useAct(({ unit, status }: { unit: Assignment; status: UnitStatus }) => setUnitStatus(incident.incidentId, unit.unitId, status, unit.callSign));
  const here = new Set(working(incident).map((assignment) => assignment.unitId));
  return (
    <section className="panel stack" aria-label="Units" data-testid="incident-units">
      <div className="spread">
        <h2>Units</h2>
        {open && mayAssign && (
          <Button size="small" aria-expanded={assigning} onClick={() => setAssigning(!assigning)} data-testid="assign-unit">
            {assigning ? "Done" : "Assign…"}
          </Button>
        )}
      </div>
      <ul className="stack tight">
        {incident.assignments.map((unit) => (
          <li key={unit.assignmentId} className="unit-line" data-testid="assignment" data-unit-id={unit.unitId} data-status={UnitStatus[unit.status].toLowerCase()}>
            <strong>{unit.callSign}</strong>
            <span className="secondary">
              {UNIT_STATUS[unit.status]} {clockTime(unit.clearAt ?? unit.onSceneAt ?? unit.enRouteAt ?? unit.dispatchedAt)}
            </span>
            {open && mayStatus && (
              <span className="row">
                {nextStatuses(unit.status).map((status) => (
                  <Button key={status} size="small" onClick={() => change.mutate({ unit, status }, { onError: notifyProblem })} aria-label={`${unit.callSign} ${UNIT_STATUS[status]}`}>
                    {UNIT_STATUS[status]}
                  </Button>
                ))}
              </span>
            )}
          </li>
        ))}
        {!incident.assignments.length && <li className="muted">Nobody is assigned yet.</li>}
      </ul>
      {busy && (
        <div className="note stack tight" data-tone="act" role="alert">
          {busy.callSign} works on {busy.number}.
          <div className="row">
            <Button size="small" onClick={() => assign.mutate({ ...busy, takeOver: true }, { onError: notifyProblem })}>
              Take over from {busy.number}
            </Button>
            <Button size="small" look="quiet" onClick={() => setBusy(undefined)}>
              Leave there
            </Button>
          </div>
        </div>
      )}
      {assigning && (
        <ul className="stack tight" aria-label="Nearest units">
          {!at && <li className="muted">This incident has no place yet: give it one to see who is near.</li>}
          {nearest.data?.units
            .filter(({ unit }) => unit && !here.has(unit.unitId))
            .map(({ unit, distanceM }) => (
              <li key={unit?.unitId} className="unit-line">
                <strong>{unit?.callSign}</strong>
                <span className="secondary">
                  {distanceM < 950 ? `${Math.round(distanceM)} m` : `${(distanceM / 1000).toFixed(1)} km`}, fix {Math.round(unit?.ageS ?? 0)} s old
                </span>
                <Button size="small" look="primary" aria-label={`Assign ${unit?.callSign}`} data-testid="assign-this" onClick={() => unit && assign.mutate({ unitId: unit.unitId, callSign: unit.callSign, takeOver: false }, { onError: notifyProblem })}>
                  Assign
                </Button>
              </li>
            ))}
          {nearest.data && !nearest.data.units.length && <li className="muted">No unit has reported a position in the last 10 minutes.</li>}
        </ul>
      )}
    </section>
  );
}
