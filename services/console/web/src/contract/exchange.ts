/** Requests to this origin with the guards, headers and repeats that every call has. */
import { problemFrom } from "./problem";

/** What the person said the call is for. Signed into the call, stands in the audit entry. */
export interface Purpose {
  purpose: string;
  caseNumber: string;
}

/** What a call may need from the person at the desk; the shell sets these once. Each rejects when the person declines. */
export interface CallGuards {
  /** `renew`: the one that stands was refused, ask again. */
  purpose(what: string, renew: boolean): Promise<Purpose>;
  reauthenticate(): Promise<void>;
  signedOut(): void;
  locked(): void;
}

export class DeclinedError extends Error {
  constructor(what: string) {
    super(`Not done: ${what} was not given.`);
  }
}

let guards: CallGuards | undefined;
export function setCallGuards(given: CallGuards): void {
  guards = given;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** Send the standing purpose although the contract does not demand it (a partner's camera does at run time). */
  withPurpose?: boolean;
  /** What the screen itself is for ("dispatch", with the incident's number): the person is not asked again. */
  purpose?: Purpose;
  /** Shown in the purpose dialog: "Search for plate ABC-123". */
  what?: string;
}

export interface PreparedRequest {
  verb: string;
  path: string;
  body?: string;
  contentType?: string;
}

const PAUSES_BEFORE_REPEAT_MS = [400, 1200, 3000];

/** Any request to this origin with the guards, headers and repeats that every call has. */
export async function exchange(request: PreparedRequest, options: CallOptions = {}): Promise<Response> {
  const changes = request.verb !== "GET";
  const idempotencyKey = changes ? crypto.randomUUID() : "";
  let purpose = options.purpose ?? (options.withPurpose && guards ? await guards.purpose(options.what ?? "", false) : undefined);
  let asked = { purpose: 0, reauthentication: 0, repeats: 0 };
  for (;;) {
    const headers: Record<string, string> = { Accept: "application/json, */*" };
    if (request.contentType) headers["Content-Type"] = request.contentType;
    if (changes) headers["Rtcc-Request"] = "1";
    if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
    if (purpose) {
      headers["Rtcc-Purpose"] = encodeURIComponent(purpose.purpose);
      headers["Rtcc-Case-Number"] = encodeURIComponent(purpose.caseNumber);
    }
    const answer = await fetch(request.path, {
      method: request.verb,
      headers,
      body: request.body ?? null,
      credentials: "same-origin",
      signal: options.signal ?? null,
    });
    if (answer.ok) return answer;
    const problem = await problemFrom(answer);
    if (problem.kind === "purpose-required" && guards && asked.purpose < 2) {
      purpose = await guards.purpose(options.what ?? "", asked.purpose > 0 || purpose !== undefined);
      asked = { ...asked, purpose: asked.purpose + 1 };
    } else if (problem.kind === "reauthentication-required" && guards && asked.reauthentication < 1) {
      await guards.reauthenticate();
      asked = { ...asked, reauthentication: 1 };
    } else if ((problem.kind === "unavailable" || problem.kind === "exhausted") && asked.repeats < PAUSES_BEFORE_REPEAT_MS.length) {
      const pause = Math.min(problem.retryAfterSeconds * 1000 || PAUSES_BEFORE_REPEAT_MS[asked.repeats] || 0, 10_000);
      await new Promise((resume) => setTimeout(resume, pause));
      asked = { ...asked, repeats: asked.repeats + 1 };
    } else {
      if (problem.kind === "unauthenticated") guards?.signedOut();
      if (problem.kind === "session-locked") guards?.locked();
      throw problem;
    }
  }
}
