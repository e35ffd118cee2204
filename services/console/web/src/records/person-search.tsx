import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { useAct } from "../contract/use-call";
import { IdentityService, type PersonHit } from "../generated/rtcc/identity/v1/identity_pb";
import { useLive } from "../live/store";
import { useOwnAgency } from "../session/store";
import { Button, Field, PartnerBadge, ProblemNote } from "../ui/parts";
import { PersonRecord } from "./person-record";
import { fieldName, percent, personName, personOf, roughDate, yearsOld } from "./words";

const empty = { name: "", birth: "", age: "", phone: "", address: "" };

/** By name as it was heard, with a rough birth date or age; or by telephone number or address. */
export function PersonSearch() {
  const [asked, setAsked] = useState(empty);
  const [problem, setProblem] = useState("");
  const [openId, setOpenId] = useState<string>();
  const search = useAct(
    (input: typeof empty) =>
      send(
        IdentityService.method.searchPersonRecords,
        { name: input.name.trim(), birthDate: roughDate(input.birth) ?? "", ageYears: Number(input.age) || 0, phone: input.phone.trim(), address: input.address.trim(), limit: 20 },
        { what: `Search for ${input.name.trim() || input.phone.trim() || input.address.trim()}` },
      ),
    () => setOpenId(undefined),
  );
  const reason = (field: string) => (search.error instanceof ProblemError ? search.error.reasonFor(field) : undefined);
  const field = (name: keyof typeof empty) => ({ name, value: asked[name], autoComplete: "off", onChange: (event: React.ChangeEvent<HTMLInputElement>) => setAsked({ ...asked, [name]: event.target.value }) });
  const submit = () => {
    if (asked.birth.trim() && !roughDate(asked.birth)) setProblem("Write 1984-03-07, 7.3.1984, 1984-03 or 1984; or give an age instead.");
    else if (!asked.name.trim() && !asked.phone.trim() && !asked.address.trim()) setProblem("Give a name, a telephone number or an address.");
    else {
      setProblem("");
      search.mutate(asked);
    }
  };
  return (
    <>
      <form
        className="find-form"
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <Field label="Name" hint="As heard: order and spelling need not be right" problem={reason("name")}>
          {(attributes) => <input {...attributes} {...field("name")} maxLength={120} autoFocus placeholder="Koskinen Juha" />}
        </Field>
        <Field label="Birth date" hint="As far as known: 1984-03-07, 1984" problem={reason("birth_date")}>
          {(attributes) => <input {...attributes} {...field("birth")} maxLength={12} placeholder="1984" />}
        </Field>
        <Field label="Or age" hint="Five years either way" problem={reason("age_years")}>
          {(attributes) => <input {...attributes} {...field("age")} type="number" min={1} max={120} />}
        </Field>
        <Field label="Telephone" problem={reason("phone")}>
          {(attributes) => <input {...attributes} {...field("phone")} type="tel" maxLength={32} />}
        </Field>
        <Field label="Address" problem={reason("address")}>
          {(attributes) => <input {...attributes} {...field("address")} maxLength={200} />}
        </Field>
        <Button type="submit" look="primary" busy={search.isPending} data-testid="person-search">
          Search
        </Button>
      </form>
      {problem && (
        <p className="note" data-tone="bad" role="alert">
          {problem}
        </p>
      )}
      <ProblemNote error={search.error} />
      {search.data && (
        <div className="find-result" data-open={openId ? true : undefined}>
          <ul className="stack" aria-label="People found">
            {search.data.hits.map((hit) => (
              <Hit key={hit.record?.recordId} hit={hit} open={hit.record?.recordId === openId} onOpen={() => setOpenId(hit.record?.recordId)} />
            ))}
            {!search.data.hits.length && <li className="empty card">Nobody like that in the records you may search. Try fewer letters of the name, or an age instead of the date.</li>}
          </ul>
          {openId && <PersonRecord key={openId} recordId={openId} onClose={() => setOpenId(undefined)} />}
        </div>
      )}
    </>
  );
}

/** Why it stands where it stands: each field's part of the score, in words. */
function Hit({ hit, open, onOpen }: { hit: PersonHit; open: boolean; onOpen(): void }) {
  const own = useOwnAgency();
  const agencies = useLive((state) => state.agencies);
  const record = hit.record;
  const person = personOf(record);
  if (!record || !person) return null;
  const years = yearsOld(person.birthDate, new Date());
  const partner = record.agencyId !== own;
  return (
    <li className={`card hit ${partner ? "shared-stripe" : ""}`} data-testid="person-hit" data-record-id={record.recordId} data-selected={open || undefined}>
      <div className="spread">
        <button type="button" className="link hit-name" onClick={onOpen} aria-expanded={open}>
          {personName(person)}
        </button>
        <span className="badge mono" title="How well it fits what was asked">
          {percent(hit.score)}
        </span>
      </div>
      <div className="row">
        {person.cautions.map((caution) => (
          <span key={caution.kind + caution.note} className="badge" data-tone="bad">
            {caution.kind.replace("_", " ")}
          </span>
        ))}
        {hit.warrants > 0 && (
          <span className="badge" data-tone="act">
            {hit.warrants} active {hit.warrants === 1 ? "warrant" : "warrants"}
          </span>
        )}
        <span className="secondary">{[person.birthDate, years !== undefined && `${years} years`, person.sex].filter(Boolean).join(" · ")}</span>
        {partner && <PartnerBadge agency={agencies.get(record.agencyId)?.name ?? record.agencyId} />}
      </div>
      <table className="score" aria-label="Why this fits">
        <tbody>
          {hit.fields.map((one) => (
            <tr key={one.field}>
              <th scope="row">{fieldName(one.field)}</th>
              <td>
                <meter min={0} max={1} value={one.score} aria-label={`${fieldName(one.field)}: ${percent(one.score)}`} />
              </td>
              <td className="mono">{percent(one.score)}</td>
              <td>
                {one.found || <em className="muted">withheld</em>}
                {one.reason && <span className="muted"> · {one.reason}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </li>
  );
}
