import { create } from "@bufbuild/protobuf";
import { useEffect, useRef, useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { useAct, useRead } from "../contract/use-call";
import { RegistryService, ZoneSchema, type Zone } from "../generated/rtcc/registry/v1/registry_pb";
import { useMap } from "../map/store";
import { useOwnAgency, useRight } from "../session/store";
import { Read } from "../ui/page";
import { Button, Field, ProblemNote } from "../ui/parts";
import { airZonesChanged } from "./zones";

/** Zones in the air: a drone that enters one raises an alarm. Drawn on the map, corner by corner. */
export function AirZones() {
  const mayCreate = useRight("zone.create");
  const query = useRead(RegistryService.method.listZones, {});
  const drawing = useMap((state) => state.drawing);
  const drew = useRef(false);
  useEffect(() => () => useMap.setState({ drawing: undefined }), []);
  if (drawing) drew.current = true;
  return (
    <div className="side-body stack">
      {mayCreate && !drawing && (
        <Button autoFocus={drew.current} onClick={() => useMap.setState({ drawing: [] })} data-testid="draw-zone">
          Draw a zone
        </Button>
      )}
      {drawing && <ZoneForm corners={drawing} />}
      <Read query={query}>
        {(data) => {
          const zones = data.zones.filter((zone) => zone.kind === "air");
          if (!zones.length) return <p className="empty card">No zone in the air yet. Drones raise no alarm before there is one.</p>;
          return (
            <ul className="stack">
              {zones.map((zone) => (
                <li key={zone.zoneId} className="card spread" data-testid="zone-row">
                  <span className="list-text">
                    <strong>{zone.name}</strong>
                    <span className="muted">{heights(zone)}</span>
                  </span>
                  <Button size="small" aria-label={`Show ${zone.name} on the map`} onClick={() => show(zone)}>
                    Show
                  </Button>
                </li>
              ))}
            </ul>
          );
        }}
      </Read>
    </div>
  );
}

function heights(zone: Zone): string {
  const top = zone.ceilingM === undefined ? "without upper end" : `to ${zone.ceilingM} m`;
  return zone.floorM === undefined ? `from the ground ${top}` : `from ${zone.floorM} m ${top}`;
}

function show(zone: Zone): void {
  const corners = zone.area?.corners ?? [];
  if (!corners.length) return;
  const mean = (pick: (corner: (typeof corners)[number]) => number) => corners.reduce((sum, corner) => sum + pick(corner), 0) / corners.length;
  useMap.getState().flyTo(mean((corner) => corner.longitudeDeg), mean((corner) => corner.latitudeDeg));
}

function ZoneForm({ corners }: { corners: readonly { longitude: number; latitude: number }[] }) {
  const agencyId = useOwnAgency();
  const [name, setName] = useState("");
  const [ceiling, setCeiling] = useState("");
  const done = () => useMap.setState({ drawing: undefined });
  const save = useAct(
    () =>
      send(RegistryService.method.createZone, {
        zone: create(ZoneSchema, {
          agencyId,
          name: name.trim(),
          kind: "air",
          area: { corners: corners.map(({ longitude, latitude }) => ({ longitudeDeg: longitude, latitudeDeg: latitude })) },
          ...(ceiling ? { ceilingM: Number(ceiling) } : {}),
        }),
      }),
    () => {
      airZonesChanged();
      done();
    },
  );
  const enough = corners.length >= 3;
  return (
    <form
      className="card stack"
      data-testid="zone-form"
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate(undefined);
      }}
    >
      <p className="secondary" role="status">
        {enough ? `${corners.length} corners. Set more, or save.` : `Click the corners on the map, or set them with arrow keys and Enter: ${corners.length} of at least 3.`}
      </p>
      <Field label="Name" problem={save.error instanceof ProblemError ? save.error.reasonFor("name") : undefined}>
        {(attributes) => <input {...attributes} name="zone-name" required maxLength={120} value={name} onChange={(event) => setName(event.target.value)} />}
      </Field>
      <Field label="Upper end, metres above ground" hint="Empty: without an upper end">
        {(attributes) => <input {...attributes} type="number" min={1} max={20_000} value={ceiling} onChange={(event) => setCeiling(event.target.value)} />}
      </Field>
      <ProblemNote error={save.error} />
      <div className="row">
        <Button type="submit" look="primary" disabled={!enough} busy={save.isPending}>
          Save zone
        </Button>
        <Button disabled={!corners.length} onClick={() => useMap.setState({ drawing: corners.slice(0, -1) })}>
          Undo corner
        </Button>
        <Button look="quiet" onClick={done}>
          Cancel
        </Button>
      </div>
    </form>
  );
}
