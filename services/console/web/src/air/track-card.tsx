import { PilotPlace } from "../generated/rtcc/airspace/v1/airspace_pb";
import { span } from "../contract/time";
import { useLive } from "../live/store";
import { EMERGENCY_FLAG, IN_ZONE_FLAG, latitudeOf, longitudeOf, ON_GROUND_FLAG, trackField } from "../live/units";
import { distanceMetres } from "../map/geometry";
import { pilotPlaceName, shortName } from "../map/moving";
import { useMap } from "../map/store";
import { useOwnAgency, useSession } from "../session/store";
import { Button, PartnerBadge } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { openCamera } from "../video/dock";
import { compass, identityFacts, kindName, metres, placeMeaning } from "./facts";
import { useAirZones } from "./zones";

/** A drone or aircraft on the map: who it says it is, how high, and where its pilot or take-off point is. */
export function TrackCard({ number, onClose }: { number: number; onClose(): void }) {
  const track = useLive((state) => state.tracks.get(number));
  const agencies = useLive((state) => state.agencies);
  const own = useOwnAgency();
  const zones = useAirZones();
  const now = useNow(1000) + useSession((state) => state.clockSkewMs);
  const row = trackField.rowOf(number);
  if (!track || row === undefined) return null;
  const flags = trackField.flags[row] as number;
  const here = { longitudeDeg: longitudeOf(trackField.toX[row] as number), latitudeDeg: latitudeOf(trackField.toY[row] as number) };
  const pilot = Number.isNaN(trackField.pilotX[row] as number) ? undefined : { longitudeDeg: longitudeOf(trackField.pilotX[row] as number), latitudeDeg: latitudeOf(trackField.pilotY[row] as number) };
  const speed = trackField.speeds[row] as number;
  const inZones = zones.filter((zone) => track.zoneIds.includes(zone.zoneId)).map((zone) => zone.name);
  const partner = track.agencyId !== own;
  const sight = trackField.sights.get(number);
  return (
    <aside className={`unit-card track-card card ${partner ? "shared-stripe" : ""}`} aria-label={`${kindName(track.kind)} ${shortName(track.identity, track.kind)}`} data-testid="track-card" data-track-id={track.trackId}>
      <div className="spread keep">
        <h2>{shortName(track.identity, track.kind)}</h2>
        <Button size="small" look="quiet" aria-label="Close" onClick={onClose}>
          ✕
        </Button>
      </div>
      <div className="row">
        <span className="badge">{kindName(track.kind)}</span>
        {(flags & EMERGENCY_FLAG) > 0 && <span className="badge" data-tone="bad">emergency</span>}
        {((flags & IN_ZONE_FLAG) > 0 || inZones.length > 0) && <span className="badge" data-tone="act">in {inZones.join(", ") || "a zone"}</span>}
        {(flags & ON_GROUND_FLAG) > 0 && <span className="badge">on the ground</span>}
        {partner && <PartnerBadge agency={agencies.get(track.agencyId)?.name ?? track.agencyId} />}
      </div>
      <dl className="facts">
        {identityFacts(track.identity).map(([name, value]) => (
          <div key={name} style={{ display: "contents" }}>
            <dt>{name}</dt>
            <dd className={/serial|session|operator|ICAO/i.test(name) ? "mono" : ""}>{value}</dd>
          </div>
        ))}
        <dt>Height</dt>
        <dd data-testid="track-height">{metres(trackField.heights[row])} above take-off or ground</dd>
        <dt>Altitude</dt>
        <dd>{metres(trackField.altitudes[row])}</dd>
        <dt>Speed</dt>
        <dd>
          {Number.isNaN(speed) ? "unknown" : `${Math.round(speed * 3.6)} km/h`}, {compass(trackField.headings[row] as number)}
        </dd>
        <dt>Heard</dt>
        <dd>
          {span((now - (trackField.fixedAtMs[row] as number)) / 1000)} ago, for {span((now - track.firstObservedAtMs) / 1000)}
        </dd>
      </dl>
      {sight && (
        <div className="note" data-testid="track-sight" data-camera-id={sight.cameraId}>
          {sight.middle ? `Films the ground ${Math.round(distanceMetres(here, { longitudeDeg: sight.middle[0], latitudeDeg: sight.middle[1] }))} m away.` : "Films; it doesn't tell which ground."}
          <div className="row">
            {sight.middle && (
              <Button size="small" onClick={() => useMap.getState().flyTo(...(sight.middle as [number, number]))}>
                Show that ground
              </Button>
            )}
            <Button size="small" look="primary" onClick={() => openCamera(sight.cameraId)}>
              Watch its video
            </Button>
          </div>
        </div>
      )}
      <div className="note" data-tone={pilot ? "act" : undefined} data-testid="pilot-place" data-place={PilotPlace[track.pilotPlace].toLowerCase()}>
        {pilot ? placeMeaning(track.pilotPlace) : "Neither pilot nor take-off point is broadcast."}
        {pilot && (
          <div className="row">
            <span className="mono">
              {pilot.latitudeDeg.toFixed(5)}, {pilot.longitudeDeg.toFixed(5)}
            </span>
            <span>{Math.round(distanceMetres(here, pilot))} m away</span>
            <Button size="small" onClick={() => useMap.getState().flyTo(pilot.longitudeDeg, pilot.latitudeDeg)}>
              Show {pilotPlaceName(track.pilotPlace)}
            </Button>
          </div>
        )}
      </div>
    </aside>
  );
}
