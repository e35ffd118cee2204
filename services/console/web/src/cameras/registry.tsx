import { lazy, Suspense, useMemo, useState } from "react";
import { send } from "../contract/call";
import { useAct, useRead } from "../contract/use-call";
import { ExchangeService } from "../generated/rtcc/exchange/v1/exchange_pb";
import { CameraKind, RegistryService, type Camera } from "../generated/rtcc/registry/v1/registry_pb";
import { CameraState, VideoService, type CameraHealth } from "../generated/rtcc/video/v1/video_pb";
import { useLive } from "../live/store";
import { useMap } from "../map/store";
import { useRight } from "../session/store";
import { go } from "../shell/router";
import { notify, notifyProblem } from "../ui/notices";
import { Page, Read, Table, Tabs } from "../ui/page";
import { Button, PartnerBadge } from "../ui/parts";
import { openCamera } from "../video/dock";
import { VideoDock } from "../video/video-dock";
import { CameraForm } from "./camera-form";
import { ImportDialog } from "./import-dialog";

const SoundDialog = lazy(() => import("./sound-dialog"));

export const KIND_NAMES: Record<CameraKind, string> = {
  [CameraKind.UNSPECIFIED]: "unknown",
  [CameraKind.STREET]: "street",
  [CameraKind.PLATE_READER]: "plate reader",
  [CameraKind.BODY]: "body",
  [CameraKind.VEHICLE]: "vehicle",
  [CameraKind.COMMUNITY]: "community",
};

const STATE_NAMES: Record<CameraState, string> = {
  [CameraState.UNSPECIFIED]: "unknown",
  [CameraState.IDLE]: "ready",
  [CameraState.CONNECTING]: "connecting",
  [CameraState.LIVE]: "live",
  [CameraState.STALLED]: "stalled",
  [CameraState.FAILED]: "failed",
};

export default function CameraRegistry() {
  const [tab, setTab] = useState<"own" | "shared">("own");
  const [text, setText] = useState("");
  const [editing, setEditing] = useState<Camera | "new">();
  const [importing, setImporting] = useState(false);
  const mayCreate = useRight("camera.create");
  const mayImport = useRight("camera.import");
  const mayAllowSound = useRight("agency.update");
  const [sound, setSound] = useState(false);
  const cameras = useRead(RegistryService.method.listCameras, {});
  const health = useRead(VideoService.method.listCameraHealth, {}, { everyMs: 10_000 });
  const healthById = useMemo(() => new Map((health.data?.cameras ?? []).map((one) => [one.cameraId, one])), [health.data]);
  const found = (camera: Camera) => `${camera.name} ${camera.owner} ${camera.cameraId}`.toLowerCase().includes(text.toLowerCase());
  return (
    <>
      <Page
        title="Cameras"
        actions={
          <>
            <input className="input" style={{ width: 220 }} type="search" aria-label="Find a camera" placeholder="Name or owner" value={text} onChange={(event) => setText(event.target.value)} />
            {mayAllowSound && <Button onClick={() => setSound(true)}>Sound…</Button>}
            {mayImport && <Button onClick={() => setImporting(true)}>Import…</Button>}
            {mayCreate && (
              <Button look="primary" onClick={() => setEditing("new")}>
                New camera
              </Button>
            )}
          </>
        }
      >
        <Tabs label="Whose cameras" tabs={[["own", "Ours"], ["shared", "Shared with us"]]} value={tab} onValue={setTab} />
        {tab === "own" ? (
          <Read query={cameras}>{(data) => <OwnCameras cameras={data.cameras.filter(found)} health={healthById} onEdit={setEditing} />}</Read>
        ) : (
          <SharedCameras found={found} />
        )}
      </Page>
      <VideoDock />
      {editing && <CameraForm camera={editing === "new" ? undefined : editing} onClose={() => setEditing(undefined)} />}
      {importing && <ImportDialog onClose={() => setImporting(false)} />}
      {sound && (
        <Suspense fallback={null}>
          <SoundDialog onClose={() => setSound(false)} />
        </Suspense>
      )}
    </>
  );
}

function OwnCameras({ cameras, health, onEdit }: { cameras: readonly Camera[]; health: ReadonlyMap<string, CameraHealth>; onEdit(camera: Camera): void }) {
  const mayUpdate = useRight("camera.update");
  const mayDelete = useRight("camera.delete");
  const mayView = useRight("camera.view_live");
  const remove = useAct((camera: Camera) => send(RegistryService.method.deleteCamera, { cameraId: camera.cameraId }), () => notify("Camera removed."));
  return (
    <Table
      label="Our cameras"
      rowTestId="camera-row"
      rows={[...cameras].sort((one, other) => one.name.localeCompare(other.name))}
      rowKey={(camera) => camera.cameraId}
      empty="No cameras yet. Import a list or create the first one."
      columns={[
        { title: "Name", cell: (camera) => <strong>{camera.name}</strong> },
        { title: "Kind", cell: (camera) => KIND_NAMES[camera.kind] },
        { title: "Owner", cell: (camera) => camera.owner || "–" },
        { title: "Looks", cell: (camera) => <span className="mono">{camera.fieldOfViewDeg >= 359 ? "dome" : `${Math.round(camera.bearingDeg)}° ± ${Math.round(camera.fieldOfViewDeg / 2)}°`}</span> },
        { title: "Health", cell: (camera) => <Health camera={camera} health={health.get(camera.cameraId)} /> },
        {
          title: "",
          cell: (camera) => (
            <span className="row" style={{ flexWrap: "nowrap", justifyContent: "flex-end" }}>
              {mayView && camera.hasStream && (
                <Button size="small" onClick={() => openCamera(camera.cameraId)} aria-label={`View ${camera.name}`}>
                  View
                </Button>
              )}
              <Button size="small" onClick={() => showOnMap(camera)} aria-label={`Show ${camera.name} on the map`}>
                Map
              </Button>
              {mayUpdate && (
                <Button size="small" onClick={() => onEdit(camera)} aria-label={`Edit ${camera.name}`}>
                  Edit
                </Button>
              )}
              {mayDelete && (
                <Button size="small" look="danger" aria-label={`Remove ${camera.name}`} onClick={() => confirm(`Remove ${camera.name}? Agreements that grant it lose it too.`) && remove.mutate(camera, { onError: notifyProblem })}>
                  Remove
                </Button>
              )}
            </span>
          ),
        },
      ]}
    />
  );
}

function Health({ camera, health }: { camera: Camera; health: CameraHealth | undefined }) {
  if (!camera.enabled) return <span className="badge">switched off</span>;
  if (!camera.hasStream) return <span className="badge">no stream set</span>;
  if (!health) return <span className="badge">not asked yet</span>;
  const bad = health.state === CameraState.FAILED || health.state === CameraState.STALLED;
  return (
    <span className="row">
      <span className="badge" data-tone={bad ? "act" : health.state === CameraState.LIVE ? "live" : undefined}>
        {STATE_NAMES[health.state]}
      </span>
      <span className="muted">{bad ? health.reason : health.framesPerSecond > 0 ? `${Math.round(health.framesPerSecond)} fps · ${Math.round(health.kilobitsPerSecond)} kbit/s · ${health.viewers} watching` : ""}</span>
    </span>
  );
}

function SharedCameras({ found }: { found(camera: Camera): boolean }) {
  const query = useRead(ExchangeService.method.listSharedCameras, {});
  const agencies = useLive((state) => state.agencies);
  return (
    <Read query={query}>
      {(data) => (
        <Table
          label="Cameras shared with us"
          rowTestId="shared-camera-row"
          rows={data.cameras.filter((one) => one.camera && found(one.camera))}
          rowKey={(one) => one.camera?.cameraId ?? ""}
          empty="Nobody shares a camera with you now."
          columns={[
            { title: "Name", cell: ({ camera }) => <strong>{camera?.name}</strong> },
            { title: "Shared by", cell: ({ camera }) => <PartnerBadge agency={agencies.get(camera?.agencyId ?? "")?.name ?? camera?.agencyId ?? ""} /> },
            { title: "Kind", cell: ({ camera }) => KIND_NAMES[camera?.kind ?? CameraKind.UNSPECIFIED] },
            {
              title: "",
              cell: ({ camera }) =>
                camera && (
                  <Button size="small" onClick={() => openCamera(camera.cameraId)} aria-label={`View ${camera.name}`}>
                    View (asks for a purpose)
                  </Button>
                ),
            },
          ]}
        />
      )}
    </Read>
  );
}

function showOnMap(camera: Camera): void {
  if (camera.coordinate) useMap.getState().flyTo(camera.coordinate.longitudeDeg, camera.coordinate.latitudeDeg);
  go("/map");
}
