import { useMemo, useState } from "react";
import { dayAndTime } from "../contract/time";
import { useRead } from "../contract/use-call";
import { RegistryService, type Camera } from "../generated/rtcc/registry/v1/registry_pb";
import { FootageService, RecordingState, type CameraRecording, type ListRecordingResponse } from "../generated/rtcc/video/v1/footage_pb";
import { CameraState, VideoService } from "../generated/rtcc/video/v1/video_pb";
import { useOwnAgency, useRight } from "../session/store";
import { go } from "../shell/router";
import { Page, Read, Table, Tabs } from "../ui/page";
import { Button } from "../ui/parts";
import { FootageDeletions, Holds } from "./holds";
import { PolicyForm, type Whose } from "./policy-form";
import { nowOf, ruleOf, ruleWords, sizeWords, STATES, tally, type SoundSay } from "./words";

const EVERY_MS = 5_000;
const MOST_SHOWN = 200;

/** What of each camera is recorded and for how long, what its recorder does now, and what is held or gone (R22). */
export default function Recording() {
  const may = { rules: useRight("recording.list"), holds: useRight("recording.list"), deletions: useRight("recording.list_deletions") };
  const tabs = ([["rules", "Cameras and rules"], ["holds", "Holds"], ["deletions", "Deleted"]] as const).filter(([id]) => may[id]);
  const [tab, setTab] = useState<keyof typeof may>(tabs[0]?.[0] ?? "rules");
  const cameras = useRead(RegistryService.method.listCameras, {}, { enabled: useRight("camera.list") });
  const byId = useMemo(() => new Map((cameras.data?.cameras ?? []).map((camera) => [camera.cameraId, camera])), [cameras.data]);
  const names = (cameraId: string) => byId.get(cameraId)?.name ?? (cameras.data ? `removed camera ${cameraId.slice(0, 8)}` : cameraId);
  return (
    <Page title="Recording">
      <Tabs label="Recording" tabs={tabs} value={tab} onValue={setTab} />
      {tab === "rules" && may.rules && <Rules cameras={byId} />}
      {tab === "holds" && may.holds && <Holds cameras={[...byId.values()]} names={names} />}
      {tab === "deletions" && may.deletions && <FootageDeletions names={names} />}
    </Page>
  );
}

/** What the three that have a say about sound say of a camera, or ("") of the agency. */
function useSoundSay(cameras: ReadonlyMap<string, Camera>): (cameraId: string) => SoundSay {
  const own = useOwnAgency();
  const agencies = useRead(RegistryService.method.listAgencies, {}, { enabled: useRight("agency.list") });
  const health = useRead(VideoService.method.listCameraHealth, {}, { enabled: useRight("camera.health") });
  const agency = agencies.data?.agencies.find((one) => one.agencyId === own)?.soundAllowed;
  return (cameraId) => ({ agency, camera: cameras.get(cameraId)?.sound, allowed: health.data?.cameras.find((one) => one.cameraId === cameraId)?.soundAllowed });
}

function Rules({ cameras }: { cameras: ReadonlyMap<string, Camera> }) {
  const maySet = useRight("recording.set");
  const query = useRead(FootageService.method.listRecording, {}, { everyMs: EVERY_MS });
  const sound = useSoundSay(cameras);
  const [editing, setEditing] = useState<Whose>();
  return (
    <Read query={query}>
      {(data) => (
        <>
          <section className="card stack" data-testid="agency-rule" aria-label="All cameras">
            <div className="spread">
              <span>
                <strong>All cameras:</strong> {ruleWords(ruleOf("", data.policies))}
              </span>
              {maySet && (
                <Button onClick={() => setEditing({ cameraId: "", name: "" })} data-testid="set-agency-rule">
                  {ruleOf("", data.policies) ? "Change…" : "Set a rule…"}
                </Button>
              )}
            </div>
            <span className="secondary">A camera's own rule counts before it. {!maySet && "Administrators set the rules."}</span>
          </section>
          <Spool data={data} />
          <CameraTable data={data} cameras={cameras} maySet={maySet} onEdit={setEditing} />
          {editing && <PolicyForm whose={editing} policies={data.policies} sound={sound(editing.cameraId)} onClose={() => setEditing(undefined)} />}
        </>
      )}
    </Read>
  );
}

/** What waits on the server's own disk. */
function Spool({ data }: { data: ListRecordingResponse }) {
  const [used, limit] = [Number(data.spoolBytes), Number(data.spoolLimitBytes)];
  // A few segments are always on their way.
  const much = limit > 0 && used > limit / 100;
  const text = used ? `${sizeWords(used)} of ${sizeWords(limit)} on the server's own disk wait to be stored.` : `Nothing waits on the server's own disk to be stored (${sizeWords(limit)} may).`;
  if (!limit) return <p className="note" data-tone="bad">Nothing can be recorded: the video service has no folder for it (RTCC_VIDEO_SPOOL_FOLDER).</p>;
  return much ? (
    <p className="note" data-tone="act" role="status">
      {text} The object store or the database takes them slowly or not at all; when the disk's share is full, nothing more is recorded.
    </p>
  ) : (
    <p className="muted">{text}</p>
  );
}

function CameraTable({ data, cameras, maySet, onEdit }: { data: ListRecordingResponse; cameras: ReadonlyMap<string, Camera>; maySet: boolean; onEdit(whose: Whose): void }) {
  const mayReplay = useRight("footage.list");
  const [text, setText] = useState("");
  const [only, setOnly] = useState("");
  const states = useMemo(() => new Map(data.cameras.map((one) => [one.cameraId, one])), [data.cameras]);
  const own = useMemo(() => new Set(data.policies.map((rule) => rule.cameraId)), [data.policies]);
  const health = useRead(VideoService.method.listCameraHealth, {}, { enabled: useRight("camera.health"), everyMs: EVERY_MS });
  const now = useMemo(() => {
    const troubles = new Map((health.data?.cameras ?? []).map((one) => [one.cameraId, one.state === CameraState.FAILED ? one.reason : ""]));
    return new Map([...cameras.values()].map((camera) => [camera.cameraId, nowOf(ruleOf(camera.cameraId, data.policies), states.get(camera.cameraId), camera, troubles.get(camera.cameraId) ?? "")]));
  }, [cameras, data.policies, states, health.data]);
  const wanted = (camera: Camera) => !only || (only === "own" ? own.has(camera.cameraId) : now.get(camera.cameraId)?.state === RecordingState.FAILED);
  const found = [...cameras.values()].filter((camera) => camera.name.toLowerCase().includes(text.toLowerCase()) && wanted(camera)).sort((one, other) => one.name.localeCompare(other.name));
  return (
    <>
      <div className="spread">
        <strong role="status">{tally([...now.values()])}</strong>
        <div className="row">
          <input className="input narrow" type="search" aria-label="Find a camera" placeholder="Find a camera" value={text} onChange={(event) => setText(event.target.value)} />
          <select className="input narrow" aria-label="Which cameras" value={only} onChange={(event) => setOnly(event.target.value)}>
            <option value="">every camera</option>
            <option value="failed">those that should record and don't</option>
            <option value="own">those with a rule of their own</option>
          </select>
        </div>
      </div>
      <Table
        label="Recording of each camera"
        rowTestId="recording-row"
        rows={found.slice(0, MOST_SHOWN)}
        rowKey={(camera) => camera.cameraId}
        empty={cameras.size ? "No camera is like that." : "No cameras yet: add them under Cameras."}
        columns={[
          { title: "Camera", cell: (camera) => <strong>{camera.name}</strong> },
          { title: "Now", cell: (camera) => <Now {...now.get(camera.cameraId)} sound={states.get(camera.cameraId)?.hearsSound} /> },
          {
            title: "Rule",
            cell: (camera) => (
              <span>
                {ruleWords(ruleOf(camera.cameraId, data.policies))}
                {ruleOf(camera.cameraId, data.policies) && <span className="muted"> ({own.has(camera.cameraId) ? "its own" : "the agency's"})</span>}
              </span>
            ),
          },
          { title: "Stored", cell: (camera) => <Stored recording={states.get(camera.cameraId)} /> },
          {
            title: "",
            cell: (camera) => (
              <span className="row" style={{ justifyContent: "flex-end" }}>
                {mayReplay && (
                  <Button size="small" onClick={() => go(`/playback?cameras=${camera.cameraId}`)} aria-label={`Recordings of ${camera.name}, with what is missing`} title="What is there, what is missing and why">
                    Recordings
                  </Button>
                )}
                {maySet && (
                  <Button size="small" onClick={() => onEdit({ cameraId: camera.cameraId, name: camera.name })} aria-label={`Change the rule of ${camera.name}`}>
                    Change…
                  </Button>
                )}
              </span>
            ),
          },
        ]}
      />
      {found.length > MOST_SHOWN && <p className="muted">{found.length - MOST_SHOWN} more: type a part of the name.</p>}
    </>
  );
}

function Now({ state = RecordingState.UNSPECIFIED, reason, sound }: { state?: RecordingState; reason?: string; sound: boolean | undefined }) {
  const { shape, words, tone } = STATES[state];
  return (
    <span className="row">
      <span className="badge" data-tone={tone}>
        <span aria-hidden="true">{shape}</span> {words}
        {sound && ", with sound"}
      </span>
      {reason && <span className="secondary">{reason}</span>}
    </span>
  );
}

function Stored({ recording }: { recording: CameraRecording | undefined }) {
  if (!recording?.oldestAt) return <span className="muted">nothing</span>;
  return (
    <span>
      {sizeWords(Number(recording.bytes))}, <span className="muted">{dayAndTime(recording.oldestAt)} to {dayAndTime(recording.newestAt)}</span>
    </span>
  );
}
