import { useState } from "react";
import { send } from "../contract/call";
import { dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IdentityService, RecordImportState, type RecordImport } from "../generated/rtcc/identity/v1/identity_pb";
import { Read, Table } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { columnsOf, delimiterOf, FIELDS_OF, guessMapping, type MappedColumn } from "./import-mapping";

const KINDS = [
  ["person", "People"],
  ["vehicle", "Vehicles"],
  ["warrant", "Warrants"],
  ["arrest", "Arrests"],
  ["prior_call", "Prior calls"],
] as const;
const MOST_BYTES = 64 * 2 ** 20;
const HEADER_BYTES = 65_536;

/** Extracts of other systems: file, mapping of its columns, progress, and what was rejected and why. */
export function RecordImports({ onClose }: { onClose(): void }) {
  const [importId, setImportId] = useState<string>();
  return (
    <Dialog title={importId ? "Import" : "Import records"} wide onClose={onClose} testId="record-import-dialog">
      {importId ? <Progress importId={importId} onAgain={() => setImportId(undefined)} onClose={onClose} /> : <NewImport onStarted={setImportId} />}
    </Dialog>
  );
}

function NewImport({ onStarted }: { onStarted(importId: string): void }) {
  const [kind, setKind] = useState("person");
  const [source, setSource] = useState("RMS");
  const [file, setFile] = useState<{ name: string; bytes: Uint8Array; delimiter: string; header: string }>();
  const [mapping, setMapping] = useState<MappedColumn[]>([]);
  const [whole, setWhole] = useState(false);
  const [tooLarge, setTooLarge] = useState("");
  const before = useRead(IdentityService.method.listRecordImports, { limit: 5 });
  const start = useAct(
    () => send(IdentityService.method.startRecordImport, { kind, source: source.trim(), mapping: mapping.filter(({ field }) => field), csv: file?.bytes ?? new Uint8Array(), delimiter: file?.delimiter ?? ",", fullRefresh: whole }),
    (answer) => answer.import && onStarted(answer.import.importId),
  );
  const take = async (chosen: File | undefined) => {
    setTooLarge(chosen && chosen.size > MOST_BYTES ? `${chosen.name} is larger than 64 MiB: cut it into parts.` : "");
    if (!chosen || chosen.size > MOST_BYTES) return;
    const bytes = new Uint8Array(await chosen.arrayBuffer());
    const header = new TextDecoder().decode(bytes.subarray(0, HEADER_BYTES));
    const delimiter = delimiterOf(header);
    setFile({ name: chosen.name, bytes, delimiter, header });
    setMapping(guessMapping(columnsOf(header, delimiter), kind));
  };
  const change = (index: number, part: Partial<MappedColumn>) => setMapping(mapping.map((one, at) => (at === index ? { ...one, ...part } : one)));
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        start.mutate(undefined);
      }}
    >
      <div className="columns">
        <Field label="Records of">
          {(attributes) => (
            <select
              {...attributes}
              name="kind"
              value={kind}
              onChange={(event) => {
                setKind(event.target.value);
                if (file) setMapping(guessMapping(columnsOf(file.header, file.delimiter), event.target.value));
              }}
            >
              {KINDS.map(([id, title]) => (
                <option key={id} value={id}>
                  {title}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="From the system" hint="The same key from the same system is the same record">
          {(attributes) => <input {...attributes} name="source" required maxLength={60} value={source} onChange={(event) => setSource(event.target.value)} />}
        </Field>
      </div>
      <Field label="File" hint="CSV in UTF-8 with a header line, at most 64 MiB" problem={tooLarge || undefined}>
        {(attributes) => <input {...attributes} type="file" accept=".csv,.txt,text/csv" required onChange={(event) => void take(event.target.files?.[0])} />}
      </Field>
      {mapping.length > 0 && (
        <div className="table-frame" tabIndex={0} role="region" aria-label="Mapping of columns">
          <table>
            <thead>
              <tr>
                <th scope="col">Column of the file</th>
                <th scope="col">Becomes</th>
                <th scope="col">Written as</th>
              </tr>
            </thead>
            <tbody>
              {mapping.map((one, index) => (
                <tr key={one.column}>
                  <td>
                    <code>{one.column}</code>
                  </td>
                  <td>
                    <select className="input" aria-label={`Field of ${one.column}`} value={one.field} onChange={(event) => change(index, { field: event.target.value })}>
                      <option value="">not imported</option>
                      {(FIELDS_OF[kind] ?? []).map((field) => (
                        <option key={field} value={field}>
                          {field.replaceAll("_", " ")}
                        </option>
                      ))}
                    </select>
                  </td>
                  <td>
                    <input className="input" aria-label={`Format of ${one.column}`} placeholder={/_on$|date/.test(one.field) ? "YYYY-MM-DD" : "as it is"} disabled={!one.field} maxLength={200} value={one.format} onChange={(event) => change(index, { format: event.target.value })} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <label className="check">
        <input type="checkbox" checked={whole} onChange={(event) => setWhole(event.target.checked)} />
        The file is the whole extract: records of this system and kind that it no longer holds are removed, if no row is rejected
      </label>
      <ProblemNote error={start.error} />
      <div>
        <Button type="submit" look="primary" busy={start.isPending} disabled={!file} data-testid="record-import-start">
          Start import
        </Button>
      </div>
      <h3>Imports before</h3>
      <Read query={before}>
        {(data) => (
          <Table
            label="Imports"
            rows={data.imports}
            rowKey={(one) => one.importId}
            empty="None yet."
            columns={[
              { title: "Started", cell: (one) => <span className="mono">{dayAndTime(one.startedAt)}</span> },
              { title: "Of", cell: (one) => `${KINDS.find(([id]) => id === one.kind)?.[1] ?? one.kind}, ${one.source}` },
              { title: "Result", cell: summary },
              {
                title: "",
                cell: (one) => (
                  <Button size="small" onClick={() => onStarted(one.importId)}>
                    Report
                  </Button>
                ),
              },
            ]}
          />
        )}
      </Read>
    </form>
  );
}

function summary(one: RecordImport): string {
  const parts = [
    [one.rowsCreated, "new"],
    [one.rowsUpdated, "changed"],
    [one.rowsUnchanged, "unchanged"],
    [one.rowsRemoved, "removed"],
    [one.rowsRejected, "rejected"],
  ] as const;
  return parts.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`).join(", ") || "nothing";
}

function Progress({ importId, onAgain, onClose }: { importId: string; onAgain(): void; onClose(): void }) {
  const [ended, setEnded] = useState(false);
  const query = useRead(IdentityService.method.getRecordImport, { importId }, ended ? {} : { everyMs: 700 });
  return (
    <Read query={query}>
      {({ import: one }) => {
        if (!one) return <p className="empty">This import is unknown.</p>;
        const done = one.state === RecordImportState.DONE || one.state === RecordImportState.FAILED;
        if (done && !ended) setTimeout(() => setEnded(true));
        const share = one.bytesTotal ? Number(one.bytesRead) / Number(one.bytesTotal) : 0;
        return (
          <div className="stack" data-testid="record-import-report" data-state={RecordImportState[one.state].toLowerCase()}>
            <p role="status">
              <strong>{{ [RecordImportState.UNSPECIFIED]: "Waiting", [RecordImportState.WAITING]: "Waiting", [RecordImportState.RUNNING]: "Reading the file", [RecordImportState.DONE]: "Done", [RecordImportState.FAILED]: "Stopped" }[one.state]}</strong>: {summary(one)}
            </p>
            {!done && <progress max={1} value={share} aria-label={`${Math.round(share * 100)} % read`} />}
            {one.failure && (
              <p className="note" data-tone="bad" role="alert">
                {one.failure} What was counted so far is stored; start again with the same file after correcting it.
              </p>
            )}
            {one.rejected.length > 0 && (
              <>
                <h3>
                  Rejected rows{one.rowsRejected > one.rejected.length && `, the first ${one.rejected.length} of ${one.rowsRejected}`}
                </h3>
                <Table
                  label="Rejected rows"
                  rows={one.rejected}
                  rowKey={(row) => `${row.row}-${row.column}`}
                  empty=""
                  columns={[
                    { title: "Line", cell: (row) => <span className="mono">{row.row}</span> },
                    { title: "Column", cell: (row) => <code>{row.column}</code> },
                    { title: "Why", cell: (row) => row.reason },
                  ]}
                />
              </>
            )}
            <div className="row">
              <Button look="primary" onClick={onClose}>
                {done ? "Done" : "Go on in the background"}
              </Button>
              {done && <Button onClick={onAgain}>Another file</Button>}
            </div>
          </div>
        );
      }}
    </Read>
  );
}
