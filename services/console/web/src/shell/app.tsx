import { lazy, Suspense, useEffect } from "react";
import { setCallGuards } from "../contract/exchange";
import { obtainPurpose, obtainReauthentication, usePurpose } from "../purpose/store";
import { LockScreen } from "../session/lock";
import { useSession } from "../session/store";
import { Button, Loading } from "../ui/parts";
import { Boundary } from "./boundary";
import "./desk";
import { go, usePath } from "./router";

const SignIn = lazy(() => import("../session/sign-in"));
const OfflineField = lazy(() => import("../field/offline"));
const Enrol = lazy(() => import("../session/enrol"));
/** Everything behind the door is one step away, so that the door itself opens fast. */
const SignedIn = lazy(() => import("./signed-in"));

setCallGuards({
  purpose: obtainPurpose,
  reauthenticate: obtainReauthentication,
  signedOut: () => useSession.getState().end(),
  locked: () => useSession.getState().lock(),
});

/** Roles that work in the field, or on the log alone, have no desk. */
function homeFor(roles: readonly string[]): string {
  if (roles.length && roles.every((role) => role === "officer")) return "/field";
  if (roles.length && roles.every((role) => role === "auditor")) return "/audit";
  return "/map";
}

export function App() {
  const path = usePath();
  const phase = useSession((state) => state.phase);
  const person = useSession((state) => state.session?.person);
  useEffect(() => void useSession.getState().load(), []);

  const atDoor = path === "/sign-in" || path === "/enrol";
  useEffect(() => {
    if (phase === "signed_out") usePurpose.getState().clear();
    if (phase === "signed_out" && !atDoor) go(`/sign-in?next=${encodeURIComponent(path === "/" ? "" : path)}`, true);
    if (phase === "ready" && (path === "/" || path === "/sign-in")) {
      const next = new URLSearchParams(location.search).get("next");
      go(next?.startsWith("/") && !next.startsWith("//") ? next : homeFor(person?.roles ?? []), true);
    }
  }, [phase, path, atDoor, person]);

  return (
    <Boundary path={path}>
      <Suspense fallback={<Loading what="Loading" />}>
        <Screen path={path} />
      </Suspense>
    </Boundary>
  );
}

function Screen({ path }: { path: string }) {
  const phase = useSession((state) => state.phase);
  if (path === "/enrol") return <Enrol />;
  switch (phase) {
    case "unknown":
      return <Loading what="Connecting" />;
    case "unreachable":
      if (path.startsWith("/field")) return <OfflineField />;
      return (
        <main className="door">
          <div className="card stack">
            <h1>No answer from the server</h1>
            <p className="secondary">This page is loaded, but OpenRTCC does not answer. It may be starting, or the network is down.</p>
            <Button look="primary" onClick={() => void useSession.getState().load()}>
              Try again
            </Button>
          </div>
        </main>
      );
    case "signed_out":
      return <SignIn />;
    case "locked":
      return <LockScreen />;
    case "ready":
      return <SignedIn path={path} />;
  }
}
