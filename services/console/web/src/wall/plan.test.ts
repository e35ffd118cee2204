import { expect, test } from "vitest";
import type { QueueItem } from "../alerts/queue";
import { AlertState } from "../generated/rtcc/alerting/v1/alerting_pb";
import { messageOf } from "./channel";
import { beside, cellsOf, clear, fill, followed, places, put, resize, sideOf, slotAt, swap, withTiles, type Plan } from "./plan";

const camera = (cameraId: string) => ({ cameraId, followAlerts: false });
const follow = { cameraId: "", followAlerts: true };
const empty = (tiles: number): Plan => ({ tiles, slots: [] });
const whole = (plan: Plan): boolean => {
  const cells = plan.slots.flatMap((slot) => cellsOf(slot, sideOf(plan)));
  return new Set(cells).size === cells.length && cells.every((cell) => cell >= 0 && cell < plan.tiles) && places(plan).reduce((sum, place) => sum + place.span ** 2, 0) === plan.tiles;
};

test("a camera stands on a wall once", () => {
  let plan = put(put(empty(4), 0, camera("a")), 3, camera("b"));
  plan = put(plan, 3, camera("a"));
  expect(plan.slots).toEqual([{ cell: 3, span: 1, ...camera("a") }]);
  expect(clear(plan, 3).slots).toEqual([]);
});

test("a larger tile stays on the wall and what it covers leaves", () => {
  let plan = fill(empty(9), ["a", "b", "c", "d", "e", "f", "g", "h", "i"], 0);
  plan = resize(plan, 8, 2);
  expect(slotAt(plan, 8)).toEqual({ cell: 4, span: 2, ...camera("i") });
  expect(plan.slots.map(({ cameraId }) => cameraId).sort()).toEqual(["a", "b", "c", "d", "g", "i"]);
  expect(whole(plan)).toBe(true);
  expect(resize(plan, 4, 4)).toBe(plan);
});

test("tiles change places, an empty one too", () => {
  const plan = fill(empty(4), ["a", "b"], 0);
  expect(slotAt(swap(plan, 0, 1), 0)?.cameraId).toBe("b");
  expect(slotAt(swap(plan, 0, 3), 3)?.cameraId).toBe("a");
  expect(slotAt(swap(plan, 0, 3), 0)).toBeUndefined();
  expect(swap(plan, 3, 0)).toBe(plan);
});

test("another layout keeps the order, and fewer tiles lose the last", () => {
  const plan = resize(fill(empty(9), ["a", "b", "c", "d", "e", "f"], 0), 0, 2);
  expect(withTiles(plan, 4).slots.map(({ cameraId, cell, span }) => [cameraId, cell, span])).toEqual([["a", 0, 1], ["c", 1, 1], ["f", 2, 1]]);
  expect(withTiles(fill(empty(4), ["a", "b"], 0), 1).slots).toHaveLength(1);
});

test("what is sent takes free tiles first, then the selected one, and is never doubled", () => {
  const plan = fill(put(empty(4), 0, follow), ["a", "b", "c", "d", "a"], 2);
  expect(places(plan).map(({ cameraId }) => cameraId)).toEqual(["", "a", "d", "c"]);
});

test("arrows walk over tiles of any size and stop at the edge", () => {
  const plan = resize(fill(empty(9), ["a"], 0), 0, 2);
  expect([beside(plan, 0, "ArrowRight"), beside(plan, 0, "ArrowDown"), beside(plan, 2, "ArrowLeft"), beside(plan, 7, "ArrowUp"), beside(plan, 0, "ArrowLeft"), beside(plan, 8, "ArrowDown")]).toEqual([2, 6, 0, 0, 0, 8]);
});

test("any walk of changes leaves a whole wall", () => {
  let seed = 7;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  let plan = empty(16);
  for (let step = 0; step < 2000; step++) {
    const cell = random(plan.tiles);
    plan = [put(plan, cell, camera(`c${random(20)}`)), clear(plan, cell), swap(plan, cell, random(plan.tiles)), resize(plan, cell, 1 + random(4)), fill(plan, [`c${random(20)}`], cell), withTiles(plan, [1, 4, 9, 16][random(4)] as number)][random(6)] as Plan;
    expect(whole(plan), `step ${step}`).toBe(true);
  }
});

const item = (id: string, raisedS: number, cameras: string[], state = AlertState.NEW): QueueItem =>
  ({ id, alert: { alertId: id, title: id, state, raisedAt: { seconds: BigInt(raisedS), nanos: 0 }, context: { cameras: cameras.map((cameraId) => ({ cameraId })) } }, shared: undefined, receivedAtMs: 0, changedAtMs: 0 }) as unknown as QueueItem;

test("slots that follow show the newest open alerts, each camera once", () => {
  const plan = put(put(put(empty(4), 0, follow), 1, camera("fixed")), 3, follow);
  const alerts = [item("old", 1, ["a"]), item("closed", 9, ["z"], AlertState.CLOSED), item("new", 5, ["fixed", "b"]), item("blind", 8, []), item("same", 4, ["b"])];
  expect([...followed(plan, alerts)].map(([cell, one]) => [cell, one.cameraId, one.title])).toEqual([[0, "b", "new"], [3, "a", "old"]]);
});

test("a message of another session, or one that is not understood, is not taken", () => {
  const told = { sessionId: "s", message: { kind: "put", askId: "q", wallId: "w", cameraIds: ["a", 3, ""] } };
  expect(messageOf(told, "s")).toEqual({ kind: "put", askId: "q", wallId: "w", cameraIds: ["a"] });
  expect(messageOf(told, "other")).toBeUndefined();
  expect(messageOf({ ...told, sessionId: "" }, "")).toBeUndefined();
  for (const message of [null, {}, { kind: "put", askId: "q", wallId: "w", cameraIds: [] }, { kind: "here", askId: "q", wallId: "w" }, { kind: "took", askId: "q", wallId: "w", tile: "1" }, { kind: "who", askId: 4 }, { kind: "go", askId: "q" }]) expect(messageOf({ sessionId: "s", message }, "s")).toBeUndefined();
});
