import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useEffect, useState } from "react";
import { send } from "../contract/call";
import { dayAndTime, fromLocalInput } from "../contract/time";
import { useAct } from "../contract/use-call";
import { AirspaceService, type Track } from "../generated/rtcc/airspace/v1/airspace_pb";
import { shortName } from "../map/moving";
import { useMap } from "../map/store";
import { Button, Field, ProblemNote } from "../ui/parts";

const DAY_MS = 86_400_000;

/** Stored flights: by time and serial number, each with its path. Carries purpose and case number like every search of history. */
export function TrackHistory() {
  const [serial, setSerial] = useState("");
  const [from, setFrom] = useState("");
  const search = useAct(() => send(AirspaceService.method.searchTracks, { serialNumber: serial.trim(), from: fromLocalInput(from) ?? timestampFromMs(Date.now() - DAY_MS), until: timestampFromMs(Date.now()), limit: 100 }, { what: "Search of flights" }));
  const path = useAct((track: Track) => send(AirspaceService.method.getTrackPath, { trackId: track.trackId, limit: 1000 }, { what: `Path of ${shortName(track.identity, track.kind)}` }), (answer) => {
    const points = answer.points.flatMap(({ position }) => (position?.coordinate ? [{ longitude: position.coordinate.longitudeDeg, latitude: position.coordinate.latitudeDeg }] : []));
    const last = points.at(-1);
    if (!last) return;
    useMap.setState({ trail: { points, label: answer.track ? shortName(answer.track.identity, answer.track.kind) : "", accuracyM: 0 } });
    useMap.getState().flyTo(last.longitude, last.latitude);
  });
  useEffect(() => () => useMap.setState({ trail: undefined }), []);
  return (
    <div className="side-body stack">
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          search.mutate(undefined);
        }}
      >
        <Field label="Serial number" hint="Exact; empty: any drone or aircraft">
          {(attributes) => <input {...attributes} className="input mono" maxLength={64} autoComplete="off" value={serial} onChange={(event) => setSerial(event.target.value)} />}
        </Field>
        <Field label="Since" hint="Empty: the last 24 hours">
          {(attributes) => <input {...attributes} type="datetime-local" value={from} onChange={(event) => setFrom(event.target.value)} />}
        </Field>
        <Button type="submit" look="primary" busy={search.isPending}>
          Search flights
        </Button>
      </form>
      <ProblemNote error={search.error ?? path.error} />
      {search.data && !search.data.tracks.length && <p className="empty card">No flight in that time.</p>}
      <ul className="stack">
        {search.data?.tracks.map((track) => (
          <li key={track.trackId} className="card stack tight">
            <strong>{shortName(track.identity, track.kind)}</strong>
            <span className="mono muted">{track.identity?.serialNumber || track.identity?.registration || track.identity?.sessionId}</span>
            <span className="muted">
              {dayAndTime(track.firstObservedAt)} to {dayAndTime(track.observedAt)}
            </span>
            <div className="row">
              <Button size="small" busy={path.isPending && path.variables?.trackId === track.trackId} onClick={() => path.mutate(track)}>
                Show its path
              </Button>
            </div>
          </li>
        ))}
      </ul>
    </div>
  );
}
