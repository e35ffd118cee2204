import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useState } from "react";
import { ProblemError } from "../contract/problem";
import { followTrack } from "../air/show";
import { followAlert } from "../alerts/actions";
import { useMoment } from "../incidents/moment";
import { startLive, stopLive } from "../live/store";
import { PurposeDialog, ReauthenticationDialog } from "../purpose/dialogs";
import { useIdleLock } from "../session/idle";
import { useSession } from "../session/store";
import { dropAll } from "../video/pool";
import { Frame } from "./frame";
import { go } from "./router";
import { joinWindows } from "./windows";

const ToIncident = lazy(() => import("../incidents/to-incident").then((module) => ({ default: module.ToIncident })));
const Field = lazy(() => import("../field/field"));
const WallWindow = lazy(() => import("../wall/wall"));
const Setup = lazy(() => import("../setup/setup"));

function newQueries(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        refetchOnWindowFocus: false,
        // Calls repeat by themselves while a service is away; a refusal stays a refusal.
        retry: (failures, error) => failures < 2 && !(error instanceof ProblemError),
      },
    },
  });
}

/** Lives from sign-in to lock or sign-out; nothing of what it read outlives it (R3). */
export default function SignedIn({ path }: { path: string }) {
  const [queries] = useState(newQueries);
  useIdleLock();
  useEffect(() => {
    startLive();
    return () => {
      stopLive();
      dropAll();
      useMoment.setState({ moment: undefined });
      queries.clear();
    };
  }, [queries]);
  const moment = useMoment((state) => state.moment !== undefined);
  const sessionId = useSession((state) => state.session?.session_id ?? "");
  useEffect(
    () =>
      joinWindows(sessionId, (choice) => {
        if (choice.kind === "alert") followAlert(choice.alertId, choice.open);
        if (choice.kind === "track") followTrack(choice.trackId);
        // A window that shows incidents follows; a map or a list of something else stays what it is.
        if (choice.kind === "incident" && location.pathname.startsWith("/incident/") && !location.pathname.startsWith("/incident/tips")) go(`/incident/${encodeURIComponent(choice.incidentId)}`);
      }),
    [sessionId],
  );
  return (
    <QueryClientProvider client={queries}>
      {path.startsWith("/field") ? <Field /> : path === "/setup" ? <Setup /> : path.startsWith("/wall/") ? <WallWindow key={path} wallId={decodeURIComponent(path.slice("/wall/".length))} /> : <Frame path={path} />}
      {moment && (
        <Suspense fallback={null}>
          <ToIncident />
        </Suspense>
      )}
      <PurposeDialog />
      <ReauthenticationDialog />
    </QueryClientProvider>
  );
}
