import { beforeEach, expect, test } from "vitest";
import { UnitStatus } from "../generated/rtcc/incidents/v1/incidents_pb";
import { drain, press, pressedStatus, useStatusQueue, type PressedStatus } from "./status-queue";

const pressed = (status: UnitStatus, pressedAtMs = 0): PressedStatus => ({ incidentId: "i", unitId: "u", callSign: "E12", status, pressedAtMs });
const nobody = () => {
  throw new Error("nothing should be refused");
};

beforeEach(() => useStatusQueue.setState({ waiting: [], sending: false }));

test("without a network what was pressed waits, then goes in order with its own time", async () => {
  press(pressed(UnitStatus.EN_ROUTE, 1_000));
  press(pressed(UnitStatus.ON_SCENE, 9_000));
  await drain(() => Promise.reject(new TypeError("Failed to fetch")), nobody);
  expect(useStatusQueue.getState().waiting.length).toBe(2);
  const sent: PressedStatus[] = [];
  await drain(async (one) => void sent.push(one), nobody);
  expect(sent.map((one) => [one.status, one.pressedAtMs])).toEqual([[UnitStatus.EN_ROUTE, 1_000], [UnitStatus.ON_SCENE, 9_000]]);
  expect(useStatusQueue.getState().waiting).toEqual([]);
});

test("what is refused is reported and holds nothing up", async () => {
  press(pressed(UnitStatus.EN_ROUTE));
  press(pressed(UnitStatus.ON_SCENE));
  const refused: UnitStatus[] = [];
  await drain(
    (one) => (one.status === UnitStatus.EN_ROUTE ? Promise.reject(new Error("not your unit")) : Promise.resolve()),
    (one) => refused.push(one.status),
  );
  expect(refused).toEqual([UnitStatus.EN_ROUTE]);
  expect(useStatusQueue.getState().waiting).toEqual([]);
});

test("two runs never send the same press twice", async () => {
  press(pressed(UnitStatus.EN_ROUTE));
  let sends = 0;
  const slowly = async () => {
    sends++;
    await new Promise((resume) => setTimeout(resume, 5));
  };
  await Promise.all([drain(slowly, nobody), drain(slowly, nobody)]);
  expect(sends).toBe(1);
});

test("the button shows what was pressed at once", () => {
  expect(pressedStatus([pressed(UnitStatus.EN_ROUTE)], "i", "u", UnitStatus.DISPATCHED)).toBe(UnitStatus.EN_ROUTE);
  expect(pressedStatus([pressed(UnitStatus.EN_ROUTE)], "other", "u", UnitStatus.DISPATCHED)).toBe(UnitStatus.DISPATCHED);
});
