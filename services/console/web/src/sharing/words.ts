/** An agreement in plain words, so that nobody signs what they can't read. */
import { dayAndTime, milliseconds } from "../contract/time";
import { AgreementStatus, type Agreement } from "../generated/rtcc/registry/v1/registry_pb";

export const ALERT_KINDS: readonly (readonly [string, string])[] = [
  ["plate_hit", "plate hits"],
  ["gunshot", "gunshots"],
  ["alarm", "alarm panels"],
  ["warning", "public warnings"],
  ["drone", "drones in zones"],
  ["measurement", "sensors beyond their limits"],
  ["officer_emergency", "officers in need"],
];
/** Names, birth date and sex ("identity") are the ground of all the others. */
export const PERSON_FIELDS: readonly (readonly [string, string])[] = [
  ["identity", "names, birth dates and sex"],
  ["description", "descriptions"],
  ["cautions", "warnings"],
  ["warrants", "warrants"],
  ["addresses", "addresses"],
  ["phones", "telephone numbers"],
  ["photo", "photos"],
  ["vehicles", "vehicles"],
];
export const REDACTIONS: readonly (readonly [string, string])[] = [
  ["image", "images"],
  ["narrative", "narratives of calls"],
  ["caller_number", "callers' numbers"],
  ["vehicle", "vehicle descriptions"],
  ["hot_list_source", "whose hot list it is"],
];

const named = (pairs: readonly (readonly [string, string])[], ids: readonly string[]) => ids.map((id) => pairs.find(([one]) => one === id)?.[1] ?? id);
const list = (words: readonly string[]) => (words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`);

/** Sentences about what the grantee gets. `cameraName` turns ids into names where they are known. */
export function inWords(agreement: Agreement, grantee: string, cameraName: (id: string) => string): string[] {
  const sentences: string[] = [];
  if (agreement.alertKinds.length) sentences.push(`${grantee} gets alerts of ${list(named(ALERT_KINDS, agreement.alertKinds))}${agreement.area?.corners.length ? " inside an area" : ""}.`);
  if (agreement.camerasLive && agreement.cameraIds.length) {
    const names = agreement.cameraIds.slice(0, 3).map(cameraName);
    const rest = agreement.cameraIds.length - names.length;
    sentences.push(
      `${grantee} may watch ${agreement.cameraIds.length} ${agreement.cameraIds.length === 1 ? "camera" : "cameras"} live (${names.join(", ")}${rest > 0 ? ` and ${rest} more` : ""})${agreement.camerasOnlyDuringAlert ? ", only while an alert shared with them is open" : ", at any time"}.`,
    );
  }
  if (agreement.camerasRecorded && agreement.cameraIds.length) sentences.push(`${grantee} may search and watch their recordings${agreement.camerasExport ? ", and export copies" : ""}, each time with a purpose.`);
  if (agreement.units) sentences.push(`${grantee} sees the positions of units.`);
  if (agreement.tracks) sentences.push(`${grantee} sees drones and aircraft that our receivers hear, with their pilots.`);
  if (agreement.personFields.length) sentences.push(`${grantee} finds our person records and sees ${list(named(PERSON_FIELDS, agreement.personFields))}, each time with a purpose.`);
  if (!sentences.length) sentences.push(`${grantee} gets nothing.`);
  if (agreement.barredReason) sentences.push(`Barred: ${agreement.barredReason}. While that stands nothing flows.`);
  if (agreement.redactions.length) sentences.push(`Removed before anything leaves: ${list(named(REDACTIONS, agreement.redactions))}.`);
  if (agreement.purposes.length) sentences.push(`Only for: ${list(agreement.purposes)}.`);
  if (agreement.attestationRequired) sentences.push(agreement.attestedAt ? `They attested the terms on ${dayAndTime(agreement.attestedAt)}.` : "Nothing flows before they attest the terms.");
  sentences.push(agreement.validUntil ? `It ends on ${dayAndTime(agreement.validUntil)}.` : "It stands until it is revoked.");
  return sentences;
}

export function isActive(agreement: Agreement, nowMs: number): boolean {
  const until = milliseconds(agreement.validUntil);
  return agreement.status === AgreementStatus.ACTIVE && (until === 0 || until > nowMs);
}

const FIELDS: readonly (readonly [keyof Agreement, string])[] = [
  ["title", "title"],
  ["status", "status"],
  ["alertKinds", "alert kinds"],
  ["cameraIds", "cameras"],
  ["camerasLive", "live view"],
  ["camerasRecorded", "recordings"],
  ["camerasExport", "export of recordings"],
  ["camerasOnlyDuringAlert", "only during an alert"],
  ["units", "unit positions"],
  ["tracks", "drones and aircraft"],
  ["personFields", "person records"],
  ["barredReason", "barred"],
  ["area", "area"],
  ["validFrom", "from"],
  ["validUntil", "until"],
  ["purposes", "purposes"],
  ["redactions", "removed fields"],
  ["attestationRequired", "attestation"],
];

/** What a change changed: "cameras: 4 → 2". */
export function changesBetween(before: Agreement | undefined, after: Agreement | undefined): string[] {
  if (!after) return [];
  const show = (value: unknown): string => {
    if (Array.isArray(value)) return value.length > 3 ? `${value.length}` : value.join(", ") || "none";
    if (typeof value === "boolean") return value ? "yes" : "no";
    if (value && typeof value === "object" && "seconds" in value) return dayAndTime(value as Agreement["validUntil"]);
    if (value && typeof value === "object") return "set";
    return value === undefined ? "none" : String(value);
  };
  return FIELDS.flatMap(([field, title]) => {
    const old = before?.[field];
    const now = after[field];
    if (JSON.stringify(old, plain) === JSON.stringify(now, plain)) return [];
    if (field === "status") return [now === AgreementStatus.REVOKED ? "revoked" : "active"];
    return before ? [`${title}: ${show(old)} → ${show(now)}`] : [];
  });
}

function plain(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
