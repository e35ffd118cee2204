import { useRead } from "../contract/use-call";
import { age, dayAndTime } from "../contract/time";
import { IdentityService, type GetArrivalCardResponse } from "../generated/rtcc/identity/v1/identity_pb";
import { IncidentsService, type GetArrivalBriefingResponse, type Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import { Warrants, vehicleRow, priorCallRow } from "../records/person-record";
import { fieldName, personName, personOf, yearsOld } from "../records/words";
import { useRight, useSession } from "../session/store";
import { Read } from "../ui/page";
import { useNow } from "../ui/use-now";
import { dispatchPurpose } from "./actions";
import { outcomeName } from "./words";

/** What a unit should know before it arrives: dangers, people and vehicles tied to the place, exits and hazards, what was there before. */
export function Arrival({ incident }: { incident: Incident }) {
  const mayBrief = useRight("incident.brief");
  const mayCard = useRight("arrival_card.read");
  const coordinate = incident.position?.coordinate;
  const purpose = dispatchPurpose(incident);
  // The briefing brings the card along, as identity shows it to this reader.
  const card = useRead(IdentityService.method.getArrivalCard, { address: incident.address, incidentId: incident.incidentId, ...(coordinate ? { coordinate } : {}) }, { enabled: mayCard && !mayBrief && (incident.address !== "" || coordinate !== undefined), purpose });
  const brief = useRead(IncidentsService.method.getArrivalBriefing, { incidentId: incident.incidentId }, { enabled: mayBrief, purpose });
  return (
    <section className="arrival stack" aria-label="Before arrival" data-testid="arrival-card">
      {mayCard && !mayBrief && <Read query={card}>{(data) => <People card={data} address={incident.address} />}</Read>}
      {mayBrief && (
        <Read query={brief}>
          {(data) => (
            <>
              {data.arrivalCard && <People card={data.arrivalCard} address={incident.address} />}
              <Place brief={data} />
            </>
          )}
        </Read>
      )}
      {!mayCard && !mayBrief && <p className="muted">Not part of your role.</p>}
    </section>
  );
}

function People({ card, address }: { card: GetArrivalCardResponse; address: string }) {
  const nothing = !card.warnings.length && !card.persons.length && !card.vehicles.length && !card.priorCalls.length;
  return (
    <>
      {card.warnings.map((warning) => (
        <p key={warning.recordId + warning.text} className="note warning" data-tone="bad" data-testid="arrival-warning">
          <strong>{warning.text || warning.kind.replaceAll("_", " ")}</strong>
          {warning.about && ` – ${warning.about}`}
        </p>
      ))}
      {card.persons.length > 0 && (
        <section className="stack tight">
          <h3>People{card.place && ` at ${address || card.place}`}</h3>
          {card.persons.map((one) => {
            const person = personOf(one.person);
            if (!person) return null;
            const years = yearsOld(person.birthDate, new Date());
            return (
              <div key={one.person?.recordId} className="card stack tight" data-testid="arrival-person">
                <strong>{personName(person)}</strong>
                <span className="secondary">{[person.birthDate, years !== undefined && `${years} years`, person.sex, one.tie.replaceAll("_", " "), one.distanceM > 0 && `${Math.round(one.distanceM)} m away`].filter(Boolean).join(" · ")}</span>
                {person.description && <span>{person.description}</span>}
                <Warrants warrants={one.warrants} />
              </div>
            );
          })}
          {card.morePersons > 0 && <p className="muted">and {card.morePersons} more</p>}
        </section>
      )}
      {card.vehicles.length > 0 && (
        <section className="stack tight">
          <h3>Vehicles</h3>
          {card.vehicles.map((record) => (
            <div key={record.recordId}>{vehicleRow(record)}</div>
          ))}
          {card.moreVehicles > 0 && <p className="muted">and {card.moreVehicles} more</p>}
        </section>
      )}
      {card.priorCalls.length > 0 && (
        <section className="stack tight">
          <h3>Calls before</h3>
          {card.priorCalls.map((record) => (
            <p key={record.recordId}>{priorCallRow(record)}</p>
          ))}
          {card.morePriorCalls > 0 && <p className="muted">and {card.morePriorCalls} more</p>}
        </section>
      )}
      {nothing && <p className="muted">No person, vehicle or earlier call is known at this place.</p>}
      {card.withheld.length > 0 && <p className="muted">Withheld from your role: {card.withheld.map(fieldName).join(", ")}.</p>}
    </>
  );
}

function Place({ brief }: { brief: GetArrivalBriefingResponse }) {
  const now = useNow(60_000) + useSession((state) => state.clockSkewMs);
  const exits = brief.floorPlans.flatMap((plan) => plan.marks.filter((mark) => mark.kind === "exit").map((mark) => ({ ...mark, floor: plan.floor })));
  return (
    <>
      {brief.missing.map((reason) => (
        <p key={reason} className="note" data-tone="act">
          A part is missing: {reason}
        </p>
      ))}
      {brief.hazards.length > 0 && (
        <section className="stack tight">
          <h3>Hazards</h3>
          {brief.hazards.map((mark) => (
            <p key={mark.markId} className="note" data-tone="bad" data-testid="arrival-hazard">
              {mark.label || "Hazard"} <span className="muted">floor {mark.floor || "?"}</span>
            </p>
          ))}
        </section>
      )}
      {exits.length > 0 && (
        <section className="stack tight">
          <h3>Exits</h3>
          <ul className="row">
            {exits.map((mark) => (
              <li key={mark.markId} className="badge" data-testid="arrival-exit">
                {mark.label || "Exit"} · floor {mark.floor}
              </li>
            ))}
          </ul>
        </section>
      )}
      {brief.priorIncidents.length > 0 && (
        <section className="stack tight">
          <h3>Incidents before</h3>
          {brief.priorIncidents.map((one) => (
            <p key={one.incidentId}>
              <span className="mono">{one.number}</span> {one.kind}: {one.title}{" "}
              <span className="muted" title={dayAndTime(one.occurredAt)}>
                {age(one.occurredAt, now)} ago · {one.sameAddress ? "same address" : `${Math.round(one.distanceM)} m away`}
                {one.outcome && ` · ${outcomeName(one.outcome)}`}
              </span>
            </p>
          ))}
        </section>
      )}
    </>
  );
}
