import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useState } from "react";
import { send } from "../contract/call";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IncidentsService } from "../generated/rtcc/incidents/v1/incidents_pb";
import { saveExport, sizeText } from "../evidence/save";
import { EvidenceService, ExportState } from "../generated/rtcc/video/v1/evidence_pb";
import { go } from "../shell/router";
import { notify, notifyProblem } from "../ui/notices";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";

/** A stretch of a camera's recording with a note, in the timeline of an incident. */
export function Bookmark(props: { cameraId: string; cameraName: string; fromMs: number; untilMs: number; onClose(): void }) {
  const incidents = useRead(IncidentsService.method.listIncidents, {});
  const [incidentId, setIncidentId] = useState("");
  const [text, setText] = useState("");
  const add = useAct(
    () =>
      send(IncidentsService.method.addTimelineEntry, {
        incidentId,
        text: text.trim(),
        occurredAt: timestampFromMs(props.fromMs),
        reference: { case: "clip", value: { cameraId: props.cameraId, cameraName: props.cameraName, from: timestampFromMs(props.fromMs), until: timestampFromMs(Math.max(props.untilMs, props.fromMs + 1000)) } },
      }),
    () => {
      notify("Bookmarked in the incident.");
      props.onClose();
    },
  );
  return (
    <Dialog
      title="Bookmark"
      testId="bookmark-dialog"
      onClose={props.onClose}
      onSubmit={() => add.mutate()}
      foot={
        <Button type="submit" look="primary" busy={add.isPending} disabled={!incidentId}>
          Add to the incident
        </Button>
      }
    >
      <p className="secondary">
        {props.cameraName}, {dayAndTime(timestampFromMs(props.fromMs))}
      </p>
      <Field label="Incident">
        {(attributes) => (
          <select {...attributes} name="incident" required value={incidentId} onChange={(event) => setIncidentId(event.target.value)}>
            <option value="">Choose…</option>
            {(incidents.data?.incidents ?? []).map((one) => (
              <option key={one.incidentId} value={one.incidentId}>
                {one.number} {one.title || one.kind}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Note">{(attributes) => <textarea {...attributes} name="note" required maxLength={2000} value={text} onChange={(event) => setText(event.target.value)} />}</Field>
      <ProblemNote error={add.error} />
    </Dialog>
  );
}

/** Orders a copy of each camera's recording between the marks, shows how far they are, and hands them out. */
export function ExportDialog(props: { cameraIds: string[]; name(id: string): string; fromMs: number; untilMs: number; onClose(): void }) {
  const [reason, setReason] = useState("");
  const [made, setMade] = useState<string[]>([]);
  const listed = useRead(EvidenceService.method.listExports, {}, { enabled: made.length > 0, everyMs: 1500 });
  const mine = (listed.data?.exports ?? []).filter(({ exportId }) => made.includes(exportId));
  const order = useAct(
    () => Promise.all(props.cameraIds.map((cameraId) => send(EvidenceService.method.createExport, { cameraId, startsAt: timestampFromMs(props.fromMs), endsAt: timestampFromMs(props.untilMs), reason: reason.trim() }, { what: "Export of a recording" }))),
    (answers) => setMade(answers.flatMap((answer) => answer.export?.exportId ?? [])),
  );
  return (
    <Dialog
      title="Export"
      testId="export-dialog"
      onClose={props.onClose}
      onSubmit={() => order.mutate()}
      foot={
        made.length ? (
          <>
            <Button onClick={() => go("/exports")}>All exports</Button>
            <Button onClick={props.onClose}>Close</Button>
          </>
        ) : (
          <Button type="submit" look="primary" busy={order.isPending}>
            Make the export
          </Button>
        )
      }
    >
      <p className="secondary">
        {props.cameraIds.map(props.name).join(", ")}: {dayAndTime(timestampFromMs(props.fromMs))} to {dayAndTime(timestampFromMs(props.untilMs))}. Each camera is an archive of its own, with the recorded segments, their hashes, a signature, and a program that checks it.
      </p>
      {!made.length && <Field label="Reason">{(attributes) => <input {...attributes} name="reason" required maxLength={300} autoFocus autoComplete="off" value={reason} onChange={(event) => setReason(event.target.value)} />}</Field>}
      {mine.map((one) => (
        <div className="row" key={one.exportId} data-testid="export-row" data-state={ExportState[one.state]}>
          <span className="ellipsis">{props.name(one.cameraId)}</span>
          <span className="grow" />
          {one.state === ExportState.READY ? (
            <Button size="small" onClick={() => saveExport(one.exportId).catch(notifyProblem)}>
              Save {sizeText(Number(one.bytes))}
            </Button>
          ) : one.state === ExportState.FAILED ? (
            <span className="problem">{one.problem}</span>
          ) : (
            <progress max={100} value={one.progressPercent} aria-label={`Export of ${props.name(one.cameraId)}`} />
          )}
          {one.sha256 && <code className="digest">SHA-256 {one.sha256}</code>}
        </div>
      ))}
      <ProblemNote error={order.error} />
    </Dialog>
  );
}
