import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useEffect, useState } from "react";
import { send } from "../contract/call";
import { FootageService, type ListFootageResponse } from "../generated/rtcc/video/v1/footage_pb";
import { Button, ProblemNote } from "../ui/parts";
import { Deck, type Recorded } from "./deck";
import { holesOf, stretchesOf } from "./timeline";

export interface StageProps {
  cameraIds: string[];
  name(id: string): string;
  fromMs: number;
  untilMs: number;
  /** Where it begins; else at the first picture. */
  atMs?: number | undefined;
  /** Plays by itself, and tells of its end: one of several in order. */
  onEnd?: (() => void) | undefined;
  onRemove?: ((id: string) => void) | undefined;
}

/** Reads what is recorded in the window, then shows it. */
export function Stage(props: StageProps) {
  const { cameraIds, fromMs, untilMs } = props;
  const [recorded, setRecorded] = useState<ReadonlyMap<string, Recorded>>();
  const [problem, setProblem] = useState<unknown>();
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    setProblem(undefined);
    const stop = new AbortController();
    const window = { startsAt: timestampFromMs(fromMs), endsAt: timestampFromMs(untilMs) };
    Promise.all(cameraIds.map((cameraId) => send(FootageService.method.listFootage, { cameraId, ...window }, { signal: stop.signal, what: "Recordings" })))
      .then((answers) => setRecorded(new Map(answers.map((answer, index) => [cameraIds[index] as string, read(answer)]))))
      .catch((error: unknown) => stop.signal.aborted || setProblem(error));
    return () => stop.abort();
  }, [attempt]);
  if (problem)
    return (
      <div className="stack">
        <ProblemNote error={problem} />
        <div>
          <Button onClick={() => setAttempt(attempt + 1)}>Try again</Button>
        </div>
      </div>
    );
  if (!recorded) return <p className="empty card">Reading what is recorded…</p>;
  return <Deck {...props} recorded={recorded} />;
}

const read = (answer: ListFootageResponse): Recorded => ({ stretches: stretchesOf(answer.segments), holes: holesOf(answer.gaps), codecs: new Map(answer.inits.map((one) => [one.initId, one.codec])) });
