/** The purpose and case number that stand at this desk, and the questions that calls put to the person. */
import { create } from "zustand";
import { DeclinedError, type Purpose } from "../contract/exchange";

/** A standing purpose is asked for again after this time. */
export const PURPOSE_STANDS_MS = 60 * 60 * 1000;

interface Question<T> {
  what: string;
  answer(value: T): void;
  decline(): void;
}

interface PurposeState {
  standing: (Purpose & { sinceMs: number }) | undefined;
  purposeQuestion: Question<Purpose> | undefined;
  reauthenticationQuestion: Question<void> | undefined;
  clear(): void;
}

export const usePurpose = create<PurposeState>()((set) => ({
  standing: undefined,
  purposeQuestion: undefined,
  reauthenticationQuestion: undefined,
  clear: () => set({ standing: undefined }),
}));

let pendingPurpose: Promise<Purpose> | undefined;
let pendingReauthentication: Promise<void> | undefined;

/** The standing purpose, or what the person enters now. Calls that ask at the same time share one dialog. */
export function obtainPurpose(what: string, renew: boolean): Promise<Purpose> {
  const { standing } = usePurpose.getState();
  if (standing && !renew && Date.now() - standing.sinceMs < PURPOSE_STANDS_MS) return Promise.resolve(standing);
  pendingPurpose ??= new Promise<Purpose>((resolve, reject) => {
    usePurpose.setState({
      purposeQuestion: {
        what,
        answer: (given) => {
          usePurpose.setState({ standing: { ...given, sinceMs: Date.now() }, purposeQuestion: undefined });
          resolve(given);
        },
        decline: () => {
          usePurpose.setState({ purposeQuestion: undefined });
          reject(new DeclinedError("a purpose"));
        },
      },
    });
  }).finally(() => (pendingPurpose = undefined));
  return pendingPurpose;
}

/** Sign-in once more before a privileged act (R4). */
export function obtainReauthentication(): Promise<void> {
  pendingReauthentication ??= new Promise<void>((resolve, reject) => {
    usePurpose.setState({
      reauthenticationQuestion: {
        what: "",
        answer: () => {
          usePurpose.setState({ reauthenticationQuestion: undefined });
          resolve();
        },
        decline: () => {
          usePurpose.setState({ reauthenticationQuestion: undefined });
          reject(new DeclinedError("the second factor"));
        },
      },
    });
  }).finally(() => (pendingReauthentication = undefined));
  return pendingReauthentication;
}
