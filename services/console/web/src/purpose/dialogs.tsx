import { useState } from "react";
import { FactorForm } from "../session/factors";
import { useSession } from "../session/store";
import { Button, Dialog, Field } from "../ui/parts";
import { usePurpose } from "./store";

/** Words that agencies use; any other may be typed. */
const PURPOSES = ["Active incident", "Stolen vehicle", "Wanted person", "Missing person", "Criminal investigation", "Officer safety", "Traffic collision", "Training"];

export function PurposeDialog() {
  const question = usePurpose((state) => state.purposeQuestion);
  const standing = usePurpose((state) => state.standing);
  if (!question) return null;
  return <PurposeForm key={question.what} what={question.what} purpose={standing?.purpose ?? ""} caseNumber={standing?.caseNumber ?? ""} onAnswer={(purpose, caseNumber) => question.answer({ purpose, caseNumber })} onClose={question.decline} />;
}

function PurposeForm(props: { what: string; purpose: string; caseNumber: string; onAnswer(purpose: string, caseNumber: string): void; onClose(): void }) {
  const [purpose, setPurpose] = useState(props.purpose);
  const [caseNumber, setCaseNumber] = useState(props.caseNumber);
  return (
    <Dialog
      title="What is this for?"
      testId="purpose-dialog"
      onClose={props.onClose}
      onSubmit={() => props.onAnswer(purpose.trim(), caseNumber.trim())}
      foot={
        <>
          <Button onClick={props.onClose}>Cancel</Button>
          <Button type="submit" look="primary" data-testid="purpose-submit">
            Continue
          </Button>
        </>
      }
    >
      <p className="secondary">
        {props.what ? `${props.what}: this ` : "This "}
        needs a purpose and a case number. Both stand in the audit log of the agency whose data it is, and serve your next requests for an hour.
      </p>
      <Field label="Purpose">
        {(attributes) => <input {...attributes} name="purpose" list="purposes" required maxLength={200} autoFocus autoComplete="off" value={purpose} onChange={(event) => setPurpose(event.target.value)} />}
      </Field>
      <datalist id="purposes">
        {PURPOSES.map((one) => (
          <option key={one} value={one} />
        ))}
      </datalist>
      <Field label="Case number">
        {(attributes) => <input {...attributes} name="case_number" required maxLength={200} placeholder="26-0412" autoComplete="off" value={caseNumber} onChange={(event) => setCaseNumber(event.target.value)} />}
      </Field>
    </Dialog>
  );
}

export function ReauthenticationDialog() {
  const question = usePurpose((state) => state.reauthenticationQuestion);
  const factors = useSession((state) => state.session?.reauthenticate ?? []);
  if (!question) return null;
  return (
    <Dialog title="Confirm that it's you" testId="reauthenticate-dialog" onClose={question.decline}>
      <p className="secondary">What you are about to do is privileged. Confirm with your sign-in; it then stands for 10 minutes.</p>
      <FactorForm
        factors={factors}
        action="Confirm"
        onProof={(session) => {
          useSession.getState().accept(session);
          question.answer();
        }}
      />
    </Dialog>
  );
}
