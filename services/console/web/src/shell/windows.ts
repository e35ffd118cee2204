/**
 * The windows of one desk choose together: what is chosen in one is chosen in all, so that the list on one screen leads the map on the other.
 * Nothing but ids crosses, between windows of this origin and of the same session; each window reads what it may show from its own picture.
 */
export type Choice = { kind: "alert"; alertId: string | undefined; open: boolean } | { kind: "incident"; incidentId: string } | { kind: "track"; trackId: string };

interface Told {
  sessionId: string;
  choice: Choice;
}

const CHANNEL = "rtcc-desk";
let channel: BroadcastChannel | undefined;
let sessionId = "";

/** Hears the other windows until the returned function is called. A window that doesn't support it stands alone. */
export function joinWindows(session: string, take: (choice: Choice) => void): () => void {
  if (typeof BroadcastChannel === "undefined") return () => undefined;
  const joined = new BroadcastChannel(CHANNEL);
  channel = joined;
  sessionId = session;
  joined.onmessage = (event: MessageEvent<Told>) => {
    const choice = choiceOf(event.data, session);
    if (choice) take(choice);
  };
  return () => {
    joined.close();
    if (channel === joined) channel = undefined;
  };
}

export function tellWindows(choice: Choice): void {
  channel?.postMessage({ sessionId, choice } satisfies Told);
}

/** What was told, when it came from the same person's session and is understood; else undefined. */
export function choiceOf(told: unknown, session: string): Choice | undefined {
  if (typeof told !== "object" || told === null) return undefined;
  const { sessionId: from, choice } = told as Partial<Told>;
  if (!session || from !== session || typeof choice !== "object" || choice === null) return undefined;
  switch (choice.kind) {
    case "alert":
      return choice.alertId === undefined || typeof choice.alertId === "string" ? { kind: "alert", alertId: choice.alertId, open: choice.open === true } : undefined;
    case "incident":
      return typeof choice.incidentId === "string" ? { kind: "incident", incidentId: choice.incidentId } : undefined;
    case "track":
      return typeof choice.trackId === "string" ? { kind: "track", trackId: choice.trackId } : undefined;
    default:
      return undefined;
  }
}
