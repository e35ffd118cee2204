import { useState } from "react";
import { send } from "../contract/call";
import { useAct } from "../contract/use-call";
import { RegistryService } from "../generated/rtcc/registry/v1/registry_pb";
import { Table } from "../ui/page";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";

const LARGEST_BYTES = 4 * 1024 * 1024;

/** First a dry run with a report of every bad row, then the import of the good ones. */
export function ImportDialog({ onClose }: { onClose(): void }) {
  const [file, setFile] = useState<{ name: string; format: string; content: Uint8Array }>();
  const [tooLarge, setTooLarge] = useState(false);
  const run = useAct((dryRun: boolean) => send(RegistryService.method.importCameras, { format: file?.format ?? "csv", content: file?.content ?? new Uint8Array(), dryRun }));
  const checked = run.data !== undefined && run.variables === true;
  const done = run.data !== undefined && run.variables === false;
  const pick = async (picked: File | undefined) => {
    run.reset();
    setFile(undefined);
    setTooLarge(false);
    if (!picked) return;
    if (picked.size > LARGEST_BYTES) setTooLarge(true);
    else setFile({ name: picked.name, format: /json$/i.test(picked.name) ? "geojson" : "csv", content: new Uint8Array(await picked.arrayBuffer()) });
  };
  return (
    <Dialog
      wide
      title="Import cameras"
      testId="import-dialog"
      onClose={onClose}
      foot={
        done ? (
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        ) : (
          <>
            <Button disabled={!file} busy={run.isPending && run.variables === true} onClick={() => run.mutate(true)}>
              Check
            </Button>
            <Button look="primary" disabled={!checked} busy={run.isPending && run.variables === false} onClick={() => run.mutate(false)} data-testid="import-run">
              Import
            </Button>
          </>
        )
      }
    >
      <Field label="CSV or GeoJSON file, at most 4 MiB" problem={tooLarge ? "This file is larger. Split it." : undefined} hint="CSV columns: name, latitude, longitude and any of kind, bearing_deg, field_of_view_deg, range_m, owner, stream_url, camera_id">
        {(attributes) => <input {...attributes} type="file" accept=".csv,.json,.geojson" onChange={(event) => void pick(event.target.files?.[0])} />}
      </Field>
      <ProblemNote error={run.error} />
      {run.data && (
        <>
          <p className="note" data-tone={run.data.problems.length ? "act" : "good"} data-testid="import-report">
            {done ? "Imported: " : "Would import: "}
            {run.data.created} new, {run.data.updated} changed, {run.data.problems.length} {run.data.problems.length === 1 ? "problem" : "problems"}.
          </p>
          {run.data.problems.length > 0 && (
            <Table
              label="Problems"
              rows={run.data.problems}
              rowKey={(problem) => `${problem.row}-${problem.field}-${problem.reason}`}
              empty=""
              columns={[
                { title: file?.format === "csv" ? "Line" : "Feature", cell: (problem) => problem.row },
                { title: "Field", cell: (problem) => <code>{problem.field}</code> },
                { title: "What is wrong", cell: (problem) => problem.reason },
              ]}
            />
          )}
        </>
      )}
    </Dialog>
  );
}
