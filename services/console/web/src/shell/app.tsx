import { useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useEffect } from "react";
import { setCallGuards } from "../contract/call";
import { startLive, stopLive } from "../live/store";
import { PurposeDialog, ReauthenticationDialog } from "../purpose/dialogs";
import { obtainPurpose, obtainReauthentication, usePurpose } from "../purpose/store";
import { LockScreen } from "../session/lock";
import { useIdleLock } from "../session/idle";
import { useSession } from "../session/store";
import { Button, Loading } from "../ui/parts";
import { Frame } from "./frame";
import { go, usePath } from "./router";

const SignIn = lazy(() => import("../session/sign-in"));
const Enrol = lazy(() => import("../session/enrol"));
const Field = lazy(() => import("../field/field"));
const Setup = lazy(() => import("../setup/setup"));

setCallGuards({
  purpose: obtainPurpose,
  reauthenticate: obtainReauthentication,
  signedOut: () => useSession.getState().end(),
  locked: () => useSession.getState().lock(),
});

/** Roles that work in the field and have no desk. */
function homeFor(roles: readonly string[]): string {
  if (roles.length && roles.every((role) => role === "officer")) return "/field";
  if (roles.length && roles.every((role) => role === "auditor")) return "/audit";
  return "/map";
}

export function App() {
  const path = usePath();
  const phase = useSession((state) => state.phase);
  const person = useSession((state) => state.session?.person);
  const queries = useQueryClient();
  useEffect(() => void useSession.getState().load(), []);
  useIdleLock();

  useEffect(() => {
    if (phase !== "ready") {
      // Nothing of a session stays in memory behind the lock (R3).
      stopLive();
      queries.clear();
      if (phase === "signed_out") usePurpose.getState().clear();
      return;
    }
    startLive();
    return stopLive;
  }, [phase, person?.person_id, queries]);

  const atDoor = path === "/sign-in" || path === "/enrol";
  useEffect(() => {
    if (phase === "signed_out" && !atDoor) go(`/sign-in?next=${encodeURIComponent(path === "/" ? "" : path)}`, true);
    if (phase === "ready" && (path === "/" || path === "/sign-in")) {
      const next = new URLSearchParams(location.search).get("next");
      go(next?.startsWith("/") && !next.startsWith("//") ? next : homeFor(person?.roles ?? []), true);
    }
  }, [phase, path, atDoor, person]);

  return (
    <Suspense fallback={<Loading what="Loading" />}>
      <Screen path={path} />
      <PurposeDialog />
      <ReauthenticationDialog />
    </Suspense>
  );
}

function Screen({ path }: { path: string }) {
  const phase = useSession((state) => state.phase);
  if (path === "/enrol") return <Enrol />;
  switch (phase) {
    case "unknown":
      return <Loading what="Connecting" />;
    case "unreachable":
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
      if (path.startsWith("/field")) return <Field />;
      if (path === "/setup") return <Setup />;
      return <Frame path={path} />;
  }
}
