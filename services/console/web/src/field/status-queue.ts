/**
 * What an officer pressed counts from the moment of pressing, also where there is no network: it waits in this page, in order, and is sent with its
 * own time. Kept in memory only, so a phone that is lost or switched off tells nothing.
 */
import { create } from "zustand";
import type { UnitStatus } from "../generated/rtcc/incidents/v1/incidents_pb";

export interface PressedStatus {
  incidentId: string;
  unitId: string;
  callSign: string;
  status: UnitStatus;
  pressedAtMs: number;
}

interface Queue {
  waiting: readonly PressedStatus[];
  sending: boolean;
}

export const TRY_AGAIN_AFTER_MS = 4_000;
export const useStatusQueue = create<Queue>()(() => ({ waiting: [], sending: false }));

/** Sends what waits, oldest first. What can't be reached waits on; what is refused leaves the queue and is reported. */
export async function drain(deliver: (pressed: PressedStatus) => Promise<void>, refused: (pressed: PressedStatus, error: unknown) => void): Promise<void> {
  if (useStatusQueue.getState().sending) return;
  useStatusQueue.setState({ sending: true });
  try {
    for (let next = useStatusQueue.getState().waiting[0]; next; next = useStatusQueue.getState().waiting[0]) {
      try {
        await deliver(next);
      } catch (error) {
        // fetch rejects with a TypeError when nothing answers
        if (error instanceof TypeError) return;
        refused(next, error);
      }
      useStatusQueue.setState(({ waiting }) => ({ waiting: waiting.slice(1) }));
    }
  } finally {
    useStatusQueue.setState({ sending: false });
  }
}

export function press(pressed: PressedStatus): void {
  useStatusQueue.setState(({ waiting }) => ({ waiting: [...waiting, pressed] }));
}

/** What the unit's status will be once everything that waits has arrived. */
export function pressedStatus(waiting: readonly PressedStatus[], incidentId: string, unitId: string, stored: UnitStatus): UnitStatus {
  return waiting.reduce((status, one) => (one.incidentId === incidentId && one.unitId === unitId && one.status > status ? one.status : status), stored);
}
