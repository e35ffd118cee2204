import { create } from "zustand";
import { readSession, type Session } from "./auth";

/** "unknown": not asked yet; "unreachable": nothing answers. */
export type SessionPhase = "unknown" | "signed_out" | "locked" | "ready" | "unreachable";

interface SessionState {
  phase: SessionPhase;
  session: Session | undefined;
  /** Server clock minus ours, ms. */
  clockSkewMs: number;
  accept(session: Session): void;
  end(): void;
  lock(): void;
  load(): Promise<void>;
}

export const useSession = create<SessionState>()((set, get) => ({
  phase: "unknown",
  session: undefined,
  clockSkewMs: 0,
  accept: (session) =>
    set({ session, phase: session.locked ? "locked" : "ready", clockSkewMs: Date.parse(session.server_time) - Date.now() }),
  end: () => set({ session: undefined, phase: "signed_out" }),
  lock: () => {
    if (get().session) set({ phase: "locked" });
  },
  load: async () => {
    try {
      const answer = await readSession();
      if (answer.signed_in) get().accept(answer);
      else get().end();
    } catch {
      set({ phase: "unreachable" });
    }
  },
}));

/** Whether the roles allow an action of the contracts on the own agency's objects. The server decides each call again. */
export function useRight(action: string): boolean {
  return useSession((state) => state.session?.rights.includes(action) ?? false);
}

export function useOwnAgency(): string {
  return useSession((state) => state.session?.person.agency_id ?? "");
}
