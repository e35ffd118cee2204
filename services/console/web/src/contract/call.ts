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
import { exchange, type CallOptions, type PreparedRequest } from "./exchange";
import { ProblemError } from "./problem";

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
