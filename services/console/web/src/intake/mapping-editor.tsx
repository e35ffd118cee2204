import type { JsonObject } from "@bufbuild/protobuf";
import { useEffect, useState } from "react";
import { send } from "../contract/call";
import { clockTime, dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IntakeService, type TriedDelivery, type TryMappingResponse } from "../generated/rtcc/intake/v1/intake_pb";
import type { Source } from "../generated/rtcc/registry/v1/registry_pb";
import { useRight } from "../session/store";
import { notify, notifyProblem } from "../ui/notices";
import { Read } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";

const RECORDED = 20;
/** What a new source begins with: names as in docs/integrators/webhooks.md, an alarm of the plainest kind. */
const FIRST: JsonObject = {
  event: "alarm",
  fields: {
    alarm_id: "/id",
    type: { path: "/type", map: { BA: "burglary", FA: "fire" }, otherwise: "other" },
    state: { constant: "active" },
    raised_at: "/time",
    lat: "/lat",
    lon: "/lon",
  },
};

/** How a source's own JSON is read: declared, tried on what it really sent, then taken. */
export function MappingEditor({ source, onClose }: { source: Source; onClose(): void }) {
  const query = useRead(IntakeService.method.getSourceMapping, { sourceId: source.sourceId }, { everyMs: 3_000 });
  return (
    <Dialog title={`Mapping of ${source.name}`} wide onClose={onClose} testId="mapping-editor">
      <Read query={query}>
        {(data) => (
          <>
            <Bench sourceId={source.sourceId} recorded={data.recorded} recording={data.recording} stored={data.mapping?.mapping} />
            {data.mapping && (
              <p className="muted">
                Revision {data.mapping.revision}, {dayAndTime(data.mapping.changedAt)}
              </p>
            )}
          </>
        )}
      </Read>
    </Dialog>
  );
}

/** The JSON, or why it is none. */
function parsed(text: string): { value: JsonObject } | { problem: string } {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return { problem: "A mapping is an object: { \"event\": …, \"fields\": … }" };
    return { value: value as JsonObject };
  } catch (error) {
    return { problem: `This is no JSON yet: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function Bench({ sourceId, recorded, recording, stored }: { sourceId: string; recorded: number; recording: number; stored: JsonObject | undefined }) {
  const maySet = useRight("source.set_mapping");
  const mayRecord = useRight("source.record");
  const mayTry = useRight("source.try_mapping");
  const [text, setText] = useState(() => JSON.stringify(stored ?? FIRST, null, 2));
  const [problem, setProblem] = useState("");
  const attempt = useAct((mapping: JsonObject) => send(IntakeService.method.tryMapping, { sourceId, mapping }));
  const save = useAct((mapping: JsonObject) => send(IntakeService.method.setSourceMapping, { sourceId, mapping }), (answer) => notify(`Taken as revision ${answer.mapping?.revision ?? ""}. What waits in the quarantine can be replayed.`));
  const record = useAct(() => send(IntakeService.method.startRecording, { sourceId, count: RECORDED }));
  const withMapping = (use: (mapping: JsonObject) => void) => {
    const found = parsed(text);
    setProblem("problem" in found ? found.problem : "");
    if ("value" in found) use(found.value);
  };
  useEffect(() => setProblem(""), [text]);
  return (
    <div className="stack">
      <Field label="Mapping" hint="Each field of the event: a path into the delivery, a constant, a translation. docs/integrators/add-a-source.md">
        {(attributes) => <textarea {...attributes} className="input mono mapping-text" name="mapping" spellCheck={false} rows={14} readOnly={!maySet} value={text} onChange={(event) => setText(event.target.value)} />}
      </Field>
      {problem && (
        <p className="note" data-tone="bad" role="alert">
          {problem}
        </p>
      )}
      <ProblemNote error={save.error ?? attempt.error} />
      <div className="row">
        {mayRecord && (
          <Button onClick={() => record.mutate(undefined, { onError: notifyProblem })} busy={record.isPending} data-testid="record-deliveries">
            Keep the next {RECORDED} deliveries
          </Button>
        )}
        <span className="secondary" role="status" data-testid="recorded" data-recorded={recorded}>
          {recorded} kept{recording > 0 && `, waiting for ${recording} more`}
        </span>
        <span className="grow" />
        {mayTry && (
          <Button busy={attempt.isPending} disabled={!recorded} onClick={() => withMapping((mapping) => attempt.mutate(mapping))} data-testid="try-mapping">
            Try on what was kept
          </Button>
        )}
        {maySet && (
          <Button look="primary" busy={save.isPending} onClick={() => withMapping((mapping) => save.mutate(mapping))} data-testid="save-mapping">
            Take this mapping
          </Button>
        )}
      </div>
      {attempt.data && <Tried result={attempt.data} />}
    </div>
  );
}

/** What each kept delivery becomes, beside what the mapping in use makes of it. */
function Tried({ result }: { result: TryMappingResponse }) {
  return (
    <section className="stack" data-testid="tried" data-understood={result.understoodAfter} aria-label="Tried">
      <p role="status">
        <strong>
          Understands {result.understoodAfter} of {result.deliveries.length}
        </strong>
        , the mapping in use {result.understoodBefore}; {result.changed} become something else.
      </p>
      <ul className="stack tight">
        {result.deliveries.map((one) => (
          <Delivery key={one.deliveryId} one={one} />
        ))}
      </ul>
    </section>
  );
}

function Delivery({ one }: { one: TriedDelivery }) {
  return (
    <li className="card stack tight" data-understood={one.after !== undefined}>
      <div className="spread">
        <span className="mono">
          {clockTime(one.receivedAt)} {one.deliveryId}
        </span>
        <span className="badge" data-tone={one.after ? undefined : "act"}>
          {one.after ? one.after.kind.replaceAll("_", " ") : "not understood"}
        </span>
      </div>
      {one.afterProblem && <p className="problem">{one.afterProblem}</p>}
      {one.changes.length > 0 && (
        <table className="changes">
          <tbody>
            {one.changes.map((change) => (
              <tr key={change.field}>
                <th scope="row">
                  <code>{change.field}</code>
                </th>
                <td>{change.before ? <del>{change.before}</del> : <span className="muted">nothing</span>}</td>
                <td>{change.after || <span className="muted">nothing</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </li>
  );
}
