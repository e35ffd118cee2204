/**
 * What the build ships of the contracts: the calls that the console makes and the messages that they reach, as short texts that
 * `src/contract/light` reads, instead of whole descriptors and the library that interprets them (docs/decisions/0006-size-of-the-console.md).
 * Types, and every check of them, are those of protoc-gen-es.
 */
import { createFileRegistry, fromBinary, getOption, ScalarType, type DescEnum, type DescField, type DescFile, type DescMessage, type DescMethod, type DescService, type FileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { readdirSync, readFileSync } from "node:fs";
import type { Plugin } from "vite";

const here = (path: string) => decodeURIComponent(new URL(path, import.meta.url).pathname);
const SOURCES = here("./src/");
const GENERATED = here("./src/generated/");
/** What the sources and the generated modules import, and what stands for it. */
const LIGHT: Readonly<Record<string, string>> = {
  "@bufbuild/protobuf": here("./src/contract/light/index.ts"),
  "@bufbuild/protobuf/wkt": here("./src/contract/light/time.ts"),
};
/** The test that holds the light reader against the library needs both. */
const COMPARES_BOTH = /\/contract\/light\/[a-z-]+\.test\.ts$/;

const SCALARS: Readonly<Partial<Record<ScalarType, string>>> = {
  [ScalarType.STRING]: "",
  [ScalarType.BOOL]: "b",
  [ScalarType.DOUBLE]: "d",
  [ScalarType.FLOAT]: "f",
  [ScalarType.INT32]: "i",
  [ScalarType.UINT32]: "u",
  [ScalarType.SINT32]: "z",
  [ScalarType.INT64]: "I",
  [ScalarType.UINT64]: "U",
  [ScalarType.BYTES]: "B",
};

/** The contracts as protoc described them, beside the modules that protoc-gen-es made. */
export function readContracts(): FileRegistry {
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(`${GENERATED}contracts.binpb`)));
}

export function lightContracts(options: { everyMethod?: boolean } = {}): Plugin {
  let contracts: FileRegistry;
  let used: ReadonlySet<string> | undefined;
  return {
    name: "light-contracts",
    enforce: "pre",
    buildStart() {
      contracts = readContracts();
      // A development server meets new calls while it runs.
      used = options.everyMethod || this.meta.watchMode ? undefined : usedMethods();
    },
    resolveId(source, importer) {
      const light = LIGHT[source];
      return light && importer?.startsWith(SOURCES) && !COMPARES_BOTH.test(importer) ? { id: light, moduleSideEffects: false } : null;
    },
    load(id) {
      if (!id.startsWith(GENERATED) || !id.endsWith("_pb.ts")) return null;
      const name = id.slice(GENERATED.length, -"_pb.ts".length);
      const file = contracts.getFile(`${name}.proto`);
      if (!file) this.error(`${name}.proto is not among the generated contracts: generate them again`);
      return { code: lightModule(file, contracts, (service, method) => !used || used.has(`${service}.${method}`)), moduleSideEffects: false };
    },
  };
}

/** "AlertingService.acknowledgeAlert" for each call that a source names. */
function usedMethods(): Set<string> {
  const named = new Set<string>();
  for (const path of readdirSync(SOURCES, { recursive: true, encoding: "utf-8" })) {
    if (!/\.tsx?$/.test(path) || path.startsWith("generated")) continue;
    for (const [, service, method] of readFileSync(SOURCES + path, "utf-8").matchAll(/\b(\w+Service)\.method\.(\w+)/g)) named.add(`${service}.${method}`);
  }
  return named;
}

/** A module with the exports that the console uses of protoc-gen-es's: schemas, enumerations, services. */
export function lightModule(file: DescFile, contracts: FileRegistry, wanted: (service: string, method: string) => boolean): string {
  const imports = new Map<string, Set<string>>();
  const name = (described: DescMessage | DescEnum): string => {
    const exported = exportedName(described);
    if (described.file !== file) imports.set(described.file.name, (imports.get(described.file.name) ?? new Set()).add(exported));
    return exported;
  };
  const { messages, enums } = everythingIn(file);
  const lines = [
    ...enums.map((one) => `export const ${name(one)} = /*@__PURE__*/ enumeration(${enumText(one)});`),
    ...messages.map((one) => {
      const { text, references } = messageText(one);
      return `export const ${name(one)} = /*@__PURE__*/ message(${JSON.stringify(one.typeName)}, ${JSON.stringify(text)}, () => [${references.map(name).join(", ")}]);`;
    }),
    ...file.services.map((one) => serviceText(one, contracts, wanted, name)),
    // The option itself: call.ts asks for it by this name.
    ...file.extensions.map((one) => `export const ${one.name} = "";`),
  ];
  const imported = [...imports].map(([from, names]) => (from.startsWith("google/") ? `import { ${[...names].join(", ")} } from "@bufbuild/protobuf/wkt";` : `import { ${[...names].join(", ")} } from "${GENERATED}${from}_pb";`));
  return [`import { enumeration, message, service } from ${JSON.stringify(here("./src/contract/light/schema.ts"))};`, ...imported, ...lines].join("\n");
}

export function everythingIn(file: DescFile): { messages: DescMessage[]; enums: DescEnum[] } {
  const messages: DescMessage[] = [];
  const enums = [...file.enums];
  const take = (one: DescMessage) => {
    messages.push(one);
    enums.push(...one.nestedEnums);
    one.nestedMessages.forEach(take);
  };
  file.messages.forEach(take);
  return { messages, enums };
}

export function exportedName(described: DescMessage | DescEnum): string {
  const local = described.typeName.slice(described.file.proto.package.length + 1).replaceAll(".", "_");
  return described.kind === "message" ? `${local}Schema` : local;
}

/** The prefix of the values' names in JSON, and the values: "UNSPECIFIED OPEN CLOSED", with "=9" where they don't count up. */
function enumText(described: DescEnum): string {
  const prefix = described.sharedPrefix?.toUpperCase() ?? "";
  let next = 0;
  const values = described.values.map((value) => {
    if (value.name !== prefix + value.localName) throw new Error(`${described.typeName}: ${value.name} is not ${prefix}${value.localName}`);
    const text = value.number === next ? value.localName : `${value.localName}=${value.number}`;
    next = value.number + 1;
    return text;
  });
  return `${JSON.stringify(prefix)}, ${JSON.stringify(values.join(" "))}`;
}

/**
 * The fields of a message, each `name[=number][:type][marks]`: the number only where it isn't the one after the field before, the type as one
 * letter ("" a string; `e`, `m` an enumeration or a message, the next of the references; `J` any JSON object), the marks `*` repeated,
 * `?` optional, `|choice` one of a choice.
 */
export function messageText(described: DescMessage): { text: string; references: (DescMessage | DescEnum)[] } {
  const references: (DescMessage | DescEnum)[] = [];
  let next = 1;
  const fields = described.fields.map((field) => {
    const number = field.number === next ? "" : `=${field.number}`;
    next = field.number + 1;
    const type = typeLetter(field, references);
    const marks = field.fieldKind === "list" ? "*" : field.oneof ? `|${field.oneof.localName}` : field.proto.proto3Optional ? "?" : "";
    return `${field.name}${number}${type && `:${type}`}${marks}`;
  });
  return { text: fields.join(" "), references };
}

function typeLetter(field: DescField, references: (DescMessage | DescEnum)[]): string {
  const of = field.fieldKind === "map" ? undefined : (field.enum ?? field.message);
  if (of?.typeName === "google.protobuf.Struct") return "J";
  if (of) {
    references.push(of);
    return of.kind === "enum" ? "e" : "m";
  }
  const letter = field.scalar && field.fieldKind !== "map" ? SCALARS[field.scalar] : undefined;
  if (letter === undefined) throw new Error(`${field}: the console's reader knows no such kind of field: teach it (src/contract/light)`);
  return letter;
}

function serviceText(described: DescService, contracts: FileRegistry, wanted: (service: string, method: string) => boolean, name: (described: DescMessage) => string): string {
  const option = contracts.getExtension("rtcc.contract.v1.call");
  if (!option) throw new Error("the contracts lack the option rtcc.contract.v1.call");
  const methods = described.methods
    .filter((method) => wanted(described.name, method.localName))
    .map((method: DescMethod) => {
      const { http, purposeRequired } = getOption(method, option) as { http: string; purposeRequired: boolean };
      return `${method.localName}: [${name(method.input)}, ${name(method.output)}, ${JSON.stringify(http)}${purposeRequired ? ", true" : ""}]`;
    });
  return `export const ${described.name} = /*@__PURE__*/ service(${JSON.stringify(described.typeName)}, { ${methods.join(", ")} });`;
}
