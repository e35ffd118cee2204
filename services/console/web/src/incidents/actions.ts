/** What can be done to an incident; each answer enters the picture at once, the live socket's copy then changes nothing. */
import { send } from "../contract/call";
import type { Purpose } from "../contract/exchange";
import { IncidentsService, type Incident, type UnitStatus } from "../generated/rtcc/incidents/v1/incidents_pb";
import { applyMessage, useLive } from "../live/store";
import { notify } from "../ui/notices";
import { UNIT_STATUS } from "./words";

export function take(incident: Incident | undefined): Incident | undefined {
  if (incident) useLive.setState((picture) => applyMessage(picture, { type: "incidents", incidents: [incident], snapshot: false }, performance.now()));
  return incident;
}

/** Being sent to a place is the purpose, its incident the case. */
export function dispatchPurpose(incident: Pick<Incident, "number">): Purpose {
  return { purpose: "dispatch", caseNumber: incident.number };
}

export async function setUnitStatus(incidentId: string, unitId: string, status: UnitStatus, callSign: string): Promise<void> {
  const answer = await send(IncidentsService.method.setUnitStatus, { incidentId, unitId, status });
  take(answer.incident);
  if (!answer.won) notify(`${callSign} was ${UNIT_STATUS[status]} already.`);
}

/** True when the unit is ours now; false when it works elsewhere and was not taken over. */
export async function assignUnit(incidentId: string, unitId: string, takeOver: boolean): Promise<{ won: boolean; busyNumber: string }> {
  const answer = await send(IncidentsService.method.assignUnit, { incidentId, unitId, takeOver });
  take(answer.incident);
  return { won: answer.won, busyNumber: answer.busyIncidentNumber };
}

export async function attachAlert(incidentId: string, alertId: string): Promise<boolean> {
  const answer = await send(IncidentsService.method.attachAlert, { incidentId, alertId });
  take(answer.incident);
  if (!answer.won) notify(`This alert belongs to ${answer.otherIncidentNumber}. Detach it there first.`, "bad");
  return answer.won;
}
