/** Zones in the air, read once a minute at most: they change by hand. */
import { create } from "zustand";
import { useEffect } from "react";
import { send } from "../contract/call";
import { RegistryService, type Zone } from "../generated/rtcc/registry/v1/registry_pb";
import { useRight, useSession } from "../session/store";

const READ_AGAIN_AFTER_MS = 60_000;
const none: readonly Zone[] = [];
const useZones = create<{ zones: readonly Zone[]; readAtMs: number; sessionId: string }>()(() => ({ zones: none, readAtMs: 0, sessionId: "" }));

export function useAirZones(): readonly Zone[] {
  const may = useRight("zone.list");
  const sessionId = useSession((state) => (state.phase === "ready" ? (state.session?.session_id ?? "") : ""));
  const zones = useZones((state) => (state.sessionId === sessionId ? state.zones : none));
  useEffect(() => {
    if (!may || !sessionId) return;
    const before = useZones.getState();
    if (before.sessionId === sessionId && Date.now() - before.readAtMs < READ_AGAIN_AFTER_MS) return;
    useZones.setState({ readAtMs: Date.now(), sessionId, zones: before.sessionId === sessionId ? before.zones : none });
    // A map without its zones is still a map; the list of zones itself says what failed.
    send(RegistryService.method.listZones, {}).then(
      (answer) => useZones.setState({ zones: answer.zones }),
      () => useZones.setState({ readAtMs: 0 }),
    );
  }, [may, sessionId]);
  return zones;
}

export function airZonesChanged(): void {
  useZones.setState({ readAtMs: 0 });
}
