import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useState } from "react";
import { send } from "../contract/call";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { saveExport, sizeText } from "../evidence/save";
import { EvidenceService, ExportState } from "../generated/rtcc/video/v1/evidence_pb";
import { go } from "../shell/router";
import { notifyProblem } from "../ui/notices";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";

/** Orders a copy of each camera's recording between the marks, shows how far they are, and hands them out. */
export function ExportDialog(props: { cameraIds: string[]; name(id: string): string; fromMs: number; untilMs: number; sound: boolean; onClose(): void }) {
  const [reason, setReason] = useState("");
  const [withSound, setWithSound] = useState(false);
  const [made, setMade] = useState<string[]>([]);
  const listed = useRead(EvidenceService.method.listExports, {}, { enabled: made.length > 0, everyMs: 1500 });
  const mine = (listed.data?.exports ?? []).filter(({ exportId }) => made.includes(exportId));
  const order = useAct(
    () => Promise.all(props.cameraIds.map((cameraId) => send(EvidenceService.method.createExport, { cameraId, startsAt: timestampFromMs(props.fromMs), endsAt: timestampFromMs(props.untilMs), reason: reason.trim(), withSound }, { what: "Export of a recording" }))),
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
      {!made.length && props.sound && (
        <label className="row">
          <input type="checkbox" name="with-sound" checked={withSound} onChange={(event) => setWithSound(event.target.checked)} />
          With the recorded sound
        </label>
      )}
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
