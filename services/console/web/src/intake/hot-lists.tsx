import { create } from "@bufbuild/protobuf";
import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { age, dayAndTime, fromLocalInput } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { AlertingService, HotListEntrySchema, HotListSchema, type HotList } from "../generated/rtcc/alerting/v1/alerting_pb";
import { useOwnAgency, useRight } from "../session/store";
import { notify, notifyProblem } from "../ui/notices";
import { Page, Read, Table } from "../ui/page";
import { Button, Dialog, Field, ProblemNote, SeverityMark } from "../ui/parts";

export default function HotLists() {
  const query = useRead(AlertingService.method.listHotLists, {});
  const mayCreate = useRight("hot_list.create");
  const mayImport = useRight("hot_list.import");
  const mayRead = useRight("hot_list.read");
  const mayAdd = useRight("hot_list.add_entry");
  const [open, setOpen] = useState<{ what: "entries" | "import" | "add"; list: HotList } | { what: "create" }>();
  const close = () => setOpen(undefined);
  return (
    <Page
      title="Hot lists"
      actions={
        mayCreate && (
          <Button look="primary" onClick={() => setOpen({ what: "create" })}>
            New list
          </Button>
        )
      }
    >
      <Read query={query}>
        {(data) => (
          <Table
            label="Hot lists"
            rowTestId="hot-list-row"
            rows={data.hotLists}
            rowKey={(list) => list.hotListId}
            empty="No hot list yet: plate reads raise no alerts."
            columns={[
              { title: "", cell: (list) => <SeverityMark severity={list.severity || 2} size={20} /> },
              { title: "Name", cell: (list) => <strong>{list.name}</strong> },
              { title: "Kept by", cell: (list) => list.source || "–" },
              { title: "Entries", cell: (list) => <span className="mono">{list.entries}</span> },
              {
                title: "Age",
                cell: (list) => (
                  <span className="row">
                    {list.refreshedAt ? `${age(list.refreshedAt, Date.now())} old` : "never filled"}
                    {list.stale && <span className="badge" data-tone="act">stale</span>}
                    {!list.enabled && <span className="badge">off</span>}
                  </span>
                ),
              },
              {
                title: "",
                cell: (list) => (
                  <span className="row" style={{ justifyContent: "flex-end" }}>
                    {mayRead && (
                      <Button size="small" onClick={() => setOpen({ what: "entries", list })} aria-label={`Entries of ${list.name}`}>
                        Entries
                      </Button>
                    )}
                    {mayAdd && (
                      <Button size="small" onClick={() => setOpen({ what: "add", list })} aria-label={`Add to ${list.name}`}>
                        Add
                      </Button>
                    )}
                    {mayImport && (
                      <Button size="small" onClick={() => setOpen({ what: "import", list })} aria-label={`Import ${list.name}`}>
                        Import…
                      </Button>
                    )}
                  </span>
                ),
              },
            ]}
          />
        )}
      </Read>
      {open?.what === "create" && <CreateList onClose={close} />}
      {open?.what === "entries" && <EntriesDialog list={open.list} onClose={close} />}
      {open?.what === "add" && <AddEntry list={open.list} onClose={close} />}
      {open?.what === "import" && <ImportList list={open.list} onClose={close} />}
    </Page>
  );
}

function CreateList({ onClose }: { onClose(): void }) {
  const agencyId = useOwnAgency();
  const [name, setName] = useState("");
  const [source, setSource] = useState("");
  const [severity, setSeverity] = useState("2");
  const save = useAct(() => send(AlertingService.method.createHotList, { hotList: create(HotListSchema, { agencyId, name: name.trim(), source: source.trim(), severity: Number(severity), enabled: true }) }), onClose);
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  return (
    <Dialog title="New hot list" onClose={onClose} onSubmit={() => save.mutate(undefined)} foot={<Button type="submit" look="primary" busy={save.isPending}>Create</Button>}>
      <Field label="Name" problem={reason("name")}>
        {(attributes) => <input {...attributes} required maxLength={120} autoFocus value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
      <Field label="Kept by" problem={reason("source")}>
        {(attributes) => <input {...attributes} maxLength={120} placeholder="National register" value={source} onChange={(event) => setSource(event.target.value)} />}
      </Field>
      <Field label="Severity of its hits">
        {(attributes) => (
          <select {...attributes} value={severity} onChange={(event) => setSeverity(event.target.value)}>
            <option value="1">1 – life</option>
            <option value="2">2 – urgent</option>
            <option value="3">3 – caution</option>
            <option value="4">4 – information</option>
          </select>
        )}
      </Field>
      <ProblemNote error={save.error} />
    </Dialog>
  );
}

function EntriesDialog({ list, onClose }: { list: HotList; onClose(): void }) {
  const query = useRead(AlertingService.method.listHotListEntries, { hotListId: list.hotListId, limit: 500 }, { what: `Entries of ${list.name}` });
  const mayRemove = useRight("hot_list.remove_entry");
  const remove = useAct((entryId: string) => send(AlertingService.method.removeHotListEntry, { hotListId: list.hotListId, entryId }), () => notify("Removed."));
  return (
    <Dialog wide title={list.name} onClose={onClose} testId="hot-list-entries">
      <Read query={query}>
        {(data) => (
          <Table
            label="Entries"
            rows={data.entries}
            rowKey={(entry) => entry.entryId}
            empty="The list is empty."
            columns={[
              { title: "Plate", cell: (entry) => <span className="plate">{entry.plate}</span> },
              { title: "State", cell: (entry) => entry.state || "any" },
              { title: "Reason", cell: (entry) => entry.reason },
              { title: "Record of", cell: (entry) => entry.entrySource || "–" },
              { title: "Entered", cell: (entry) => dayAndTime(entry.enteredAt) },
              { title: "Expires", cell: (entry) => dayAndTime(entry.expiresAt) },
              {
                title: "",
                cell: (entry) =>
                  mayRemove && (
                    <Button size="small" look="danger" aria-label={`Remove ${entry.plate}`} onClick={() => remove.mutate(entry.entryId, { onError: notifyProblem })}>
                      Remove
                    </Button>
                  ),
              },
            ]}
          />
        )}
      </Read>
    </Dialog>
  );
}

function AddEntry({ list, onClose }: { list: HotList; onClose(): void }) {
  const [plate, setPlate] = useState("");
  const [state, setState] = useState("");
  const [why, setWhy] = useState("");
  const [expires, setExpires] = useState("");
  const save = useAct(
    () => {
      const expiresAt = fromLocalInput(expires);
      return send(
        AlertingService.method.addHotListEntry,
        { hotListId: list.hotListId, entry: create(HotListEntrySchema, { hotListId: list.hotListId, plate, state: state.trim().toUpperCase(), reason: why.trim(), ...(expiresAt ? { expiresAt } : {}) }) },
        { what: `Adding ${plate} to ${list.name}` },
      );
    },
    () => {
      notify(`${plate} is on ${list.name}.`);
      onClose();
    },
  );
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  return (
    <Dialog title={`Add to ${list.name}`} onClose={onClose} onSubmit={() => save.mutate(undefined)} foot={<Button type="submit" look="primary" busy={save.isPending}>Add</Button>}>
      <div className="columns">
        <Field label="Plate" problem={reason("plate")}>
          {(attributes) => <input {...attributes} className="input mono" required maxLength={12} autoFocus autoComplete="off" value={plate} onChange={(event) => setPlate(event.target.value.replace(/[^A-Za-z0-9]/g, "").toUpperCase())} />}
        </Field>
        <Field label="State" hint="Empty: any" problem={reason("state")}>
          {(attributes) => <input {...attributes} maxLength={8} placeholder="FI" value={state} onChange={(event) => setState(event.target.value)} />}
        </Field>
      </div>
      <Field label="Reason" problem={reason("reason")}>
        {(attributes) => <input {...attributes} required maxLength={200} placeholder="Stolen truck" value={why} onChange={(event) => setWhy(event.target.value)} />}
      </Field>
      <Field label="Expires" hint="When it must leave the list" problem={reason("expires_at")}>
        {(attributes) => <input {...attributes} type="datetime-local" required value={expires} onChange={(event) => setExpires(event.target.value)} />}
      </Field>
      <ProblemNote error={save.error} />
    </Dialog>
  );
}

function ImportList({ list, onClose }: { list: HotList; onClose(): void }) {
  const [content, setContent] = useState<Uint8Array>();
  const run = useAct(() => send(AlertingService.method.importHotList, { hotListId: list.hotListId, csv: content ?? new Uint8Array() }));
  return (
    <Dialog
      title={`Import ${list.name}`}
      onClose={onClose}
      onSubmit={() => (run.data ? onClose() : run.mutate(undefined))}
      foot={
        <Button type="submit" look="primary" disabled={!content} busy={run.isPending}>
          {run.data ? "Done" : "Replace the whole list"}
        </Button>
      }
    >
      <Field label="CSV file" hint="Columns LIC, LIS and any of LIT, LIY, VIN, VMA, VMO, VCO, NIC, ORI, OCA, REASON, EXPIRES">
        {(attributes) => <input {...attributes} type="file" accept=".csv,.txt" required onChange={(event) => void event.target.files?.[0]?.arrayBuffer().then((buffer) => setContent(new Uint8Array(buffer)))} />}
      </Field>
      <ProblemNote error={run.error} />
      {run.data && (
        <div className="note stack" data-tone={run.data.rejected ? "act" : "good"}>
          <span>
            {run.data.accepted} taken, {run.data.rejected} refused.
          </span>
          <ul>
            {run.data.problems.map((problem) => (
              <li key={problem}>{problem}</li>
            ))}
          </ul>
        </div>
      )}
    </Dialog>
  );
}
