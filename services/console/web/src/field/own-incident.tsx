import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { lazy, Suspense, useEffect, useState } from "react";
import { send } from "../contract/call";
import { age } from "../contract/time";
import { useRead } from "../contract/use-call";
import { IncidentsService, UnitStatus, type Assignment, type Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import { take } from "../incidents/actions";
import { priorityName, UNIT_STATUS } from "../incidents/words";
import { useMap } from "../map/store";
import { useRight } from "../session/store";
import { notifyProblem } from "../ui/notices";
import { Button, Loading } from "../ui/parts";
import { drain, press, pressedStatus, TRY_AGAIN_AFTER_MS, useStatusQueue, type PressedStatus } from "./status-queue";

const Arrival = lazy(() => import("../incidents/arrival").then((module) => ({ default: module.Arrival })));

async function deliver(pressed: PressedStatus): Promise<void> {
  const answer = await send(IncidentsService.method.setUnitStatus, { incidentId: pressed.incidentId, unitId: pressed.unitId, status: pressed.status, occurredAt: timestampFromMs(pressed.pressedAtMs) });
  take(answer.incident);
}

const attempt = () => void drain(deliver, (_, error) => notifyProblem(error));

/** The officer's own incident: where, what to know before arriving, and the three buttons that tell how far they are. */
export function OwnIncident({ incident, assignment, driving, now, clockSkewMs }: { incident: Incident; assignment: Assignment; driving: boolean; now: number; clockSkewMs: number }) {
  const mayStatus = useRight("incident.set_unit_status");
  const [knowing, setKnowing] = useState(false);
  const waiting = useStatusQueue((state) => state.waiting);
  const status = pressedStatus(waiting, incident.incidentId, assignment.unitId, assignment.status);
  const details = useRead(IncidentsService.method.getIncident, { incidentId: incident.incidentId });
  const at = incident.position?.coordinate;
  useEffect(() => {
    if (!waiting.length) return;
    const timer = setInterval(attempt, TRY_AGAIN_AFTER_MS);
    window.addEventListener("online", attempt);
    return () => {
      clearInterval(timer);
      window.removeEventListener("online", attempt);
    };
  }, [waiting.length]);
  useEffect(() => {
    useMap.setState({ plans: details.data?.floorPlans ?? [] });
    return () => useMap.setState({ plans: [] });
  }, [details.data]);
  const [longitude, latitude] = [at?.longitudeDeg, at?.latitudeDeg];
  useEffect(() => {
    if (longitude !== undefined && latitude !== undefined) useMap.getState().flyTo(longitude, latitude, 0);
  }, [incident.incidentId, longitude, latitude]);
  const tell = (next: UnitStatus) => {
    press({ incidentId: incident.incidentId, unitId: assignment.unitId, callSign: assignment.callSign, status: next, pressedAtMs: Date.now() + clockSkewMs });
    attempt();
  };
  return (
    <section className="card field-card own-incident" aria-label="Own incident" data-testid="own-incident" data-incident-id={incident.incidentId} data-status={UnitStatus[status].toLowerCase()}>
      <div>
        <h2>
          <span className="mono">{incident.number}</span> {incident.kind}
        </h2>
        <p className="field-where">{incident.address || "place on the map"}</p>
        <p className="secondary">
          {priorityName(incident.priority)} · {age(incident.openedAt, now)} ago · you are {UNIT_STATUS[status]}
          {waiting.length > 0 && " (waits for the network)"}
        </p>
      </div>
      {!driving && incident.narrative && <p>{incident.narrative}</p>}
      {mayStatus && (
        <div className="field-actions">
          {([UnitStatus.EN_ROUTE, UnitStatus.ON_SCENE, UnitStatus.CLEAR] as const).map((one) => (
            <Button key={one} size="large" {...(one === status + 1 ? { look: "primary" as const } : {})} disabled={one <= status} onClick={() => tell(one)} data-testid={`status-${UNIT_STATUS[one].replace(" ", "-")}`}>
              {one === UnitStatus.EN_ROUTE ? "En route" : one === UnitStatus.ON_SCENE ? "On scene" : "Clear"}
            </Button>
          ))}
        </div>
      )}
      <div className="field-actions">
        {at && (
          <>
            <a className="button" data-size="large" href={`geo:${at.latitudeDeg},${at.longitudeDeg}?q=${at.latitudeDeg},${at.longitudeDeg}`}>
              Navigate
            </a>
            <Button size="large" onClick={() => useMap.getState().flyTo(at.longitudeDeg, at.latitudeDeg, incident.priority === 1 ? 1 : 2)}>
              {details.data?.floorPlans.length ? "Floor plan" : "Show"}
            </Button>
          </>
        )}
        {!driving && (
          <Button size="large" aria-expanded={knowing} onClick={() => setKnowing(!knowing)} data-testid="before-arrival">
            {knowing ? "Less" : "Before arrival"}
          </Button>
        )}
      </div>
      {knowing && !driving && (
        <Suspense fallback={<Loading what="Reading" />}>
          <Arrival incident={incident} />
        </Suspense>
      )}
    </section>
  );
}
