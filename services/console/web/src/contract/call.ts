/**
 * Calls over HTTPS, each built from its contract: route, verb, purpose and privilege stand in the option `rtcc.contract.v1.call`
 * of the method, so no address is typed by hand and none can differ from the server's.
 */
import {
  create,
  fromJson,
  getOption,
  toJson,
  type DescMessage,
  type DescMethodUnary,
  type JsonObject,
  type JsonValue,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { call as contractOption } from "../generated/rtcc/contract/v1/contract_pb";
import { ProblemError, problemFrom } from "./problem";

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
  /** Shown in the purpose dialog: "Search for plate ABC-123". */
  what?: string;
}

interface PreparedRequest {
  verb: string;
  path: string;
  body?: string;
  contentType?: string;
}

const PAUSES_BEFORE_REPEAT_MS = [400, 1200, 3000];

/** Sends one call of the contracts. Throws ProblemError, DeclinedError, or TypeError when nothing answers. */
export async function send<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  input: MessageInitShape<I>,
  options: CallOptions = {},
): Promise<MessageShape<O>> {
  const contract = getOption(method, contractOption);
  const request = prepare(contract.http, toJson(method.input, create(method.input, input), { useProtoFieldName: true }) as JsonObject);
  const answer = await exchange(request, { ...options, withPurpose: options.withPurpose || contract.purposeRequired });
  return fromJson(method.output, (await answer.json()) as JsonValue, { ignoreUnknownFields: true });
}

/** The address of a call that answers bytes, for images. */
export async function sendForBytes<I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  input: MessageInitShape<I>,
  options: CallOptions = {},
): Promise<Blob> {
  const contract = getOption(method, contractOption);
  const request = prepare(contract.http, toJson(method.input, create(method.input, input), { useProtoFieldName: true }) as JsonObject);
  return (await exchange(request, options)).blob();
}

/** Any request to this origin with the guards, headers and repeats that every call has. */
export async function exchange(request: PreparedRequest, options: CallOptions = {}): Promise<Response> {
  const changes = request.verb !== "GET";
  const idempotencyKey = changes ? crypto.randomUUID() : "";
  let purpose = options.withPurpose && guards ? await guards.purpose(options.what ?? "", false) : undefined;
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

/** Splits a request message over path, query and body as the gateway joins it again. */
export function prepare(http: string, request: JsonObject): PreparedRequest {
  const [verb = "GET", template = "/"] = http.split(" ", 2);
  const path = template.replace(/\{([^}]+)\}/g, (_, field: string) => encodeURIComponent(take(request, field.split("."))));
  if (verb === "GET" || verb === "DELETE") {
    const query = new URLSearchParams(flatten(request));
    const text = query.toString();
    return { verb, path: text ? `${path}?${text}` : path };
  }
  return { verb, path, body: JSON.stringify(request), contentType: "application/json" };
}

function take(holder: JsonObject, path: readonly string[]): string {
  const [head = "", ...rest] = path;
  const value = holder[head];
  if (rest.length && value && typeof value === "object" && !Array.isArray(value)) return take(value, rest);
  delete holder[head];
  if (value === undefined || value === "") throw new ProblemError("invalid-input", 422, `The field ${head} is empty`, "", [], "", 0);
  return String(value);
}

function flatten(value: JsonObject, prefix = ""): [string, string][] {
  return Object.entries(value).flatMap(([name, item]): [string, string][] => {
    if (item === null) return [];
    if (Array.isArray(item)) return item.map((one) => [prefix + name, String(one)]);
    if (typeof item === "object") return flatten(item, `${prefix}${name}.`);
    return [[prefix + name, String(item)]];
  });
}
