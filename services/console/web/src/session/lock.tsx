import { useEffect } from "react";
import { Button } from "../ui/parts";
import { signOut } from "./auth";
import { FactorForm } from "./factors";
import { useSession } from "./store";

/** Nothing of the work is on the page, nor in memory, while it shows (R3). */
export function LockScreen() {
  const session = useSession((state) => state.session);
  useEffect(() => {
    document.title = "Locked – OpenRTCC";
  }, []);
  if (!session) return null;
  return (
    <main className="door" data-testid="lock-screen">
      <div className="card stack">
        <h1>Locked</h1>
        <p className="secondary">
          {session.person.display_name}, {session.person.agency_name}. Nobody was active here, so the picture is hidden.
        </p>
        <FactorForm factors={session.reauthenticate} action="Unlock" onProof={(fresh) => useSession.getState().accept(fresh)} />
        <Button
          look="quiet"
          onClick={() => {
            void signOut().finally(() => useSession.getState().load());
          }}
        >
          Sign out
        </Button>
      </div>
    </main>
  );
}
