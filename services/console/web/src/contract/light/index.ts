/** What the console uses of @bufbuild/protobuf, under the same names: the build puts this in its place (web/build-contracts.ts). */
import type { Method } from "./schema";

export { create } from "./schema";
export { fromJson, toJson } from "./json";
export { fromBinary, toBinary } from "./binary";

/** Messages are plain objects of plain values. */
export const clone = (_: unknown, held: unknown): unknown => structuredClone(held);

/** The one option that methods have. */
export const getOption = (method: Method) => method.contract;
