import { create } from "@bufbuild/protobuf";
import { useState } from "react";
import { send } from "../contract/call";
import { ProblemError } from "../contract/problem";
import { span } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { LocationService } from "../generated/rtcc/location/v1/location_pb";
import { RegistryService, UnitSchema } from "../generated/rtcc/registry/v1/registry_pb";
import { STALE_AFTER_S } from "../live/units";
import { useLive } from "../live/store";
import { useMap } from "../map/store";
import { layTrail } from "../map/trail";
import { useOwnAgency, useRight, useSession } from "../session/store";
import { notifyProblem } from "../ui/notices";
import { go } from "../shell/router";
import { OnceSecret, Page, Read, Table } from "../ui/page";
import { Button, Dialog, Field, PartnerBadge, ProblemNote } from "../ui/parts";

/** The status board: every unit we may see, with the age of its last fix; and the admission of new devices. */
/** Buses and trams come after those who can be sent. */
const isPublic = (kind: string) => kind === "transit";

export default function Units() {
  const mayCreate = useRight("unit.create");
  const mayList = useRight("unit.list");
  const [creating, setCreating] = useState(false);
  const positions = useRead(LocationService.method.listPositions, {}, { everyMs: 2_000 });
  const registered = useRead(RegistryService.method.listUnits, {}, { enabled: mayList });
  const agencies = useLive((state) => state.agencies);
  const own = useOwnAgency();
  const mayTrail = useRight("position.trail");
  const silent = (registered.data?.units ?? []).filter((unit) => !positions.data?.positions.some((position) => position.unitId === unit.unitId));
  return (
    <Page
      title="Units"
      actions={
        mayCreate && (
          <Button look="primary" onClick={() => setCreating(true)}>
            New unit
          </Button>
        )
      }
    >
      <Read query={positions}>
        {(data) => (
          <Table
            label="Units on the move"
            rowTestId="unit-row"
            rows={[...data.positions].sort((one, other) => Number(isPublic(one.kind)) - Number(isPublic(other.kind)) || one.callSign.localeCompare(other.callSign, undefined, { numeric: true }))}
            rowKey={(unit) => unit.unitId}
            empty="No unit has reported a position yet."
            columns={[
              { title: "Call sign", cell: (unit) => <strong>{unit.callSign || unit.unitId}</strong> },
              { title: "Kind", cell: (unit) => unit.kind },
              { title: "Agency", cell: (unit) => (unit.agencyId === own ? (agencies.get(own)?.name ?? own) : <PartnerBadge agency={agencies.get(unit.agencyId)?.name ?? unit.agencyId} />) },
              { title: "Speed", cell: (unit) => <span className="mono">{Math.round((unit.position?.speedMps ?? 0) * 3.6)} km/h</span> },
              {
                title: "Last fix",
                cell: (unit) => (
                  <span className="row">
                    <span className="mono">{span(unit.ageS)} ago</span>
                    {unit.panic && <span className="badge" data-tone="bad">duress</span>}
                    {unit.ageS > STALE_AFTER_S && <span className="badge" data-tone="act">no fix</span>}
                  </span>
                ),
              },
              { title: "Accuracy", cell: (unit) => <span className="mono">{unit.position?.accuracyM ? `± ${Math.round(unit.position.accuracyM)} m` : "unknown"}</span> },
              {
                title: "",
                cell: (unit) => (
                  <span className="row">
                    <Button
                      size="small"
                      aria-label={`Show ${unit.callSign} on the map`}
                      onClick={() => {
                        const at = unit.position?.coordinate;
                        if (at) useMap.getState().flyTo(at.longitudeDeg, at.latitudeDeg);
                        go("/map");
                      }}
                    >
                      Map
                    </Button>
                    {mayTrail && unit.agencyId === own && (
                      <Button
                        size="small"
                        aria-label={`Where ${unit.callSign} went`}
                        data-testid="unit-trail"
                        onClick={() => layTrail(unit.unitId, unit.callSign, Date.now() + useSession.getState().clockSkewMs).then(() => go("/map"), notifyProblem)}
                      >
                        Trail…
                      </Button>
                    )}
                  </span>
                ),
              },
            ]}
          />
        )}
      </Read>
      {silent.length > 0 && (
        <p className="note">
          Registered, no position yet: {silent.map((unit) => unit.callSign).join(", ")}
        </p>
      )}
      {creating && <UnitForm onClose={() => setCreating(false)} />}
    </Page>
  );
}

function UnitForm({ onClose }: { onClose(): void }) {
  const agencyId = useOwnAgency();
  const [callSign, setCallSign] = useState("");
  const [kind, setKind] = useState("patrol");
  const [deviceId, setDeviceId] = useState("");
  const save = useAct(() => send(RegistryService.method.createUnit, { unit: create(UnitSchema, { agencyId, callSign: callSign.trim(), kind, deviceId: deviceId.trim(), enabled: true }) }));
  const reason = (field: string) => (save.error instanceof ProblemError ? save.error.reasonFor(field) : undefined);
  return (
    <Dialog title="New unit" onClose={onClose} onSubmit={() => (save.data ? onClose() : save.mutate(undefined))} foot={<Button type="submit" look="primary" busy={save.isPending}>{save.data ? "Done" : "Create"}</Button>}>
      {save.data ? (
        <OnceSecret label={`Device key of ${callSign}`} value={save.data.deviceKey} hint="Shown once. Enter it in the tracking app." />
      ) : (
        <>
          <Field label="Call sign" problem={reason("call_sign")}>
            {(attributes) => <input {...attributes} required maxLength={40} autoFocus value={callSign} onChange={(event) => setCallSign(event.target.value)} />}
          </Field>
          <Field label="Kind">
            {(attributes) => (
              <select {...attributes} value={kind} onChange={(event) => setKind(event.target.value)}>
                {["patrol", "officer", "drone", "command"].map((one) => (
                  <option key={one}>{one}</option>
                ))}
              </select>
            )}
          </Field>
          <Field label="Device id" hint="The tracking device that reports for it; unique in the installation" problem={reason("device_id")}>
            {(attributes) => <input {...attributes} required maxLength={80} value={deviceId} onChange={(event) => setDeviceId(event.target.value)} />}
          </Field>
          <ProblemNote error={save.error} />
        </>
      )}
    </Dialog>
  );
}
