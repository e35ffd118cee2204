import { create } from "@bufbuild/protobuf";
import { useMemo, useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { useAct } from "../contract/use-call";
import { CameraKind, CameraPull, CameraSchema, CameraStreamRole, RegistryService, type Camera } from "../generated/rtcc/registry/v1/registry_pb";
import { CityMap } from "../map/city-map";
import { offset } from "../map/geometry";
import { notify } from "../ui/notices";
import { Button, Dialog, Field, ProblemNote } from "../ui/parts";
import { OnvifFinder } from "./onvif-finder";
import { StreamFields, streamsOf } from "./stream-fields";

const KINDS = [
  [CameraKind.STREET, "Street camera"],
  [CameraKind.PLATE_READER, "Plate reader"],
  [CameraKind.BODY, "Body camera"],
  [CameraKind.VEHICLE, "Vehicle camera"],
  [CameraKind.COMMUNITY, "Community camera"],
] as const;

/** How pictures come: pulled from an address, always or when somebody watches, or sent by the device itself. */
export type Way = CameraPull | "published";

/** Two clicks place a camera: where it stands, then where it looks. */
export function CameraForm({ camera, onClose }: { camera: Camera | undefined; onClose(): void }) {
  const [draft, setDraft] = useState(() => ({
    name: camera?.name ?? "",
    kind: camera?.kind ?? CameraKind.STREET,
    latitude: camera?.coordinate ? String(camera.coordinate.latitudeDeg) : "",
    longitude: camera?.coordinate ? String(camera.coordinate.longitudeDeg) : "",
    bearing: String(Math.round(camera?.bearingDeg ?? 0)),
    fieldOfView: String(Math.round(camera?.fieldOfViewDeg ?? 70)),
    range: String(Math.round(camera?.rangeM ?? 60)),
    owner: camera?.owner ?? "",
    streamUrl: "",
    way: (camera?.published ? "published" : (camera?.pull ?? CameraPull.UNSPECIFIED)) as Way,
    streams: (camera?.streams ?? []).map((stream) => ({ id: stream.streamId, label: stream.label, role: stream.role, url: "", stored: true })),
    // "": as stored; "none" takes it away
    controlUrl: "",
    enabled: camera?.enabled ?? true,
    sound: camera?.sound ?? false,
  }));
  const [aiming, setAiming] = useState(false);
  const set = (part: Partial<typeof draft>) => setDraft((before) => ({ ...before, ...part }));
  const save = useAct<undefined, unknown>(
    () => {
      const value = create(CameraSchema, {
        cameraId: camera?.cameraId ?? "",
        agencyId: camera?.agencyId ?? "",
        name: draft.name.trim(),
        kind: draft.kind,
        coordinate: { latitudeDeg: Number(draft.latitude), longitudeDeg: Number(draft.longitude) },
        bearingDeg: Number(draft.bearing),
        fieldOfViewDeg: Number(draft.fieldOfView),
        rangeM: Number(draft.range),
        owner: draft.owner.trim(),
        enabled: draft.enabled,
        streamUrl: draft.way === "published" ? "" : draft.streamUrl.trim(),
        published: draft.way === "published",
        pull: draft.way === "published" ? CameraPull.UNSPECIFIED : draft.way,
        streams: draft.way === "published" ? [] : streamsOf(draft.streams),
        controlUrl: draft.controlUrl,
        sound: draft.sound,
      });
      return camera ? send(RegistryService.method.updateCamera, { camera: value }) : send(RegistryService.method.createCamera, { camera: value });
    },
    () => {
      notify(camera ? "Camera saved." : "Camera created.");
      onClose();
    },
  );
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  const place = (longitude: number, latitude: number) => {
    if (!aiming || !draft.latitude) {
      set({ longitude: longitude.toFixed(6), latitude: latitude.toFixed(6) });
      setAiming(true);
      return;
    }
    set({ bearing: String(Math.round(bearing(Number(draft.longitude), Number(draft.latitude), longitude, latitude))) });
    setAiming(false);
  };
  const placed = useMemo(
    () =>
      draft.latitude && draft.longitude
        ? { latitude: Number(draft.latitude), longitude: Number(draft.longitude), bearingDeg: Number(draft.bearing), fieldOfViewDeg: Number(draft.fieldOfView), rangeM: Number(draft.range) }
        : undefined,
    [draft.latitude, draft.longitude, draft.bearing, draft.fieldOfView, draft.range],
  );
  const start = camera?.coordinate ? { longitude: camera.coordinate.longitudeDeg, latitude: camera.coordinate.latitudeDeg, zoom: 16.5 } : undefined;
  return (
    <Dialog
      wide
      title={camera ? `Edit ${camera.name}` : "New camera"}
      testId="camera-form"
      onClose={onClose}
      onSubmit={() => save.mutate(undefined)}
      foot={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" busy={save.isPending}>
            Save
          </Button>
        </>
      }
    >
      <div className="columns">
        <Field label="Name" problem={reason("name")}>
          {(attributes) => <input {...attributes} name="name" required maxLength={120} autoFocus value={draft.name} onChange={(event) => set({ name: event.target.value })} />}
        </Field>
        <Field label="Kind">
          {(attributes) => (
            <select {...attributes} value={draft.kind} onChange={(event) => set({ kind: Number(event.target.value) as CameraKind })}>
              {KINDS.map(([kind, title]) => (
                <option key={kind} value={kind}>
                  {title}
                </option>
              ))}
            </select>
          )}
        </Field>
      </div>
      <div className="placement">
        <CityMap compact onPlace={place} draft={placed} {...(start ? { start } : {})} />
        <p className="placement-hint">{aiming ? "Now click where it looks." : draft.latitude ? "Click to place it anew." : "Click where it stands."}</p>
      </div>
      <div className="columns">
        <Field label="Latitude, degrees" problem={reason("latitude_deg")}>
          {(attributes) => <input {...attributes} name="latitude" inputMode="decimal" required value={draft.latitude} onChange={(event) => set({ latitude: event.target.value })} />}
        </Field>
        <Field label="Longitude, degrees" problem={reason("longitude_deg")}>
          {(attributes) => <input {...attributes} name="longitude" inputMode="decimal" required value={draft.longitude} onChange={(event) => set({ longitude: event.target.value })} />}
        </Field>
        <Field label="Bearing, degrees from north" problem={reason("bearing_deg")}>
          {(attributes) => <input {...attributes} type="number" min={0} max={359} value={draft.bearing} onChange={(event) => set({ bearing: event.target.value })} />}
        </Field>
        <Field label="Field of view, degrees" hint="360: a dome" problem={reason("field_of_view_deg")}>
          {(attributes) => <input {...attributes} type="number" min={1} max={360} value={draft.fieldOfView} onChange={(event) => set({ fieldOfView: event.target.value })} />}
        </Field>
        <Field label="Range, metres" hint="How far one person can be told from another" problem={reason("range_m")}>
          {(attributes) => <input {...attributes} type="number" min={0} max={5000} value={draft.range} onChange={(event) => set({ range: event.target.value })} />}
        </Field>
        <Field label="Owner" hint="The agency, business or person that owns the device">
          {(attributes) => <input {...attributes} maxLength={120} value={draft.owner} onChange={(event) => set({ owner: event.target.value })} />}
        </Field>
      </div>
      {draft.way !== "published" && (
        <OnvifFinder
          onUse={({ main, low, control }) => {
            const others = draft.streams.filter((stream) => stream.role !== CameraStreamRole.LOW);
            const before = draft.streams.find((stream) => stream.role === CameraStreamRole.LOW);
            const further = low ? [{ id: before?.id ?? "low", label: before?.label ?? "", role: CameraStreamRole.LOW, url: low, stored: before?.stored ?? false }] : [];
            set({ streamUrl: main, streams: [...further, ...others], controlUrl: control || (camera?.movable ? "none" : "") });
          }}
        />
      )}
      {(draft.controlUrl ? draft.controlUrl !== "none" : camera?.movable) && (
        <div className="row" data-testid="movable">
          <span>It can be moved (pan, tilt, zoom).</span>
          <Button size="small" onClick={() => set({ controlUrl: camera?.movable ? "none" : "" })}>
            Don't move it from here
          </Button>
        </div>
      )}
      <StreamFields
        camera={camera}
        way={draft.way}
        url={draft.streamUrl}
        streams={draft.streams}
        reason={reason}
        onWay={(way) => set({ way })}
        onUrl={(streamUrl) => set({ streamUrl })}
        onStreams={(streams) => set({ streams })}
      />
      <label className="check">
        <input type="checkbox" name="sound" checked={draft.sound} onChange={(event) => set({ sound: event.target.checked })} />
        Its sound may be heard and recorded, where the agency allows sound (check 18 U.S.C. 2510-2523 and your state's law on consent)
      </label>
      <label className="check">
        <input type="checkbox" checked={draft.enabled} onChange={(event) => set({ enabled: event.target.checked })} />
        In use
      </label>
      <ProblemNote error={save.error} />
    </Dialog>
  );
}

/** Clockwise from true north, good below 1 km. */
function bearing(fromLongitude: number, fromLatitude: number, toLongitude: number, toLatitude: number): number {
  const [eastLongitude] = offset(fromLongitude, fromLatitude, 90, 1000);
  const east = ((toLongitude - fromLongitude) / (eastLongitude - fromLongitude)) * 1000;
  const north = (toLatitude - fromLatitude) * 111_320;
  return ((Math.atan2(east, north) * 180) / Math.PI + 360) % 360;
}
