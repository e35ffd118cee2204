import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { AgreementSchema } from "../generated/rtcc/registry/v1/registry_pb";
import { changesBetween, inWords } from "./words";

const camera = (id: string) => id;

test("default is nothing, and it is said", () => {
  expect(inWords(create(AgreementSchema, {}), "West", camera)[0]).toBe("West gets nothing.");
});

test("tracks and person records are read in words before they are granted", () => {
  const words = inWords(create(AgreementSchema, { tracks: true, personFields: ["identity", "warrants"] }), "West", camera).join(" ");
  expect(words).toContain("drones and aircraft");
  expect(words).toContain("names, birth dates and sex and warrants");
});

test("R19: what bars a receiver is said, and that nothing flows", () => {
  expect(inWords(create(AgreementSchema, { units: true, barredReason: "a national agency" }), "West", camera).join(" ")).toContain("Barred: a national agency. While that stands nothing flows.");
});

test("R31: a change of any granted part is named", () => {
  const before = create(AgreementSchema, { tracks: true, personFields: ["identity", "photo"] });
  const after = create(AgreementSchema, { tracks: false, personFields: ["identity"] });
  expect(changesBetween(before, after)).toEqual(["drones and aircraft: yes → no", "person records: identity, photo → identity"]);
});
