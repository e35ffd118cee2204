/** google.protobuf.Timestamp. */
import { create, message } from "./schema";

export interface Time {
  readonly seconds: bigint;
  readonly nanos: number;
}

export const TimestampSchema = /*@__PURE__*/ message("google.protobuf.Timestamp", "seconds:I nanos:i", () => []);

export function timestampFromMs(ms: number) {
  const seconds = Math.floor(ms / 1000);
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1_000_000) });
}

export function timestampMs({ seconds, nanos }: Time): number {
  return Number(seconds) * 1000 + Math.round(nanos / 1_000_000);
}
