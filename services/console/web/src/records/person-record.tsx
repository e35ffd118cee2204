import { useState } from "react";
import { send } from "../contract/call";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IdentityService, type GetPersonRecordResponse, type Record as StoredRecord } from "../generated/rtcc/identity/v1/identity_pb";
import { useMap } from "../map/store";
import { useRight } from "../session/store";
import { go } from "../shell/router";
import { Read } from "../ui/page";
import { Button, ProblemNote } from "../ui/parts";
import { GuardedImage } from "./guarded-image";
import { aliases, fieldName, personName, personOf, vehicleName, vehicleOf } from "./words";

/** One person with everything that the reader's role includes; warnings first, what is withheld named. */
export function PersonRecord({ recordId, onClose }: { recordId: string; onClose(): void }) {
  const query = useRead(IdentityService.method.getPersonRecord, { recordId }, { what: "Record of a person" });
  return (
    <article className="card stack record" aria-label="Record" data-testid="person-record">
      <Read query={query}>{(data) => <Whole data={data} onClose={onClose} />}</Read>
    </article>
  );
}

function Whole({ data, onClose }: { data: GetPersonRecordResponse; onClose(): void }) {
  const record = data.person;
  const person = personOf(record);
  if (!record || !person) return <p className="empty">This record is no longer there.</p>;
  const withheld = new Set([...record.withheld, ...data.withheld]);
  const others = aliases(person);
  return (
    <>
      <header className="spread">
        <h2>{personName(person)}</h2>
        <Button look="quiet" size="small" aria-label="Close the record" onClick={onClose}>
          ✕
        </Button>
      </header>
      {person.cautions.map((caution) => (
        <p key={caution.kind + caution.note} className="note" data-tone="bad">
          <strong>{caution.kind.replace("_", " ")}</strong>
          {caution.note && `: ${caution.note}`} <span className="muted">{[caution.source, caution.notedOn].filter(Boolean).join(", ")}</span>
        </p>
      ))}
      <Warrants warrants={data.warrants} />
      <div className="record-head">
        {person.hasPhoto && <GuardedImage path={`/v1/records/persons/${encodeURIComponent(record.recordId)}/photo`} what={`Photo of ${personName(person)}`} className="record-photo" />}
        <dl className="facts">
          {others.length > 0 && <Fact name="Also known as" value={others.join("; ")} />}
          <Fact name="Birth date" value={person.birthDate} withheld={withheld.has("birth_date")} />
          <Fact name="Sex" value={person.sex} withheld={withheld.has("sex")} />
          <Fact name="Description" value={person.description} withheld={withheld.has("description")} />
          <Fact name="Telephone" value={person.phones.join(", ")} withheld={withheld.has("phones")} />
          <Fact name="Documents" value={person.identifiers.join(", ")} withheld={withheld.has("identifiers")} />
          {withheld.has("addresses") && <Fact name="Addresses" value="" withheld />}
          {person.addresses.map((address) => (
            <div key={address.kind + address.text} style={{ display: "contents" }}>
              <dt>{address.kind.replace("_", " ") || "Address"}</dt>
              <dd>
                {address.text}{" "}
                {address.coordinate && (
                  <Button
                    size="small"
                    aria-label={`Show ${address.text} on the map`}
                    onClick={() => {
                      if (address.coordinate) useMap.getState().flyTo(address.coordinate.longitudeDeg, address.coordinate.latitudeDeg);
                      go("/map");
                    }}
                  >
                    Map
                  </Button>
                )}
              </dd>
            </div>
          ))}
          <Fact name="Source" value={`${record.source}, of ${dayAndTime(record.changedAt)}`} />
        </dl>
      </div>
      <List title="Vehicles" records={data.vehicles} withheld={withheld.has("vehicle") || withheld.has("vehicles")} row={vehicleRow} />
      <List title="Arrests" records={data.arrests} withheld={withheld.has("arrest")} row={arrestRow} />
      <List title="Prior calls" records={data.priorCalls} withheld={withheld.has("prior_call")} row={priorCallRow} />
      <Intelligence recordId={record.recordId} withheld={withheld.has("intelligence")} />
      {withheld.size > 0 && (
        <p className="muted" data-testid="withheld">
          Not part of your role or of the agreement: {[...withheld].map(fieldName).join(", ")}. Whether there is anything is not told.
        </p>
      )}
    </>
  );
}

function Fact({ name, value, withheld = false }: { name: string; value: string; withheld?: boolean }) {
  if (!value && !withheld) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>{withheld ? <em className="muted">withheld</em> : value}</dd>
    </>
  );
}

export function Warrants({ warrants }: { warrants: readonly StoredRecord[] }) {
  return (
    <>
      {warrants.map((record) => {
        if (record.details.case !== "warrant") return null;
        const warrant = record.details.value;
        const active = warrant.status === "active" || warrant.status === "";
        return (
          <p key={record.recordId} className="note" data-tone={active ? "act" : undefined}>
            <strong>
              {active ? "Active warrant" : `Warrant, ${warrant.status}`}: {warrant.offence}
            </strong>{" "}
            {[warrant.severity, warrant.number, warrant.court, warrant.issuedOn && `of ${warrant.issuedOn}`].filter(Boolean).join(" · ")}
            {active && <span className="muted"> Confirm with the court before acting on it. {warrant.note}</span>}
          </p>
        );
      })}
    </>
  );
}

function List({ title, records, withheld, row }: { title: string; records: readonly StoredRecord[]; withheld: boolean; row(record: StoredRecord): React.ReactNode }) {
  if (!records.length && !withheld) return null;
  return (
    <section className="stack tight">
      <h3>{title}</h3>
      {withheld ? (
        <em className="muted">withheld</em>
      ) : (
        <ul className="stack tight">
          {records.map((record) => (
            <li key={record.recordId}>{row(record)}</li>
          ))}
        </ul>
      )}
    </section>
  );
}

export function vehicleRow(record: StoredRecord): React.ReactNode {
  const vehicle = vehicleOf(record);
  return (
    vehicle && (
      <span className="row">
        <span className="plate">{vehicle.plate}</span>
        <span>{[vehicle.state, vehicleName(vehicle)].filter(Boolean).join(" · ")}</span>
      </span>
    )
  );
}

function arrestRow(record: StoredRecord): React.ReactNode {
  if (record.details.case !== "arrest") return null;
  const { arrestedOn, charge, disposition } = record.details.value;
  return `${arrestedOn}: ${charge}${disposition ? ` (${disposition})` : ""}`;
}

export function priorCallRow(record: StoredRecord): React.ReactNode {
  if (record.details.case !== "priorCall") return null;
  const { occurredAt, type, outcome, narrative, address } = record.details.value;
  return (
    <>
      <strong>
        {dayAndTime(occurredAt)} {type}
      </strong>{" "}
      <span className="secondary">{[address?.text, outcome, narrative].filter(Boolean).join(" · ")}</span>
    </>
  );
}

/** Each reading is a dissemination and is logged as one (28 CFR 23.20): only on request. */
function Intelligence({ recordId, withheld }: { recordId: string; withheld: boolean }) {
  const may = useRight("intelligence.read");
  const [asked, setAsked] = useState(false);
  const read = useAct(() => send(IdentityService.method.listIntelligence, { personRecordId: recordId }, { what: "Criminal intelligence" }));
  if (!may || withheld) return null;
  return (
    <section className="stack tight">
      {!asked && (
        <div>
          <Button
            size="small"
            onClick={() => {
              setAsked(true);
              read.mutate(undefined);
            }}
          >
            Read criminal intelligence…
          </Button>
        </div>
      )}
      <ProblemNote error={read.error} />
      {read.data && !read.data.intelligence.length && <p className="muted">No intelligence about this person.</p>}
      {read.data?.intelligence.map((one) => (
        <div key={one.intelligenceId} className="note stack tight">
          <strong>{one.criminalActivity}</strong>
          <p>{one.text}</p>
          <p className="muted">
            Suspicion: {one.reasonableSuspicion} · source {one.sourceReliability.replaceAll("_", " ")}, content {one.contentValidity.replaceAll("_", " ")} · review by {dayAndTime(one.reviewBy)}
          </p>
        </div>
      ))}
    </section>
  );
}
