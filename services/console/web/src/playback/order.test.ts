import { expect, test } from "vitest";
import { MOST_PASSINGS, orderOf, orderText, type Passing } from "./order";

test("an order comes back from its address to the second", () => {
  const order: Passing[] = [
    { cameraId: "a~b,c/ä", fromMs: 1_795_000_000_000, untilMs: 1_795_000_060_000 },
    { cameraId: "c2", fromMs: 1_795_000_030_500, untilMs: 1_795_000_090_000, atMs: 1_795_000_060_000 },
  ];
  expect(orderOf(orderText(order))).toEqual([
    { cameraId: "a~b,c/ä", fromMs: 1_795_000_000_000, untilMs: 1_795_000_060_000 },
    { cameraId: "c2", fromMs: 1_795_000_030_000, untilMs: 1_795_000_090_000, atMs: 1_795_000_060_000 },
  ]);
});

test("what is no order is left out, and a long one is cut", () => {
  for (const text of ["", "c", "c~zz", "c~0~5", "~zz~5", "c~zz~-1", "c~zz~zzzz", "c~zz~5~a", "c~!~5", "%~%~%"]) expect(orderOf(text), text).toEqual([]);
  expect(orderOf("%zz~rmf5p8~3c")).toEqual([{ cameraId: "%zz", fromMs: 1_670_245_532_000, untilMs: 1_670_245_652_000 }]);
  expect(orderOf(Array.from({ length: 99 }, () => "c~rmf5p8~3c").join(","))).toHaveLength(MOST_PASSINGS);
});
