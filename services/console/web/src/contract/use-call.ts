import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { useMutation, useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { send } from "./call";
import type { CallOptions } from "./exchange";

interface ReadOptions extends CallOptions {
  enabled?: boolean;
  /** Reads again while the page shows it. */
  everyMs?: number;
}

/** A read of the contracts as a query; its key is the method and the input. */
export function useRead<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>, input: MessageInitShape<I>, options: ReadOptions = {}): UseQueryResult<MessageShape<O>> {
  const { enabled = true, everyMs, ...call } = options;
  return useQuery<MessageShape<O>>({
    queryKey: [method.parent.typeName, method.name, JSON.stringify(input, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value))],
    queryFn: ({ signal }) => send(method, input, { ...call, signal }),
    enabled,
    ...(everyMs ? { refetchInterval: everyMs } : {}),
  });
}

/** Something that changes the server; afterwards everything read from the same service is read again. */
export function useAct<T, R>(action: (input: T) => Promise<R>, after?: (result: R) => void) {
  const queries = useQueryClient();
  return useMutation<R, unknown, T>({
    mutationFn: action,
    onSuccess: (result) => {
      void queries.invalidateQueries();
      after?.(result);
    },
  });
}
