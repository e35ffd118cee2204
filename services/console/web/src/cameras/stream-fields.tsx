import { create } from "@bufbuild/protobuf";
import { send } from "../contract/call";
import { useAct } from "../contract/use-call";
import { CameraPull, CameraStreamRole, CameraStreamSchema, RegistryService, type Camera, type CameraStream } from "../generated/rtcc/registry/v1/registry_pb";
import { useRight } from "../session/store";
import { Button, Field, ProblemNote } from "../ui/parts";
import { OnceSecret } from "../ui/page";
import type { Way } from "./camera-form";

const MOST = 4;

/** A further stream as it is edited; `url` empty with `stored`: the stored address is kept. */
export interface StreamDraft {
  id: string;
  label: string;
  role: CameraStreamRole;
  url: string;
  stored: boolean;
}

/** What is sent: rows without an address that were never stored are left out. */
export function streamsOf(drafts: readonly StreamDraft[]): CameraStream[] {
  return drafts
    .filter((draft) => draft.stored || draft.url.trim())
    .map((draft) => create(CameraStreamSchema, { streamId: draft.id, label: draft.label.trim(), role: draft.role, streamUrl: draft.url.trim() }));
}

/** Where the pictures come from: one address and further qualities of the same picture, or a key for the device that sends by itself. */
export function StreamFields(props: {
  camera: Camera | undefined;
  way: Way;
  url: string;
  streams: StreamDraft[];
  reason(field: string): string | undefined;
  onWay(way: Way): void;
  onUrl(url: string): void;
  onStreams(streams: StreamDraft[]): void;
}) {
  const { camera, way, url, streams, reason } = props;
  const change = (index: number, part: Partial<StreamDraft>) => props.onStreams(streams.map((one, at) => (at === index ? { ...one, ...part } : one)));
  const add = () => {
    const free = ["low", "analytics", "third", "fourth"].find((id) => streams.every((one) => one.id !== id)) ?? `stream-${streams.length + 1}`;
    const role = free === "analytics" ? CameraStreamRole.ANALYTICS : CameraStreamRole.LOW;
    props.onStreams([...streams, { id: free, label: "", role, url: "", stored: false }]);
  };
  return (
    <>
      <Field label="Pictures" hint={way === "published" ? "A phone, a body camera or an encoder sends by WHIP" : "Connected always: joining is instant. When watched: spares the camera and the network"}>
        {(attributes) => (
          <select {...attributes} name="pull" value={String(way)} onChange={(event) => props.onWay(event.target.value === "published" ? "published" : (Number(event.target.value) as CameraPull))}>
            <option value={String(CameraPull.UNSPECIFIED)}>Pulled as the installation is set</option>
            <option value={String(CameraPull.ALWAYS)}>Pulled always</option>
            <option value={String(CameraPull.ON_DEMAND)}>Pulled when somebody watches</option>
            <option value="published">Sent by the device itself</option>
          </select>
        )}
      </Field>
      {way === "published" ? (
        <PublishKey camera={camera} />
      ) : (
        <>
          <Field label="Stream address" hint={camera?.hasStream && !camera.published ? "One is stored and never shown; leave empty to keep it" : "rtsp://user:password@host/path"} problem={reason("stream_url")}>
            {(attributes) => <input {...attributes} type="password" autoComplete="off" placeholder="rtsp://…" value={url} onChange={(event) => props.onUrl(event.target.value)} />}
          </Field>
          {streams.map((stream, index) => (
            <div className="columns" key={stream.id} data-testid="further-stream">
              <Field label="Further quality" problem={reason(`streams[${index}].role`)}>
                {(attributes) => (
                  <select {...attributes} value={stream.role} onChange={(event) => change(index, { role: Number(event.target.value) as CameraStreamRole })}>
                    <option value={CameraStreamRole.LOW}>Low: small tiles, thin links</option>
                    <option value={CameraStreamRole.ANALYTICS}>For analysis</option>
                  </select>
                )}
              </Field>
              <Field label="Its address" hint={stream.stored ? "Stored; leave empty to keep it" : ""} problem={reason(`streams[${index}].stream_url`)}>
                {(attributes) => (
                  <span className="row">
                    <input {...attributes} type="password" autoComplete="off" placeholder="rtsp://…" value={stream.url} onChange={(event) => change(index, { url: event.target.value })} />
                    <Button size="small" aria-label={`Remove the quality ${stream.label || stream.id}`} onClick={() => props.onStreams(streams.filter((_, at) => at !== index))}>
                      Remove
                    </Button>
                  </span>
                )}
              </Field>
            </div>
          ))}
          {streams.length < MOST && (
            <div>
              <Button size="small" onClick={add}>
                Add a further quality
              </Button>
            </div>
          )}
        </>
      )}
    </>
  );
}

function PublishKey({ camera }: { camera: Camera | undefined }) {
  const may = useRight("camera.set_publish_key");
  const make = useAct((cameraId: string) => send(RegistryService.method.setPublishKey, { cameraId }));
  if (!camera?.published) return <p className="muted">Save the camera, then open it again to make the key that its device sends with.</p>;
  const address = `${location.origin}/v1/whip/${camera.cameraId}`;
  return (
    <>
      <p className="muted">
        WHIP address: <span className="mono">{address}</span>
      </p>
      {make.data ? (
        <OnceSecret label={`Publishing key of ${camera.name}`} value={make.data.publishKey} hint="Shown once. Enter it as the device's bearer token." />
      ) : (
        may && (
          <div>
            <Button busy={make.isPending} onClick={() => make.mutate(camera.cameraId)}>
              {camera.publishKeySetAt ? "Make a new key (the old one ends)" : "Make a key"}
            </Button>
          </div>
        )
      )}
      <ProblemNote error={make.error} />
    </>
  );
}
