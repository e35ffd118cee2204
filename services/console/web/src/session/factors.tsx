import { useState } from "react";
import { Button, Field, ProblemNote } from "../ui/parts";
import { reauthenticateWithCode, usePasskey, type FactorKind, type Session } from "./auth";

/** One more proof of who sits here: password and code, a passkey, or nothing in a demo. Used by the lock and before privileged acts. */
export function FactorForm(props: { factors: readonly FactorKind[]; action: string; onProof(session: Session): void }) {
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const run = async (proof: () => Promise<Session>) => {
    setBusy(true);
    setError(undefined);
    try {
      props.onProof(await proof());
    } catch (problem) {
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="stack">
      {props.factors.includes("totp") && (
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void run(() => reauthenticateWithCode(password, code));
          }}
        >
          <Field label="Password">{(attributes) => <input {...attributes} name="password" type="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />}</Field>
          <Field label="Code of your authenticator app">{(attributes) => <CodeInput {...attributes} value={code} onValue={setCode} />}</Field>
          <Button type="submit" look="primary" busy={busy}>
            {props.action}
          </Button>
        </form>
      )}
      {props.factors.includes("passkey") && (
        <Button busy={busy} onClick={() => void run(() => usePasskey({ purpose: "reauthenticate" }))}>
          {props.action} with passkey
        </Button>
      )}
      {props.factors.includes("demo") && (
        <Button look="primary" busy={busy} data-testid="demo-proof" onClick={() => void run(() => reauthenticateWithCode("", ""))}>
          {props.action} (demo: no password)
        </Button>
      )}
      {props.factors.includes("oidc") && (
        <a className="button" href="/auth/oidc/start?next=/map">
          {props.action} with your organisation
        </a>
      )}
      <ProblemNote error={error} />
    </div>
  );
}

export function CodeInput(props: { id: string; className: string; value: string; onValue(value: string): void }) {
  const { onValue, ...attributes } = props;
  return (
    <input
      {...attributes}
      className={`${props.className} mono`}
      name="code"
      inputMode="numeric"
      autoComplete="one-time-code"
      pattern="[0-9]{6}"
      maxLength={6}
      placeholder="123456"
      required
      onChange={(event) => onValue(event.target.value.replace(/\D/g, ""))}
    />
  );
}
