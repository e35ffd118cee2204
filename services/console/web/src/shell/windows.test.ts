import { expect, test } from "vitest";
import { choiceOf, joinWindows, tellWindows, type Choice } from "./windows";

test("a choice of another session is not taken", () => {
  const told = { sessionId: "theirs", choice: { kind: "alert", alertId: "a", open: true } };
  expect(choiceOf(told, "ours")).toBeUndefined();
  expect(choiceOf({ ...told, sessionId: "ours" }, "ours")).toEqual(told.choice);
  expect(choiceOf({ ...told, sessionId: "" }, "")).toBeUndefined();
});

test("what is not understood is not taken", () => {
  for (const choice of [null, 3, {}, { kind: "alert", alertId: 7 }, { kind: "incident" }, { kind: "launch", droneId: "d" }]) expect(choiceOf({ sessionId: "s", choice }, "s")).toBeUndefined();
  for (const told of [null, "x", {}, { sessionId: "s" }]) expect(choiceOf(told, "s")).toBeUndefined();
});

test("windows of one session hear each other, and nobody hears himself", async () => {
  const heard = new Promise<Choice>((resolve) => {
    const other = new BroadcastChannel("rtcc-desk");
    other.onmessage = (event: MessageEvent) => {
      other.close();
      resolve(choiceOf(event.data, "s") as Choice);
    };
  });
  const echoes: Choice[] = [];
  const leave = joinWindows("s", (choice) => echoes.push(choice));
  tellWindows({ kind: "track", trackId: "t1" });
  expect(await heard).toEqual({ kind: "track", trackId: "t1" });
  leave();
  expect(echoes).toEqual([]);
});
