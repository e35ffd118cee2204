import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { AssignmentSchema, IncidentSchema, IncidentState, TimelineEntrySchema, UnitStatus, type Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import { entryTitle, incidentOf, inOrder, nextStatuses } from "./words";

const incident = (incidentId: string, part: Partial<Omit<Incident, "$typeName" | "$unknown">> = {}) => create(IncidentSchema, { incidentId, state: IncidentState.OPEN, openedAt: timestampFromMs(1_000), ...part });
const assigned = (unitId: string, status: UnitStatus, atMs = 0) => create(AssignmentSchema, { unitId, status, dispatchedAt: timestampFromMs(atMs) });

test("open before closed, urgent before later, unknown priority last", () => {
  const list = [incident("closed", { state: IncidentState.CLOSED, priority: 1 }), incident("unknown"), incident("low", { priority: 4 }), incident("new", { priority: 1, openedAt: timestampFromMs(9_000) }), incident("old", { priority: 1 })];
  expect(inOrder(list).map((one) => one.incidentId)).toEqual(["new", "old", "low", "unknown", "closed"]);
});

test("a unit's incident is the one it works on, not the one it left", () => {
  const left = incident("left", { assignments: [assigned("u", UnitStatus.CLEAR, 9_000)] });
  const here = incident("here", { assignments: [assigned("other", UnitStatus.ON_SCENE), assigned("u", UnitStatus.DISPATCHED, 1_000)] });
  expect(incidentOf("u", [left, here])?.incident.incidentId).toBe("here");
  expect(incidentOf("u", [left])).toBeUndefined();
  expect(incidentOf("", [here])).toBeUndefined();
});

test("a status is reached once, later ones stay open", () => {
  expect(nextStatuses(UnitStatus.DISPATCHED)).toEqual([UnitStatus.EN_ROUTE, UnitStatus.ON_SCENE, UnitStatus.CLEAR]);
  expect(nextStatuses(UnitStatus.ON_SCENE)).toEqual([UnitStatus.CLEAR]);
  expect(nextStatuses(UnitStatus.CLEAR)).toEqual([]);
});

test("every kind of entry has its line", () => {
  expect(entryTitle(create(TimelineEntrySchema, { kind: "unit", reference: { case: "unit", value: { callSign: "E12", status: UnitStatus.ON_SCENE } } }))).toBe("E12 on scene");
  expect(entryTitle(create(TimelineEntrySchema, { kind: "record", reference: { case: "record", value: { recordKind: "person", role: "reporting_party" } } }))).toBe("Person, reporting party");
  expect(entryTitle(create(TimelineEntrySchema, { kind: "note" }))).toBe("Note");
  expect(entryTitle(create(TimelineEntrySchema, { kind: "something_new" }))).toBe("something_new");
});
