import { expect, test } from "vitest";
import { fieldName, roughDate, yearsOld } from "./words";

test("a birth date may be as rough as it is known", () => {
  expect(roughDate("1984-03-07")).toBe("1984-03-07");
  expect(roughDate(" 1984 ")).toBe("1984");
  expect(roughDate("7.3.1984")).toBe("1984-03-07");
  expect(roughDate("3.1984")).toBe("1984-03");
  for (const typed of ["84", "March", "1984/03", "7.3.84", ""]) expect(roughDate(typed)).toBeUndefined();
});

test("age counts birthdays, not years", () => {
  expect(yearsOld("1984-03-07", new Date(2026, 2, 6))).toBe(41);
  expect(yearsOld("1984-03-07", new Date(2026, 2, 7))).toBe(42);
  expect(yearsOld("unknown", new Date())).toBeUndefined();
});

test("a field that has no word of its own is still named", () => {
  expect(fieldName("has_photo")).toBe("photo");
  expect(fieldName("next_of_kin")).toBe("next of kin");
});
