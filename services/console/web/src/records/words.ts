/** Records in words; pure. What is withheld is named as withheld, never shown as missing. */
import type { PersonDetails, Record as StoredRecord, VehicleDetails } from "../generated/rtcc/identity/v1/identity_pb";

const FIELDS: { readonly [field: string]: string } = {
  names: "names",
  birth_date: "birth date",
  sex: "sex",
  description: "description",
  phones: "telephone numbers",
  addresses: "addresses",
  cautions: "warnings",
  identifiers: "identity documents",
  photo: "photo",
  has_photo: "photo",
  vin: "VIN",
  keeper: "keeper",
  vehicle: "vehicles",
  warrant: "warrants",
  arrest: "arrests",
  prior_call: "prior calls",
  intelligence: "intelligence",
};

export function fieldName(field: string): string {
  return FIELDS[field] ?? field.replaceAll("_", " ");
}

/** "Koskinen, Juha Petteri"; the name in use. */
export function personName(person: PersonDetails | undefined): string {
  const name = person?.names[0];
  return name ? [name.surname, name.givenNames].filter(Boolean).join(", ") : "Name withheld";
}

export function aliases(person: PersonDetails): string[] {
  return person.names.slice(1).map((name) => [name.surname, name.givenNames].filter(Boolean).join(", "));
}

export function personOf(record: StoredRecord | undefined): PersonDetails | undefined {
  return record?.details.case === "person" ? record.details.value : undefined;
}

export function vehicleOf(record: StoredRecord | undefined): VehicleDetails | undefined {
  return record?.details.case === "vehicle" ? record.details.value : undefined;
}

export function vehicleName(vehicle: VehicleDetails): string {
  return [vehicle.color, vehicle.make, vehicle.model, vehicle.year ? String(vehicle.year) : ""].filter(Boolean).join(" ");
}

/** Full years on a day, from "1984-03-07", "1984-03" or "1984" (then give or take one); undefined when unknown. */
export function yearsOld(birthDate: string, today: Date): number | undefined {
  const found = /^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?$/.exec(birthDate);
  if (!found) return undefined;
  const [, year = "", month = "07", day = "01"] = found;
  const passed = today.getMonth() + 1 > Number(month) || (today.getMonth() + 1 === Number(month) && today.getDate() >= Number(day));
  return today.getFullYear() - Number(year) - (passed ? 0 : 1);
}

/** A rough date as people type it, as the search takes it: "1984-03-07", "1984-03", "1984"; undefined when it is none of them. */
export function roughDate(typed: string): string | undefined {
  const text = typed.trim();
  if (/^\d{4}(-\d{2}(-\d{2})?)?$/.test(text)) return text;
  const dotted = /^(?:(\d{1,2})\.)?(\d{1,2})\.(\d{4})$/.exec(text);
  if (!dotted) return undefined;
  const [, day, month = "", year = ""] = dotted;
  return [year, month.padStart(2, "0"), ...(day ? [day.padStart(2, "0")] : [])].join("-");
}

export function percent(score: number): string {
  return `${Math.round(score * 100)} %`;
}
