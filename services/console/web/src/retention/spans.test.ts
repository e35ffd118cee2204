import { expect, test } from "vitest";
import { asSpan, inSeconds, spanWords, UNITS, wrongSpan } from "./spans";

test("what is kept is said in the largest unit that fits, and comes back to the second", () => {
  expect(spanWords(180)).toBe("3 minutes");
  expect(spanWords(30 * 86_400)).toBe("30 days");
  expect(spanWords(inSeconds(18, "months"))).toBe("18 months");
  expect(spanWords(inSeconds(24, "months"))).toBe("2 years");
  expect(spanWords(31_557_600)).toBe("1 year");
  for (const [unit] of UNITS) for (const count of [1, 3, 10]) {
    const seconds = inSeconds(count, unit);
    const back = asSpan(seconds);
    expect(inSeconds(back.count, back.unit)).toBe(seconds);
  }
});

test("only what the contract allows can be set, and the words say what that is", () => {
  for (const [count, unit] of [[3, "minutes"], [10, "years"], [120, "months"]] as const) expect(wrongSpan(inSeconds(count, unit))).toBe("");
  for (const seconds of [0, 179, inSeconds(121, "months"), Number.NaN]) expect(wrongSpan(seconds)).toBe("3 minutes to 10 years can be set.");
});
