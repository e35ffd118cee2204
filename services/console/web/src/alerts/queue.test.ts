import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { AlertSchema, AlertState, PlateDisposition, type Alert } from "../generated/rtcc/alerting/v1/alerting_pb";
import { EventSchema } from "../generated/rtcc/event/v1/event_pb";
import { SharedAlertSchema } from "../generated/rtcc/exchange/v1/exchange_pb";
import { everything, keyCounts, mergeAlerts, needsConfirmation, ordered, preselected, relatedCalls, shownQueue, stateOf, type QueueItem } from "./queue";

const at = (seconds: number) => timestampFromMs(1_700_000_000_000 + seconds * 1000);

function alert(alertId: string, part: Partial<Omit<Alert, "$typeName" | "$unknown">> = {}): Alert {
  return create(AlertSchema, { alertId, agencyId: "east", kind: "plate_hit", severity: 2, title: alertId, state: AlertState.NEW, revision: 1, raisedAt: at(0), ...part });
}

function queue(...alerts: Alert[]): ReadonlyMap<string, QueueItem> {
  return mergeAlerts(new Map(), alerts, [], 0, 0);
}

test("an alert that arrives twice stands once", () => {
  const once = queue(alert("a"));
  const twice = mergeAlerts(once, [alert("a")], [], 50, 50);
  expect(twice.size).toBe(1);
  expect(twice.get("a")).toBe(once.get("a"));
});

test("an older revision never replaces a newer one, in whatever order they come", () => {
  const newer = alert("a", { revision: 3, state: AlertState.WORKING });
  const first = mergeAlerts(queue(newer), [alert("a", { revision: 2, state: AlertState.ACKNOWLEDGED })], [], 0, 0);
  const second = mergeAlerts(queue(alert("a", { revision: 2, state: AlertState.ACKNOWLEDGED })), [newer], [], 0, 0);
  expect(first.get("a")?.alert.state).toBe(AlertState.WORKING);
  expect(second.get("a")?.alert.state).toBe(AlertState.WORKING);
});

test("a partner's alert is ours to acknowledge without changing its state", () => {
  const shared = create(SharedAlertSchema, { alert: alert("p", { agencyId: "west" }), agreementId: "g" });
  const before = mergeAlerts(new Map(), [], [shared], 0, 0);
  const after = mergeAlerts(before, [], [create(SharedAlertSchema, { ...shared, acknowledgedBy: "me", acknowledgedByName: "Me" })], 0, 0);
  expect(stateOf(before.get("p") as QueueItem)).toBe(AlertState.NEW);
  expect(stateOf(after.get("p") as QueueItem)).toBe(AlertState.ACKNOWLEDGED);
  expect(after.get("p")?.alert.state).toBe(AlertState.NEW);
});

test("unacknowledged before taken, then severity, then the newest", () => {
  const items = queue(
    alert("old", { raisedAt: at(1) }),
    alert("new", { raisedAt: at(9) }),
    alert("life", { severity: 1, raisedAt: at(2) }),
    alert("taken", { severity: 1, state: AlertState.ACKNOWLEDGED }),
    alert("closed", { severity: 1, state: AlertState.CLOSED }),
  );
  expect(ordered(items.values(), everything).map((item) => item.id)).toEqual(["life", "new", "old", "taken"]);
  expect(ordered(items.values(), { ...everything, includeClosed: true }).at(-1)?.id).toBe("closed");
  expect(preselected(ordered(items.values(), everything))).toBe("life");
});

test("while a person works the list rows stay in place and newcomers wait", () => {
  const sorted = ordered(queue(alert("a", { raisedAt: at(3) }), alert("b", { raisedAt: at(2) }), alert("c", { severity: 1 })).values(), everything);
  const shown = shownQueue(sorted, ["b", "a", "gone"], undefined);
  expect(shown.rows.map((item) => item.id)).toEqual(["b", "a"]);
  expect(shown.newcomers.map((item) => item.id)).toEqual(["c"]);
  expect(shownQueue(sorted, ["b", "a"], "c").rows[0]?.id).toBe("c");
});

test("a key counts only on a row that has stood still for 300 ms", () => {
  expect(keyCounts({ rowChangedAtMs: 1000, selectionMovedAtMs: 0 }, 1299)).toBe(false);
  expect(keyCounts({ rowChangedAtMs: 1000, selectionMovedAtMs: 0 }, 1300)).toBe(true);
  expect(keyCounts({ rowChangedAtMs: 0, selectionMovedAtMs: 1200 }, 1300)).toBe(false);
});

test("R23: a plate hit needs a person's comparison, a gunshot does not", () => {
  expect(needsConfirmation(alert("a"))).toBe(true);
  expect(needsConfirmation(alert("a", { plateDisposition: PlateDisposition.CORRECT }))).toBe(false);
  expect(needsConfirmation(alert("a", { kind: "gunshot" }))).toBe(false);
});

test("calls within 200 m and 120 s that speak of shots belong to the gunshot", () => {
  const where = { coordinate: { latitudeDeg: 60.17, longitudeDeg: 24.94 } };
  const gunshot = alert("g", { kind: "gunshot", occurredAt: at(0) });
  gunshot.position = create(EventSchema, { position: where }).position;
  const call = (eventId: string, seconds: number, latitudeDeg: number, narrative: string) =>
    create(EventSchema, { eventId, occurredAt: at(seconds), position: { coordinate: { latitudeDeg, longitudeDeg: 24.94 } }, body: { case: "callForService", value: { callType: "Disturbance", narrative } } });
  const calls = [call("near", 60, 60.1705, "heard shots"), call("late", 121, 60.17, "shots"), call("far", 10, 60.18, "shots"), call("other", 10, 60.17, "loud music")];
  expect(relatedCalls(gunshot, calls).map((one) => one.eventId)).toEqual(["near"]);
});
