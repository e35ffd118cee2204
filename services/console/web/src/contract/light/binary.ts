/** Messages from and to bytes, as protobuf packs them: https://protobuf.dev/programming-guides/encoding. For the live socket. */
import { create, set, type Field, type Fields, type Schema } from "./schema";

const VARINT = 0;
const EIGHT_BYTES = 1;
const LENGTH = 2;
const FOUR_BYTES = 5;

/** How a value is packed; numbers of varying length unless said. */
const WIRE: Readonly<Record<string, number>> = { s: LENGTH, B: LENGTH, m: LENGTH, d: EIGHT_BYTES, f: FOUR_BYTES };
const wireOf = (field: Field) => WIRE[field.type] ?? VARINT;

const text = new TextDecoder();
const bytesOfText = new TextEncoder();

/** Fields that this build doesn't know are left out. */
export function fromBinary(schema: Schema, bytes: Uint8Array): Fields {
  return new Reader(bytes).message(schema, bytes.length, create(schema));
}

class Reader {
  private at = 0;
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  message(schema: Schema, end: number, made: Fields): Fields {
    while (this.at < end) {
      const tag = this.unsigned();
      const wire = tag & 7;
      const field = schema.find.get(tag >>> 3);
      if (!field || (wire !== wireOf(field) && !(field.repeated && wire === LENGTH))) this.skip(wire);
      else if (field.repeated) this.items(field, wire, made[field.local] as unknown[]);
      else if (field.choice) {
        const held = made[field.choice] as { case?: string; value?: unknown };
        made[field.choice] = { case: field.local, value: this.value(field, held.case === field.local ? held.value : undefined) };
      } else made[field.local] = this.value(field, made[field.local]);
    }
    if (this.at !== end) throw new RangeError(`${schema.typeName} ends within a field`);
    return made;
  }

  private items(field: Field, wire: number, items: unknown[]): void {
    if (wire !== LENGTH || wireOf(field) === LENGTH) {
      items.push(this.value(field, undefined));
      return;
    }
    const end = this.end();
    while (this.at < end) items.push(this.value(field, undefined));
  }

  /** `before`: what the field holds by now; a message that comes in pieces is one. */
  private value(field: Field, before: unknown): unknown {
    switch (field.type) {
      case "s":
        return text.decode(this.piece());
      case "B":
        return this.piece().slice();
      case "m":
        return this.message(field.message, this.end(), (before as Fields | undefined) ?? create(field.message));
      case "d":
        return this.view.getFloat64((this.at += 8) - 8, true);
      case "f":
        return this.view.getFloat32((this.at += 4) - 4, true);
      case "b":
        return this.long() !== 0n;
      case "I":
        return BigInt.asIntN(64, this.long());
      case "U":
        return this.long();
      case "u":
        return this.unsigned();
      case "z": {
        const folded = this.unsigned();
        return (folded >>> 1) ^ -(folded & 1);
      }
      case "i":
      case "e":
        return this.unsigned() | 0;
      default:
        throw new TypeError(`${field.name}: objects of any shape don't come over the live socket`);
    }
  }

  /** The lower 32 bits of a number of at most ten bytes. */
  private unsigned(): number {
    let result = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.view.getUint8(this.at++);
      if (shift < 32) result |= (byte & 127) << shift;
      if (byte < 128) return result >>> 0;
    }
    throw new RangeError("a number of more than ten bytes");
  }

  private long(): bigint {
    let result = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.view.getUint8(this.at++);
      result |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, result);
    }
    throw new RangeError("a number of more than ten bytes");
  }

  private end(): number {
    const end = this.unsigned() + this.at;
    if (end > this.bytes.length) throw new RangeError("a field is longer than its frame");
    return end;
  }

  private piece(): Uint8Array {
    const end = this.end();
    const start = this.at;
    this.at = end;
    return this.bytes.subarray(start, end);
  }

  private skip(wire: number): void {
    if (wire === VARINT) this.long();
    else if (wire === EIGHT_BYTES) this.at += 8;
    else if (wire === LENGTH) this.piece();
    else if (wire === FOUR_BYTES) this.at += 4;
    else throw new RangeError(`a field of the unknown kind ${wire}`);
  }
}

export function toBinary(schema: Schema, held: Fields): Uint8Array {
  const bytes: number[] = [];
  for (const [field, value] of set(schema, held)) {
    const values = field.repeated ? (value as unknown[]) : [value];
    if (wireOf(field) === LENGTH) for (const one of values) writePiece(bytes, field, written(field, one));
    else if (field.repeated) writePiece(bytes, field, values.flatMap((one) => written(field, one)));
    else bytes.push(...tag(field, wireOf(field)), ...written(field, value));
  }
  return Uint8Array.from(bytes);
}

const tag = (field: Field, wire: number) => varint(BigInt((field.number << 3) | wire));

function writePiece(bytes: number[], field: Field, piece: readonly number[]): void {
  bytes.push(...tag(field, LENGTH), ...varint(BigInt(piece.length)));
  for (const byte of piece) bytes.push(byte);
}

function written(field: Field, value: unknown): number[] {
  const view = new DataView(new ArrayBuffer(8));
  const first = (count: number) => [...new Uint8Array(view.buffer, 0, count)];
  switch (field.type) {
    case "s":
      return [...bytesOfText.encode(value as string)];
    case "B":
      return [...(value as Uint8Array)];
    case "m":
      return [...toBinary(field.message, value as Fields)];
    case "d":
      view.setFloat64(0, value as number, true);
      return first(8);
    case "f":
      view.setFloat32(0, value as number, true);
      return first(4);
    case "z":
      return varint(BigInt((((value as number) << 1) ^ ((value as number) >> 31)) >>> 0));
    default:
      return varint(BigInt(value as bigint | number | boolean));
  }
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return bytes;
}
