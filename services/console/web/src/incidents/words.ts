/** Incidents in words; pure. */
import { IncidentState, UnitStatus, type Assignment, type Incident, type TimelineEntry } from "../generated/rtcc/incidents/v1/incidents_pb";

export const UNIT_STATUS: Record<UnitStatus, string> = {
  [UnitStatus.UNSPECIFIED]: "unknown",
  [UnitStatus.DISPATCHED]: "dispatched",
  [UnitStatus.EN_ROUTE]: "en route",
  [UnitStatus.ON_SCENE]: "on scene",
  [UnitStatus.CLEAR]: "clear",
};

export const OUTCOMES = [
  ["resolved", "Resolved"],
  ["report_taken", "Report taken"],
  ["arrest", "Arrest"],
  ["unfounded", "Unfounded"],
  ["duplicate", "Duplicate"],
  ["handed_over", "Handed over"],
  ["cancelled", "Cancelled"],
] as const;

export function outcomeName(outcome: string): string {
  return OUTCOMES.find(([id]) => id === outcome)?.[1] ?? outcome.replaceAll("_", " ");
}

export function priorityName(priority: number): string {
  return priority ? `P${priority}` : "P?";
}

/** What a unit can become next; the server lets each status be reached once. */
export function nextStatuses(status: UnitStatus): UnitStatus[] {
  return [UnitStatus.EN_ROUTE, UnitStatus.ON_SCENE, UnitStatus.CLEAR].filter((one) => one > status);
}

export function working(incident: Incident): Assignment[] {
  return incident.assignments.filter((assignment) => assignment.status !== UnitStatus.CLEAR);
}

/** The open incident on which a unit works, the newest if there were two. */
export function incidentOf(unitId: string, incidents: Iterable<Incident>): { incident: Incident; assignment: Assignment } | undefined {
  let found: { incident: Incident; assignment: Assignment } | undefined;
  for (const incident of incidents) {
    if (!unitId || incident.state !== IncidentState.OPEN) continue;
    const assignment = working(incident).find((one) => one.unitId === unitId);
    if (assignment && (!found || (assignment.dispatchedAt?.seconds ?? 0n) > (found.assignment.dispatchedAt?.seconds ?? 0n))) found = { incident, assignment };
  }
  return found;
}

/** Open ones by priority (unknown last), the newest first. */
export function inOrder(incidents: Iterable<Incident>): Incident[] {
  const urgency = (incident: Incident) => incident.priority || 9;
  return [...incidents].sort((one, other) => one.state - other.state || (one.state === IncidentState.OPEN ? urgency(one) - urgency(other) : 0) || Number((other.openedAt?.seconds ?? 0n) - (one.openedAt?.seconds ?? 0n)) || (one.incidentId < other.incidentId ? -1 : 1));
}

const KINDS: { readonly [kind: string]: string } = {
  note: "Note", call: "Call", alert: "Alert", clip: "Clip", record: "Record", photo: "Photo", floor_plan: "Floor plan", unit: "Unit", tip: "Tip", state: "State", change: "Change",
};

/** One line that says what happened, whatever kind of entry it is. */
export function entryTitle(entry: TimelineEntry): string {
  const { reference } = entry;
  switch (reference.case) {
    case "alert":
      return `Alert: ${reference.value.title}${reference.value.automatic ? " (joined by itself)" : ""}`;
    case "clip":
      return `Clip of ${reference.value.cameraName || reference.value.cameraId}`;
    case "record":
      return `${reference.value.recordKind === "vehicle" ? "Vehicle" : "Person"}, ${reference.value.role.replaceAll("_", " ") || "role unknown"}${reference.value.label ? `: ${reference.value.label}` : ""}`;
    case "photo":
      return "Photo";
    case "floorPlan":
      return `Floor plan: ${reference.value.name}`;
    case "unit":
      return `${reference.value.callSign} ${UNIT_STATUS[reference.value.status]}`;
    case "call":
      return `Call for service${reference.value.status ? `, ${reference.value.status}` : ""}`;
    case "tip":
      return `Tip ${reference.value.referenceCode}`;
    case "state":
      return reference.value.state === IncidentState.CLOSED ? `Closed: ${outcomeName(reference.value.outcome)}` : "Opened";
    default:
      return KINDS[entry.kind] ?? entry.kind;
  }
}
