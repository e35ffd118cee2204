import { useEffect, useState } from "react";
import { go } from "../shell/router";
import { Button, Field, Loading, ProblemNote } from "../ui/parts";
import { ProblemError } from "../contract/problem";
import { enrolWithPasskey, enrolWithPassword, startEnrolment, type Enrolment, type Session } from "./auth";
import { CodeInput } from "./factors";
import { Door, UseBanner } from "./sign-in";
import { useSession } from "./store";

/** The token stands in the fragment, which browsers send to nobody. */
export default function Enrol() {
  const [token] = useState(() => location.hash.slice(1));
  const [enrolment, setEnrolment] = useState<Enrolment>();
  const [agreed, setAgreed] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    document.title = "Set up your account – OpenRTCC";
    startEnrolment(token).then(setEnrolment, setError);
  }, [token]);
  if (error)
    return (
      <Door>
        <h1>This link does not open</h1>
        <ProblemNote error={error} />
        <p className="secondary">A link works once and for 72 hours. Ask your administrator for a new one.</p>
      </Door>
    );
  if (!enrolment) return <Loading what="Opening your link" />;
  const done = (session: Session) => {
    history.replaceState(null, "", "/enrol"); // the used token leaves the address bar
    useSession.getState().accept(session);
    const mayBuild = session.rights.includes("agency.create") || session.rights.includes("camera.create");
    go(mayBuild ? "/setup" : "/", true);
  };
  return (
    <Door>
      {agreed ? <Choose token={token} enrolment={enrolment} onDone={done} /> : <UseBanner banner={enrolment.banner} onAgree={() => setAgreed(true)} />}
    </Door>
  );
}

function Choose({ token, enrolment, onDone }: { token: string; enrolment: Enrolment; onDone(session: Session): void }) {
  const [password, setPassword] = useState("");
  const [repeated, setRepeated] = useState("");
  const [code, setCode] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const { min_length: least, max_length: most } = enrolment.password_rules;
  const differs = repeated !== "" && repeated !== password;
  const run = async (work: () => Promise<Session>) => {
    setBusy(true);
    setError(undefined);
    try {
      onDone(await work());
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  const reason = (field: string) => (error instanceof ProblemError ? error.reasonFor(field) : undefined);
  return (
    <section className="stack">
      <h1>Welcome, {enrolment.person.display_name}</h1>
      <p className="secondary">
        Your login is <strong>{enrolment.person.login}</strong>
        {enrolment.person.agency_name && ` at ${enrolment.person.agency_name}`}. Every sign-in takes two proofs: choose how.
      </p>
      {enrolment.passkey && (
        <>
          <Button look="primary" disabled={busy} onClick={() => void run(() => enrolWithPasskey(token, "This device", enrolment.banner.version))}>
            Use a passkey (this device, phone or security key)
          </Button>
          <div className="divider">or password and code</div>
        </>
      )}
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (!differs) void run(() => enrolWithPassword(token, password, code, enrolment.banner.version));
        }}
      >
        <Field label="New password" hint={`At least ${least} characters; a sentence is good`} problem={reason("password")}>
          {(attributes) => <input {...attributes} name="password" type="password" autoComplete="new-password" minLength={least} maxLength={most} required value={password} onChange={(event) => setPassword(event.target.value)} />}
        </Field>
        <Field label="The same again" problem={differs ? "The two differ" : undefined}>
          {(attributes) => <input {...attributes} name="password-repeated" type="password" autoComplete="new-password" required value={repeated} onChange={(event) => setRepeated(event.target.value)} />}
        </Field>
        <div className="qr-step">
          <img alt="QR code for your authenticator app" src={`data:image/svg+xml;utf8,${encodeURIComponent(enrolment.totp.qr_svg)}`} width="148" height="148" />
          <div className="stack">
            <p className="secondary">Scan this with an authenticator app, or type the key into it:</p>
            <code data-testid="totp-secret">{enrolment.totp.secret}</code>
          </div>
        </div>
        <Field label="Code that the app shows now" problem={reason("code")}>
          {(attributes) => <CodeInput {...attributes} value={code} onValue={setCode} />}
        </Field>
        <ProblemNote error={error} />
        <Button type="submit" {...(enrolment.passkey ? {} : { look: "primary" as const })} busy={busy}>
          Finish and sign in
        </Button>
      </form>
    </section>
  );
}
