import { expect, test } from "vitest";
import { asSpan, inSeconds, spanWords, UNITS } from "./spans";

test("what is kept is said in the largest unit that fits, and comes back to the second", () => {
  expect(spanWords(180)).toBe("3 minutes");
  expect(spanWords(30 * 86_400)).toBe("30 days");
  expect(spanWords(31_557_600)).toBe("1 year");
  for (const [unit] of UNITS) for (const count of [1, 3, 10]) {
    const seconds = inSeconds(count, unit);
    const back = asSpan(seconds);
    expect(inSeconds(back.count, back.unit)).toBe(seconds);
  }
});
