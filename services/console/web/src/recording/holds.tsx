import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { dayAndTime, fromLocalInput } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import type { Camera } from "../generated/rtcc/registry/v1/registry_pb";
import { FootageService, type FootageHold } from "../generated/rtcc/video/v1/footage_pb";
import { spanWords } from "../retention/spans";
import { useRight } from "../session/store";
import { notify, notifyProblem } from "../ui/notices";
import { Read, Table } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { CameraPick } from "./camera-pick";
import { sizeWords } from "./words";

type Names = (cameraId: string) => string;

/** What no rule deletes while it stands; a supervisor's, for a case (R22). */
export function Holds({ cameras, names }: { cameras: readonly Camera[]; names: Names }) {
  const mayHold = useRight("recording.hold");
  const mayRelease = useRight("recording.release");
  const [released, setReleased] = useState(false);
  const [holding, setHolding] = useState(false);
  const query = useRead(FootageService.method.listRecording, { includeReleasedHolds: released });
  const release = useAct((hold: FootageHold) => send(FootageService.method.releaseFootageHold, { holdId: hold.holdId }), () => notify("Released: the rules count again for what it covered."));
  return (
    <>
      <div className="spread">
        <p className="secondary">While a hold stands, nothing that it covers is deleted. {!mayHold && "Supervisors place and release holds; who sets the rules doesn't."}</p>
        {mayHold && (
          <Button look="primary" onClick={() => setHolding(true)} data-testid="new-footage-hold">
            Place a hold
          </Button>
        )}
      </div>
      <label className="check">
        <input type="checkbox" name="released" checked={released} onChange={(event) => setReleased(event.target.checked)} />
        Show released ones too
      </label>
      <Read query={query}>
        {(data) => (
          <Table
            label="Holds on footage"
            rowTestId="footage-hold"
            rows={data.holds}
            rowKey={(hold) => hold.holdId}
            empty="No hold stands: what is due is deleted."
            columns={[
              { title: "Case", cell: (hold) => <strong>{hold.reason}</strong> },
              { title: "Camera", cell: (hold) => (hold.cameraId ? names(hold.cameraId) : "every camera") },
              { title: "Recorded", cell: (hold) => `${hold.startsAt ? dayAndTime(hold.startsAt) : "from the beginning"} to ${hold.endsAt ? dayAndTime(hold.endsAt) : "the end"}` },
              { title: "Placed", cell: (hold) => dayAndTime(hold.placedAt) },
              {
                title: "",
                cell: (hold) =>
                  hold.releasedAt ? (
                    <span className="muted">released {dayAndTime(hold.releasedAt)}</span>
                  ) : (
                    mayRelease && (
                      <Button size="small" look="danger" aria-label={`Release the hold ${hold.reason}`} onClick={() => confirm(`Release the hold “${hold.reason}”? What the rules have due is then deleted within a minute, for ever.`) && release.mutate(hold, { onError: notifyProblem })}>
                        Release
                      </Button>
                    )
                  ),
              },
            ]}
          />
        )}
      </Read>
      {holding && <HoldForm cameras={cameras} onClose={() => setHolding(false)} />}
    </>
  );
}

function HoldForm({ cameras, onClose }: { cameras: readonly Camera[]; onClose(): void }) {
  const [cameraId, setCameraId] = useState("");
  const [reason, setReason] = useState("");
  const [from, setFrom] = useState("");
  const [until, setUntil] = useState("");
  const [first, last] = [fromLocalInput(from), fromLocalInput(until)];
  const save = useAct(
    () => send(FootageService.method.placeFootageHold, { hold: { cameraId, reason: reason.trim(), ...(first ? { startsAt: first } : {}), ...(last ? { endsAt: last } : {}) } }),
    () => {
      notify("The hold stands.");
      onClose();
    },
  );
  const problem = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  return (
    <Dialog title="Place a hold on footage" testId="footage-hold-form" onClose={onClose} onSubmit={() => save.mutate(undefined)} foot={<Button type="submit" look="primary" busy={save.isPending}>Place</Button>}>
      <Field label="The case or order that demands it" problem={problem("reason")}>
        {(attributes) => <input {...attributes} name="reason" required maxLength={200} value={reason} onChange={(event) => setReason(event.target.value)} />}
      </Field>
      <CameraPick cameras={cameras} chosen={cameraId} everyCamera onChosen={setCameraId} />
      <div className="columns">
        <Field label="Recorded from" hint="Empty: from the beginning">
          {(attributes) => <input {...attributes} name="from" type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} />}
        </Field>
        <Field label="Until" hint="Empty: to the end" problem={problem("ends_at")}>
          {(attributes) => <input {...attributes} name="until" type="datetime-local" value={until} onChange={(event) => setUntil(event.target.value)} />}
        </Field>
      </div>
      <ProblemNote error={save.error} />
    </Dialog>
  );
}

/** Each batch that was deleted, with the digest that stands in the log too. */
export function FootageDeletions({ names }: { names: Names }) {
  const query = useRead(FootageService.method.listFootageDeletions, { limit: 100 });
  return (
    <Read query={query}>
      {(data) => (
        <Table
          label="Deleted footage"
          rowTestId="footage-deletion"
          rows={data.deletions}
          rowKey={(deletion) => deletion.deletionId}
          empty="Nothing was deleted yet."
          columns={[
            { title: "Deleted", cell: (deletion) => <span className="mono">{dayAndTime(deletion.deletedAt)}</span> },
            { title: "Camera", cell: (deletion) => names(deletion.cameraId) },
            { title: "Recorded", cell: (deletion) => `${dayAndTime(deletion.oldestAt)} to ${dayAndTime(deletion.newestAt)}` },
            { title: "How much", cell: (deletion) => `${deletion.segments} ${deletion.segments === 1 ? "segment" : "segments"}, ${sizeWords(Number(deletion.bytes))}${deletion.sounds ? `, ${deletion.sounds} with sound` : ""}` },
            { title: "Rule", cell: (deletion) => `kept for ${spanWords(deletion.keepS ? Number(deletion.keepS) : 0)}` },
            {
              title: "Proof (SHA-256, also in the log)",
              cell: (deletion) => (
                <span className="row">
                  <code className="digest">{deletion.digest}</code>
                  <Button size="small" aria-label={`Copy the digest ${deletion.digest.slice(0, 8)}`} onClick={() => navigator.clipboard.writeText(deletion.digest).then(() => notify("Digest copied."), notifyProblem)}>
                    Copy
                  </Button>
                </span>
              ),
            },
          ]}
        />
      )}
    </Read>
  );
}
