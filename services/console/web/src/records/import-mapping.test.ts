import { expect, test } from "vitest";
import { columnsOf, delimiterOf, guessMapping } from "./import-mapping";

test("a header with quotes, a byte order mark and another delimiter is understood", () => {
  expect(columnsOf('\uFEFF"Last name";DOB;"Note; long ""x"""\r\nA;B;C', ";")).toEqual(["Last name", "DOB", 'Note; long "x"']);
  expect(delimiterOf("a;b;c,d\n")).toBe(";");
  expect(delimiterOf("a\tb\n")).toBe("\t");
  expect(delimiterOf("")).toBe(",");
});

test("usual names find their field, each field once, unknown ones are left out", () => {
  const mapping = guessMapping(["ID", "Last name", "First name", "DOB", "born", "shoe size"], "person");
  expect(mapping.map(({ field }) => field)).toEqual(["source_key", "surname", "given_names", "birth_date", "", ""]);
});

test("a field of another kind is not offered", () => {
  expect(guessMapping(["plate"], "person")[0]?.field).toBe("");
  expect(guessMapping(["plate"], "vehicle")[0]?.field).toBe("plate");
});
