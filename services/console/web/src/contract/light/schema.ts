/** Messages of the contracts, described by short texts that the build writes (web/build-contracts.ts says how they read). */

/** A message, of whatever kind: its fields by their names in TypeScript. */
export type Fields = Record<string, unknown>;

export interface Field {
  /** As in the contract and in JSON: "alert_id". */
  readonly name: string;
  /** In TypeScript: "alertId". */
  readonly local: string;
  readonly number: number;
  /** A letter, see web/build-contracts.ts; "s" a string. */
  readonly type: string;
  readonly repeated: boolean;
  readonly optional: boolean;
  /** The choice that it belongs to, by its name in TypeScript; "" for none. */
  readonly choice: string;
  readonly message: Schema;
  readonly enumeration: Enumeration;
}

export interface Schema {
  readonly typeName: string;
  readonly fields: readonly Field[];
  /** By the name in the contract, the name in TypeScript, and the number. */
  readonly find: ReadonlyMap<string | number, Field>;
}

export type Enumeration = Readonly<Record<string, string | number>>;

export interface Method {
  readonly parent: { readonly typeName: string };
  readonly name: string;
  readonly input: Schema;
  readonly output: Schema;
  readonly contract: { readonly http: string; readonly purposeRequired: boolean };
}

const PREFIX: unique symbol = Symbol("prefix");

/** `{ OPEN: 1, 1: "OPEN" }`, as TypeScript makes it of an enum. `prefix` comes before each name in JSON: "ALERT_STATE_". */
export function enumeration(prefix: string, values: string): Enumeration {
  const made: Record<string, string | number> = {};
  let next = 0;
  for (const value of values.split(" ")) {
    const [name = "", number = next] = value.split("=");
    made[name] = Number(number);
    made[Number(number)] = name;
    next = Number(number) + 1;
  }
  Object.defineProperty(made, PREFIX, { value: prefix });
  return made;
}

export const prefixOf = (made: Enumeration): string => (made as { [PREFIX]?: string })[PREFIX] ?? "";

const FIELD = /^(\w+)(?:=(\d+))?(?::(\w))?(\*|\?)?(?:\|(\w+))?$/;

/** `references`: what the fields of the kinds `e` and `m` refer to, in order; asked for at first use, since messages may refer to themselves. */
export function message(typeName: string, text: string, references: () => readonly (Schema | Enumeration)[]): Schema {
  let fields: Field[] | undefined;
  let find: Map<string | number, Field> | undefined;
  return {
    typeName,
    get fields() {
      return (fields ??= fieldsOf(text, references()));
    },
    get find() {
      return (find ??= new Map(this.fields.flatMap((field) => [field.name, field.local, field.number].map((key): [string | number, Field] => [key, field]))));
    },
  };
}

function fieldsOf(text: string, references: readonly (Schema | Enumeration)[]): Field[] {
  let next = 1;
  let referred = 0;
  return (text ? text.split(" ") : []).map((described) => {
    const [, name = "", number, type = "s", mark, choice = ""] = FIELD.exec(described) ?? [];
    const field = { name, local: camelCase(name), number: Number(number ?? next), type, repeated: mark === "*", optional: mark === "?", choice };
    next = field.number + 1;
    const reference = type === "e" || type === "m" ? references[referred++] : undefined;
    return { ...field, message: reference as Schema, enumeration: reference as Enumeration };
  });
}

/** protobuf's rule for names in JSON: an underscore goes, and the letter after it is a capital. */
const camelCase = (name: string) => name.replace(/_+([a-z0-9])?/g, (_, letter: string | undefined) => letter?.toUpperCase() ?? "");

export function service(typeName: string, methods: Record<string, readonly [Schema, Schema, string, true?]>): { typeName: string; method: Record<string, Method> } {
  const parent = { typeName };
  const made = Object.entries(methods).map(([name, [input, output, http, purposeRequired = false]]) => [name, { parent, name, input, output, contract: { http, purposeRequired } }] as const);
  return { typeName, method: Object.fromEntries(made) };
}

const ZEROS: Readonly<Record<string, unknown>> = { s: "", b: false, I: 0n, U: 0n };

/** What a field holds that was never set; undefined where that is told apart from zero. */
function unset(field: Field): unknown {
  if (field.optional || field.type === "m" || field.type === "J") return undefined;
  return field.type === "B" ? new Uint8Array() : (ZEROS[field.type] ?? 0);
}

/** A message with these fields, the others unset. What is a message already is taken as it is. */
export function create(schema: Schema, given: Fields = {}): Fields {
  if (given["$typeName"] === schema.typeName) return given;
  const made: Fields = { $typeName: schema.typeName };
  for (const field of schema.fields) {
    const { local, choice } = field;
    if (choice) {
      const chosen = given[choice] as { case?: string; value?: unknown } | undefined;
      if (chosen?.case === local) made[choice] = { case: local, value: taken(field, chosen.value) };
      else made[choice] ??= { case: undefined };
    } else if (field.repeated) {
      made[local] = ((given[local] as unknown[] | undefined) ?? []).map((one) => taken(field, one));
    } else {
      const value = given[local] === undefined || given[local] === null ? unset(field) : taken(field, given[local]);
      if (value !== undefined) made[local] = value;
    }
  }
  return made;
}

const taken = (field: Field, value: unknown) => (field.type === "m" && value ? create(field.message, value as Fields) : value);

/** The fields of a message that are set, with what they hold: lists with something in them, choices that were made. */
export function* set(schema: Schema, held: Fields): Generator<[Field, unknown]> {
  for (const field of schema.fields) {
    const chosen = field.choice ? (held[field.choice] as { case?: string; value?: unknown }) : undefined;
    const value = chosen ? (chosen.case === field.local ? chosen.value : undefined) : held[field.local];
    if (value === undefined) continue;
    if (field.repeated ? (value as unknown[]).length : field.choice || field.optional || !isZero(field, value)) yield [field, value];
  }
}

function isZero(field: Field, value: unknown): boolean {
  return field.type === "B" ? !(value as Uint8Array).length : Object.is(value, unset(field));
}
