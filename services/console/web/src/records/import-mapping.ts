/** Which column of a file is probably which field; a person checks it before anything is sent. Pure. */

export interface MappedColumn {
  column: string;
  /** Empty: not imported. */
  field: string;
  format: string;
}

const PLACE = ["address", "address_kind", "latitude", "longitude"] as const;
/** As docs/integrators/records.md lists them. */
export const FIELDS_OF: { readonly [kind: string]: readonly string[] } = {
  person: ["source_key", "surname", "given_names", "full_name", "alias_names", "birth_date", "sex", "description", "phones", "cautions", "identifiers", ...PLACE],
  vehicle: ["source_key", "plate", "state", "vin", "make", "model", "color", "year", "keeper_source_key", "cautions", ...PLACE],
  warrant: ["source_key", "person_source_key", "number", "offence", "severity", "court", "issued_on", "expires_on", "status", "note"],
  arrest: ["source_key", "person_source_key", "number", "arrested_on", "charge", "disposition", "note", ...PLACE],
  prior_call: ["source_key", "number", "occurred_at", "type", "outcome", "narrative", "person_source_keys", ...PLACE],
};

const SYNONYMS: { readonly [word: string]: string } = {
  id: "source_key", key: "source_key", recordid: "source_key", personid: "source_key",
  lastname: "surname", familyname: "surname", last: "surname",
  firstname: "given_names", givenname: "given_names", first: "given_names", forename: "given_names",
  dob: "birth_date", born: "birth_date", dateofbirth: "birth_date", birthdate: "birth_date",
  gender: "sex", telephone: "phones", phone: "phones", mobile: "phones", name: "full_name", alias: "alias_names", caution: "cautions", street: "address",
  lat: "latitude", lon: "longitude", lng: "longitude", lic: "plate", licence: "plate", license: "plate",
  vma: "make", vmo: "model", vco: "color", colour: "color", offense: "offence",
};

const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, "");

/** The header line's columns; quotes are undone. */
export function columnsOf(csv: string, delimiter: string): string[] {
  const line = csv.replace(/^\uFEFF/, "").split(/\r?\n/, 1)[0] ?? "";
  const columns: string[] = [];
  let cell = "";
  let quoted = false;
  for (let index = 0; index < line.length; index++) {
    const character = line[index] as string;
    if (character === '"' && quoted && line[index + 1] === '"') {
      cell += '"';
      index++;
    } else if (character === '"') quoted = !quoted;
    else if (character === delimiter && !quoted) {
      columns.push(cell);
      cell = "";
    } else cell += character;
  }
  return [...columns, cell].map((column) => column.trim()).filter(Boolean);
}

/** The delimiter that cuts the header into the most columns. */
export function delimiterOf(csv: string): string {
  const candidates = [",", ";", "\t", "|"];
  return candidates.reduce((best, one) => (columnsOf(csv, one).length > columnsOf(csv, best).length ? one : best), ",");
}

/** Each column with the field of its own name or of a usual synonym; no field twice. */
export function guessMapping(columns: readonly string[], kind: string): MappedColumn[] {
  const fields = FIELDS_OF[kind] ?? [];
  const taken = new Set<string>();
  return columns.map((column) => {
    const word = plain(column);
    const field = fields.find((one) => plain(one) === word) ?? (fields.includes(SYNONYMS[word] ?? "") ? SYNONYMS[word] : undefined) ?? "";
    if (!field || taken.has(field)) return { column, field: "", format: "" };
    taken.add(field);
    return { column, field, format: "" };
  });
}
