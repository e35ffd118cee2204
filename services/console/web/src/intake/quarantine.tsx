import { useState } from "react";
import { send } from "../contract/call";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IntakeService, QuarantineStatus, type QuarantineEntry } from "../generated/rtcc/intake/v1/intake_pb";
import { RegistryService } from "../generated/rtcc/registry/v1/registry_pb";
import { useRight } from "../session/store";
import { notify, notifyProblem } from "../ui/notices";
import { Page, Read, Table, Tabs } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";

const TABS: readonly (readonly [string, string])[] = [
  [String(QuarantineStatus.WAITING), "Waiting"],
  [String(QuarantineStatus.REPLAYED), "Replayed"],
  [String(QuarantineStatus.DISCARDED), "Discarded"],
];

/** What came in and was not understood: nothing is swallowed. */
export default function Quarantine() {
  const [status, setStatus] = useState(String(QuarantineStatus.WAITING));
  const query = useRead(IntakeService.method.listQuarantine, { status: Number(status) as QuarantineStatus, limit: 200 }, { everyMs: 10_000 });
  const [open, setOpen] = useState<QuarantineEntry>();
  const sources = useRead(RegistryService.method.listSources, {}, { enabled: useRight("source.list") });
  const sourceName = (entry: QuarantineEntry) => sources.data?.sources.find((source) => source.sourceId === entry.sourceId)?.name ?? (entry.sourceId || entry.service);
  return (
    <Page title="Quarantine">
      <p className="secondary">Signed messages of known sources that could not be understood. Correct the sender or its mapping, then replay; nothing is lost meanwhile.</p>
      <Tabs label="Status" tabs={TABS} value={status} onValue={setStatus} />
      <Read query={query}>
        {(data) => (
          <Table
            label="Held messages"
            rowTestId="quarantine-row"
            rows={data.entries}
            rowKey={(entry) => entry.quarantineId}
            empty={status === String(QuarantineStatus.WAITING) ? "Nothing waits: everything that came in was understood." : "None."}
            columns={[
              { title: "Received", cell: (entry) => <span className="mono nowrap">{dayAndTime(entry.receivedAt)}</span> },
              { title: "From", cell: sourceName },
              { title: "Why", cell: (entry) => entry.reason },
              { title: "Where", cell: (entry) => <code>{entry.place}</code> },
              { title: "Size", cell: (entry) => `${entry.sizeBytes} B` },
              {
                title: "",
                cell: (entry) => (
                  <Button size="small" onClick={() => setOpen(entry)} aria-label={`Open message of ${dayAndTime(entry.receivedAt)}`}>
                    Open
                  </Button>
                ),
              },
            ]}
          />
        )}
      </Read>
      {open && <EntryDialog entry={open} onClose={() => setOpen(undefined)} />}
    </Page>
  );
}

function EntryDialog({ entry, onClose }: { entry: QuarantineEntry; onClose(): void }) {
  const mayReplay = useRight("quarantine.replay");
  const mayDiscard = useRight("quarantine.discard");
  const [reason, setReason] = useState("");
  const waiting = entry.status === QuarantineStatus.WAITING;
  const replay = useAct(
    () => send(IntakeService.method.replayQuarantined, { quarantineId: entry.quarantineId }),
    (result) => {
      notify(result.eventId ? "Understood now: the event is on its way." : `Still not understood: ${result.entry?.reason ?? ""}`, result.eventId ? "good" : "bad");
      onClose();
    },
  );
  const discard = useAct(
    () => send(IntakeService.method.discardQuarantined, { quarantineId: entry.quarantineId, reason: reason.trim() }),
    () => {
      notify("Discarded; the entry stays in the log.");
      onClose();
    },
  );
  return (
    <Dialog
      wide
      title="Held message"
      onClose={onClose}
      onSubmit={() => discard.mutate(undefined)}
      foot={
        waiting && (
          <>
            {mayReplay && (
              <Button look="primary" busy={replay.isPending} onClick={() => replay.mutate(undefined, { onError: notifyProblem })}>
                Try again
              </Button>
            )}
            {mayDiscard && (
              <Button type="submit" look="danger" busy={discard.isPending}>
                Discard
              </Button>
            )}
          </>
        )
      }
    >
      <dl className="facts">
        <dt>Why</dt>
        <dd>{entry.reason}</dd>
        <dt>Where</dt>
        <dd>
          <code>{entry.place || "–"}</code>
        </dd>
        <dt>From</dt>
        <dd>
          {entry.sourceId || entry.service}, {dayAndTime(entry.receivedAt)}, tried {entry.attempts}×
        </dd>
      </dl>
      <pre className="excerpt" tabIndex={0}>
        {entry.excerpt}
      </pre>
      {waiting && mayDiscard && (
        <Field label="Reason for discarding">{(attributes) => <input {...attributes} required maxLength={300} value={reason} onChange={(event) => setReason(event.target.value)} />}</Field>
      )}
      <ProblemNote error={discard.error} />
    </Dialog>
  );
}
