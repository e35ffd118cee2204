/** A refused request: the gateway's `application/problem+json`, docs/integrators/http.md. */
export interface Violation {
  field: string;
  reason: string;
}

export class ProblemError extends Error {
  constructor(
    /** After "urn:rtcc:problem:": "purpose-required". */
    readonly kind: string,
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly violations: readonly Violation[],
    readonly help: string,
    readonly retryAfterSeconds: number,
  ) {
    super(detail || title);
  }

  reasonFor(field: string): string | undefined {
    return this.violations.find((violation) => violation.field === field || violation.field.endsWith(`.${field}`))?.reason;
  }
}

export async function problemFrom(answer: Response): Promise<ProblemError> {
  let body: Record<string, unknown> = {};
  try {
    body = (await answer.json()) as Record<string, unknown>;
  } catch {
    // Not JSON: a proxy in between answered. The status alone says what is known.
  }
  const text = (name: string) => (typeof body[name] === "string" ? (body[name] as string) : "");
  const kind = text("type").replace("urn:rtcc:problem:", "") || (answer.status === 401 ? "unauthenticated" : "internal");
  return new ProblemError(
    kind,
    answer.status,
    text("title") || `The server answered ${answer.status}`,
    text("detail"),
    Array.isArray(body.violations) ? (body.violations as Violation[]) : [],
    text("help"),
    Number(body.retry_after_s ?? answer.headers.get("Retry-After") ?? 0),
  );
}

/** What to show a person for anything that was thrown. */
export function explain(error: unknown): string {
  if (error instanceof ProblemError) return [error.detail || error.title, error.help].filter(Boolean).join(" ");
  if (error instanceof TypeError) return "The server can't be reached. Check the connection and try again.";
  return error instanceof Error ? error.message : String(error);
}
