import { useEffect, useState } from "react";
import { ProblemError } from "../contract/problem";
import { useDesk } from "../shell/desk";
import { Button, Field, Loading, ProblemNote } from "../ui/parts";
import { readWelcome, signInWithCode, signInWithPassword, usePasskey, type Banner, type Challenge, type FactorKind, type Session, type Welcome } from "./auth";
import { CodeInput } from "./factors";
import { useSession } from "./store";

const RETURN_PROBLEMS: Record<string, string> = {
  "sign-in-failed": "Your organisation's sign-in failed, or it knows nobody here by your name.",
  refused: "Your account may not sign in.",
  unavailable: "Your organisation's sign-in does not answer. Use another way, or try later.",
};

/** Banner first (R6), then password, then the second factor (R1); or a passkey, which is both. */
export default function SignIn() {
  const [welcome, setWelcome] = useState<Welcome>();
  const [agreed, setAgreed] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    document.title = "Sign in – OpenRTCC";
    readWelcome().then(setWelcome, setError);
  }, []);
  const query = new URLSearchParams(location.search);
  const returned = RETURN_PROBLEMS[query.get("problem") ?? ""];
  const pending = query.get("challenge_id");
  const [challenge, setChallenge] = useState<Challenge | undefined>(() =>
    pending ? { challenge_id: pending, methods: (query.get("methods") ?? "totp").split(",") as FactorKind[], expires_in_s: 300 } : undefined,
  );
  const accept = (session: Session) => useSession.getState().accept(session);

  if (!welcome) return error ? <Door><ProblemNote error={error} /></Door> : <Loading what="Connecting" />;
  return (
    <Door name={welcome.installation}>
      {returned && <div className="note" data-tone="bad" role="alert">{returned}</div>}
      {challenge ? (
        <SecondFactor challenge={challenge} onProof={accept} onRestart={() => setChallenge(undefined)} />
      ) : !agreed ? (
        <UseBanner banner={welcome.banner} onAgree={() => setAgreed(true)} />
      ) : (
        <FirstFactor
          welcome={welcome}
          onChallenge={setChallenge}
          onProof={accept}
          onBannerChanged={() => {
            setAgreed(false);
            readWelcome().then(setWelcome, setError);
          }}
        />
      )}
    </Door>
  );
}

export function Door({ name = "OpenRTCC", children }: { name?: string; children: React.ReactNode }) {
  const theme = useDesk((state) => state.theme);
  const setTheme = useDesk((state) => state.setTheme);
  return (
    <main className="door">
      <div className="door-mark">
        <img src="/icon.svg" alt="" width="40" height="40" />
        <div>
          <strong>{name}</strong>
          <span>Real-time crime center</span>
        </div>
      </div>
      <div className="card stack">{children}</div>
      <Button look="quiet" size="small" onClick={() => setTheme(theme === "dark" ? "day" : "dark")}>
        {theme === "dark" ? "Day theme" : "Dark theme"}
      </Button>
    </main>
  );
}

export function UseBanner({ banner, onAgree }: { banner: Banner; onAgree(): void }) {
  return (
    <section className="stack" aria-label="Terms of use" data-testid="use-banner">
      <h1>{banner.title}</h1>
      {banner.text.split(/\n\s*\n/).map((paragraph) => (
        <p key={paragraph} className="secondary">
          {paragraph}
        </p>
      ))}
      <Button look="primary" autoFocus onClick={onAgree} data-testid="banner-agree">
        I understand and agree
      </Button>
    </section>
  );
}

function FirstFactor(props: { welcome: Welcome; onChallenge(challenge: Challenge): void; onProof(session: Session): void; onBannerChanged(): void }) {
  const { banner, methods } = props.welcome;
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const run = async (work: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
    } catch (problem) {
      if (problem instanceof ProblemError && problem.kind === "banner-required") props.onBannerChanged();
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section className="stack">
      <h1>Sign in</h1>
      {methods.password && (
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void run(async () => props.onChallenge(await signInWithPassword(login.trim().toLowerCase(), password, banner.version)));
          }}
        >
          <Field label="Login">{(attributes) => <input {...attributes} name="login" autoComplete="username" autoCapitalize="none" spellCheck={false} autoFocus required value={login} onChange={(event) => setLogin(event.target.value)} />}</Field>
          <Field label="Password">{(attributes) => <input {...attributes} name="password" type="password" autoComplete="current-password" required value={password} onChange={(event) => setPassword(event.target.value)} />}</Field>
          <Button type="submit" look="primary" busy={busy}>
            Continue
          </Button>
        </form>
      )}
      {(methods.passkey || methods.oidc) && <div className="divider">or</div>}
      {methods.passkey && (
        <Button disabled={busy} onClick={() => void run(async () => props.onProof(await usePasskey({ banner_version: banner.version })))}>
          Sign in with a passkey
        </Button>
      )}
      {methods.oidc && (
        <a className="button" href={`/auth/oidc/start?banner_version=${encodeURIComponent(banner.version)}&next=/map`}>
          {methods.oidc.name}
        </a>
      )}
      <ProblemNote error={error} />
      <p className="muted">New here? Open the enrolment link that your administrator gave you.</p>
    </section>
  );
}

function SecondFactor(props: { challenge: Challenge; onProof(session: Session): void; onRestart(): void }) {
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
      setBusy(false);
    }
  };
  return (
    <section className="stack">
      <h1>Second factor</h1>
      {props.challenge.methods.includes("totp") && (
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault();
            void run(() => signInWithCode(props.challenge.challenge_id, code));
          }}
        >
          <Field label="Code of your authenticator app" hint="Six digits, new every 30 seconds">
            {(attributes) => <CodeInput {...attributes} value={code} onValue={setCode} />}
          </Field>
          <Button type="submit" look="primary" busy={busy}>
            Sign in
          </Button>
        </form>
      )}
      {props.challenge.methods.includes("passkey") && (
        <Button disabled={busy} onClick={() => void run(() => usePasskey({ challenge_id: props.challenge.challenge_id }))}>
          Use your passkey
        </Button>
      )}
      <ProblemNote error={error} />
      <Button look="quiet" onClick={props.onRestart}>
        Start again
      </Button>
    </section>
  );
}
