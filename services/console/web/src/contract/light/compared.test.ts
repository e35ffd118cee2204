/** The light reader against the library whose place it takes: every message of every contract, filled at random. */
import { create as libraryCreate, fromBinary as libraryFromBinary, fromJson as libraryFromJson, ScalarType, toBinary as libraryToBinary, toJson as libraryToJson, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { everythingIn, exportedName, readContracts } from "../../../build-contracts";
import { fromBinary, toBinary } from "./binary";
import { fromJson, toJson } from "./json";
import { create, type Enumeration, type Fields, type Schema } from "./schema";

const ROUNDS = 8;
const contracts = readContracts();
const files = [...contracts.files].filter((file) => file.proto.package.startsWith("rtcc."));
const modules = import.meta.glob<Record<string, Schema | Enumeration>>("../../generated/rtcc/**/*_pb.ts");

/** mulberry32: the same numbers in each run, so that what fails fails again. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

const LETTERS = ["", "a", "Ä", "\u{1f6a8}", "\"\\\n", "plain text", "x".repeat(200)];
const JSON_OBJECTS = [{}, { plate: "$.plate", nested: { list: [1, "two", null, true] } }];

function randomMessage(described: DescMessage, random: () => number, depth = 0): Message {
  const one = <T>(choices: readonly T[]) => choices[Math.floor(random() * choices.length)] as T;
  const single = (field: DescField): unknown => {
    if (field.enum) return one([...field.enum.values.map((value) => value.number), 99]);
    if (field.message?.typeName === "google.protobuf.Struct") return one(JSON_OBJECTS);
    if (field.message?.typeName === "google.protobuf.Timestamp") return { $typeName: "google.protobuf.Timestamp", seconds: BigInt(Math.floor((random() - 0.2) * 4e9)), nanos: one([0, 1, 120_000_000, 123_456_000, 999_999_999]) };
    if (field.message) return randomMessage(field.message, random, depth + 1);
    switch (field.scalar) {
      case ScalarType.STRING:
        return one(LETTERS);
      case ScalarType.BOOL:
        return random() < 0.5;
      case ScalarType.BYTES:
        return new Uint8Array(one([0, 1, 2, 3, 300])).map(() => random() * 256);
      case ScalarType.DOUBLE:
        return one([0, -0, 60.17, -1e-9, Number.NaN, Infinity, -Infinity]);
      case ScalarType.FLOAT:
        return Math.fround(one([0, -0, 0.1, -123.5, Number.NaN, Infinity]));
      case ScalarType.UINT64:
        return one([0n, 1n, 300n, 2n ** 53n + 1n, 2n ** 64n - 1n]);
      case ScalarType.INT64:
        return one([0n, -1n, 2n ** 62n, -(2n ** 63n)]);
      case ScalarType.UINT32:
        return one([0, 1, 127, 128, 2 ** 32 - 1]);
      default:
        return one([0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]);
    }
  };
  const value = (field: DescField): unknown => (field.fieldKind === "list" ? Array.from({ length: Math.floor(random() * 3) }, () => single(field)) : single(field));
  const given: Fields = {};
  for (const member of described.members) {
    if (random() < 0.3 || (depth > 3 && member.kind === "field" && member.message)) continue;
    if (member.kind === "oneof") {
      const chosen = one(member.fields);
      given[member.localName] = { case: chosen.localName, value: value(chosen) };
    } else given[member.localName] = value(member);
  }
  return libraryCreate(described, given);
}

/** True where a JSON object of any shape is within: such messages don't come over the live socket. */
function holdsAnyObject(described: DescMessage, seen = new Set<DescMessage>()): boolean {
  if (seen.has(described)) return false;
  seen.add(described);
  return described.fields.some((field) => field.message && (field.message.typeName === "google.protobuf.Struct" || holdsAnyObject(field.message, seen)));
}

/** An unknown field between the known ones, of each kind of packing. */
const UNKNOWN = [0xf8, 0xff, 0x7f, 0x96, 0x01, 0xf9, 0xff, 0x7f, 1, 2, 3, 4, 5, 6, 7, 8, 0xfa, 0xff, 0x7f, 2, 7, 7, 0xfd, 0xff, 0x7f, 1, 2, 3, 4];

describe.each(files.map((file) => [file.name, file] as const))("%s", (name, file) => {
  test.each(everythingIn(file).messages.map((one) => [one.typeName, one] as const))("%s", async (_, described) => {
    const module = await modules[`../../generated/${name.replace(/\.proto$/, "")}_pb.ts`]?.();
    const schema = module?.[exportedName(described)] as Schema;
    const random = randomNumbers(described.typeName.length + described.fields.length);
    expect(create(schema)).toEqual(libraryCreate(described));
    for (let round = 0; round < ROUNDS; round += 1) {
      const filled = randomMessage(described, random);
      const { $typeName: _, ...fields } = filled as unknown as Fields;
      expect(create(schema, fields)).toEqual(filled);
      const json = libraryToJson(described, filled, { useProtoFieldName: true }) as Fields;
      expect(toJson(schema, filled as unknown as Fields)).toEqual(json);
      const again = libraryFromJson(described, json as never);
      expect(fromJson(schema, { ...json, unheard_of: { a: 1 } })).toEqual(again);
      expect(fromJson(schema, libraryToJson(described, filled))).toEqual(again);
      if (holdsAnyObject(described)) continue;
      const bytes = libraryToBinary(described, filled);
      expect(fromBinary(schema, Uint8Array.from([...bytes, ...UNKNOWN]))).toEqual(filled);
      expect(libraryFromBinary(described, toBinary(schema, filled as unknown as Fields))).toEqual(filled);
      // protobuf's rule for pieces: the later value counts, lists go on, messages become one
      const other = libraryToBinary(described, randomMessage(described, random));
      const both = Uint8Array.from([...bytes, ...other]);
      expect(fromBinary(schema, both)).toEqual(libraryFromBinary(described, both));
    }
  });
});

test("a frame that was cut off is an error, and one with flipped bytes never more than that", async () => {
  const live = contracts.getMessage("rtcc.live.v1.ServerFrame") as DescMessage;
  const schema = (await modules["../../generated/rtcc/live/v1/live_pb.ts"]?.())?.["ServerFrameSchema"] as Schema;
  const random = randomNumbers(7);
  let refused = 0;
  for (let round = 0; round < 200; round += 1) {
    const bytes = libraryToBinary(live, randomMessage(live, random));
    const cut = bytes.slice(0, Math.floor(random() * bytes.length));
    if (fails(() => libraryFromBinary(live, cut))) {
      refused += 1;
      expect(() => fromBinary(schema, cut)).toThrow(Error);
    }
    const flipped = bytes.map((byte) => (random() < 0.1 ? random() * 256 : byte));
    const error = fails(() => fromBinary(schema, flipped));
    expect(error === undefined || error instanceof RangeError).toBe(true);
  }
  expect(refused).toBeGreaterThan(50);
});

function fails(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}

test("a method carries its route and whether a purpose is asked", async () => {
  const { AlertingService } = (await modules["../../generated/rtcc/alerting/v1/alerting_pb.ts"]?.()) as never as { AlertingService: { method: Record<string, unknown> } };
  expect(AlertingService.method["acknowledgeAlert"]).toMatchObject({ name: "acknowledgeAlert", parent: { typeName: "rtcc.alerting.v1.AlertingService" }, contract: { http: expect.stringMatching(/^POST \/v1\/alerts\//) as string, purposeRequired: false } });
});
