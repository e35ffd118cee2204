import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useState } from "react";
import { send } from "../contract/call";
import { dayAndTime, fromLocalInput } from "../contract/time";
import { useAct } from "../contract/use-call";
import { IntakeService } from "../generated/rtcc/intake/v1/intake_pb";
import { useLive } from "../live/store";
import { useMap } from "../map/store";
import { go } from "../shell/router";
import { Table } from "../ui/page";
import { Button, Field, ProblemNote } from "../ui/parts";

const DAY_MS = 86_400_000;

/** Stored reads of a plate. Each search carries purpose and case number and stands in the log (R18). */
export function PlateReads() {
  const [plate, setPlate] = useState("");
  const [from, setFrom] = useState("");
  const search = useAct((asked: string) =>
    send(IntakeService.method.searchPlateReads, { plate: asked, from: fromLocalInput(from) ?? timestampFromMs(Date.now() - DAY_MS), until: timestampFromMs(Date.now()), limit: 200 }, { what: `Search for plate ${asked}` }),
  );
  const cameras = useLive((state) => state.cameras);
  return (
    <div className="stack">
      <form
        className="row"
        style={{ alignItems: "end" }}
        onSubmit={(event) => {
          event.preventDefault();
          search.mutate(plate.replace(/[^A-Za-z0-9?]/g, "").toUpperCase());
        }}
      >
        <Field label="Plate" hint="? stands for one character">
          {(attributes) => <input {...attributes} className="input mono" name="plate" required minLength={2} maxLength={12} autoFocus autoComplete="off" placeholder="ABC12?" value={plate} onChange={(event) => setPlate(event.target.value.toUpperCase())} />}
        </Field>
        <Field label="Since" hint="Empty: the last 24 hours">
          {(attributes) => <input {...attributes} type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} />}
        </Field>
        <Button type="submit" look="primary" busy={search.isPending}>
          Search
        </Button>
      </form>
      <ProblemNote error={search.error} />
      {search.data && (
        <Table
          label="Reads"
          rowTestId="read-row"
          rows={search.data.reads}
          rowKey={(read) => read.eventId}
          empty="No read of this plate in that time."
          columns={[
            { title: "Time", cell: (read) => <span className="mono nowrap">{dayAndTime(read.occurredAt)}</span> },
            { title: "Plate", cell: (read) => <span className="plate">{read.body.case === "plateRead" ? read.body.value.plate : ""}</span> },
            { title: "State", cell: (read) => (read.body.case === "plateRead" ? read.body.value.state || "unknown" : "") },
            { title: "Vehicle", cell: (read) => (read.body.case === "plateRead" ? [read.body.value.vehicleColor, read.body.value.vehicleMake, read.body.value.vehicleModel].filter(Boolean).join(" ") : "") },
            { title: "Camera", cell: (read) => (read.body.case === "plateRead" ? (cameras.get(read.body.value.cameraId)?.name ?? read.body.value.cameraId) : "") },
            { title: "Confidence", cell: (read) => (read.body.case === "plateRead" ? `${Math.round(read.body.value.confidence * 100)} %` : "") },
            {
              title: "",
              cell: (read) => (
                <Button
                  size="small"
                  aria-label="Show on the map"
                  onClick={() => {
                    const at = read.position?.coordinate;
                    if (at) useMap.getState().flyTo(at.longitudeDeg, at.latitudeDeg);
                    go("/map");
                  }}
                >
                  Map
                </Button>
              ),
            },
          ]}
        />
      )}
    </div>
  );
}
