/** Messages from and to JSON, as protobuf writes it: https://protobuf.dev/programming-guides/json. */
import { create, prefixOf, set, type Field, type Fields, type Schema } from "./schema";
import { TimestampSchema, type Time } from "./time";

/** A message from what a call answered. Fields and values of an enumeration that this build doesn't know are left out. */
export function fromJson(schema: Schema, json: unknown): Fields {
  const made = create(schema);
  for (const [name, value] of Object.entries(object(schema.typeName, json))) {
    const field = schema.find.get(name);
    if (!field || value === null) continue;
    const read = field.repeated ? list(schema, field, value).map((one) => readValue(field, one)).filter((one) => one !== undefined) : readValue(field, value);
    if (read === undefined) continue;
    if (field.choice) made[field.choice] = { case: field.local, value: read };
    else made[field.local] = read;
  }
  return made;
}

function object(what: string, json: unknown): object {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw new TypeError(`${what}: an object was expected, not ${JSON.stringify(json)}`);
  return json;
}

function list(schema: Schema, field: Field, json: unknown): unknown[] {
  if (!Array.isArray(json)) throw new TypeError(`${schema.typeName}.${field.name}: a list was expected, not ${JSON.stringify(json)}`);
  return json;
}

function readValue(field: Field, json: unknown): unknown {
  switch (field.type) {
    case "s":
    case "b":
    case "J":
      return json;
    case "I":
    case "U":
      return BigInt(json as string | number);
    case "B":
      return Uint8Array.from(atob((json as string).replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
    case "e":
      return typeof json === "number" ? json : field.enumeration[(json as string).slice(prefixOf(field.enumeration).length)];
    case "m":
      return field.message === TimestampSchema ? readTime(json as string) : fromJson(field.message, json);
    default:
      return Number(json);
  }
}

const MOMENT = /^(.{19})(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

function readTime(text: string): Fields {
  const [, whole, fraction = "", zone] = MOMENT.exec(text) ?? [];
  const ms = Date.parse(`${whole}${zone}`);
  if (Number.isNaN(ms)) throw new TypeError(`not a time: ${text}`);
  return create(TimestampSchema, { seconds: BigInt(ms / 1000), nanos: Number(fraction.padEnd(9, "0")) });
}

/** With the contract's own names of fields. What is unset isn't there. */
export function toJson(schema: Schema, held: Fields): Fields {
  const json: Fields = {};
  for (const [field, value] of set(schema, held)) json[field.name] = field.repeated ? (value as unknown[]).map((one) => writtenValue(field, one)) : writtenValue(field, value);
  return json;
}

function writtenValue(field: Field, value: unknown): unknown {
  switch (field.type) {
    case "I":
    case "U":
      return String(value);
    case "B":
      return btoa(Array.from(value as Uint8Array, (byte) => String.fromCharCode(byte)).join(""));
    case "e": {
      const name = field.enumeration[value as number];
      return name === undefined ? value : prefixOf(field.enumeration) + name;
    }
    case "m":
      return field.message === TimestampSchema ? writtenTime(value as Time) : toJson(field.message, value as Fields);
    case "d":
    case "f":
      return Number.isFinite(value) ? value : String(value);
    default:
      return value;
  }
}

function writtenTime({ seconds, nanos }: Time): string {
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  // thousandths, millionths or all nine digits, as protobuf writes them
  const fraction = nanos ? `.${String(nanos).padStart(9, "0").replace(/(?:000){1,2}$/, "")}` : "";
  return `${whole}${fraction}Z`;
}
