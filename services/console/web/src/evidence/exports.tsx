import { lazy, Suspense } from "react";
import { dayAndTime } from "../contract/time";
import { useRead } from "../contract/use-call";
import { RegistryService } from "../generated/rtcc/registry/v1/registry_pb";
import { EvidenceService, ExportState, type Export } from "../generated/rtcc/video/v1/evidence_pb";
import { useRight } from "../session/store";
import { go, usePath } from "../shell/router";
import { notifyProblem } from "../ui/notices";
import { Page, Read, Table } from "../ui/page";
import { Button, Loading } from "../ui/parts";
import { saveExport, sizeText } from "./save";

const Redaction = lazy(() => import("./redaction"));

/** Copies of recordings that were handed over, and redacted copies of these. */
export default function Exports() {
  const exportId = /^\/exports\/([^/]+)\/redact$/.exec(usePath())?.[1];
  return exportId ? (
    <Suspense fallback={<Loading what="Reading" />}>
      <Redaction exportId={decodeURIComponent(exportId)} />
    </Suspense>
  ) : (
    <List />
  );
}

function List() {
  const listed = useRead(EvidenceService.method.listExports, { limit: 200 }, { everyMs: 2000 });
  const cameras = useRead(RegistryService.method.listCameras, {});
  const mayRedact = useRight("export.redact");
  const name = (id: string) => cameras.data?.cameras.find(({ cameraId }) => cameraId === id)?.name ?? id;
  return (
    <Page title="Exports" actions={<Button onClick={() => go("/playback")}>To the recordings</Button>}>
      <Read query={listed}>
        {({ exports }) => (
          <Table
            label="Exports"
            rows={exports}
            rowKey={({ exportId }) => exportId}
            rowTestId="export"
            empty="Nothing was exported yet. Open a recording, mark a part of it, and choose Export."
            columns={[
              { title: "Camera", cell: (row) => <strong>{name(row.cameraId)}</strong> },
              { title: "From", cell: (row) => dayAndTime(row.startsAt) },
              { title: "Until", cell: (row) => dayAndTime(row.endsAt) },
              { title: "What", cell: (row) => <What row={row} /> },
              {
                title: "Why",
                cell: (row) => (
                  <>
                    {row.reason} <span className="muted">({row.caseNumber})</span>
                  </>
                ),
              },
              {
                title: "By",
                cell: (row) => (
                  <>
                    {row.createdByName} <span className="muted">{dayAndTime(row.createdAt)}</span>
                  </>
                ),
              },
              {
                title: "",
                cell: (row) =>
                  row.state === ExportState.READY && (
                    <span className="row">
                      <Button size="small" onClick={() => saveExport(row.exportId).catch(notifyProblem)}>
                        Save {sizeText(Number(row.bytes))}
                      </Button>
                      {mayRedact && !row.originalExportId && (
                        <Button size="small" onClick={() => go(`/exports/${encodeURIComponent(row.exportId)}/redact`)}>
                          Redact…
                        </Button>
                      )}
                    </span>
                  ),
              },
            ]}
          />
        )}
      </Read>
    </Page>
  );
}

function What({ row }: { row: Export }) {
  const kind = row.originalExportId ? "Redacted copy" : `${row.segments} ${row.segments === 1 ? "segment" : "segments"}${row.withSound ? " with sound" : ""}`;
  if (row.state === ExportState.FAILED) return <span className="problem">{row.problem}</span>;
  if (row.state !== ExportState.READY) return <progress max={100} value={row.progressPercent} aria-label={`Progress of ${row.originalExportId ? "the redacted copy" : "the export"}`} />;
  return (
    <>
      {kind}
      <code className="muted" title={`SHA-256 of the archive: ${row.sha256}`}>
        {" "}
        {row.sha256.slice(0, 12)}…
      </code>
    </>
  );
}
