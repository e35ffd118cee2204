import { useMemo, useState } from "react";
import { TrackKind } from "../generated/rtcc/airspace/v1/airspace_pb";
import { span } from "../contract/time";
import { useLive } from "../live/store";
import { EMERGENCY_FLAG, IN_ZONE_FLAG, trackField } from "../live/units";
import { CityMap } from "../map/city-map";
import { shortName } from "../map/moving";
import { useMap } from "../map/store";
import { useRight, useSession } from "../session/store";
import { tellWindows } from "../shell/windows";
import { Tabs } from "../ui/page";
import { useNow } from "../ui/use-now";
import { VideoDock } from "../video/video-dock";
import { kindName, metres } from "./facts";
import { TrackHistory } from "./history";
import { showTrack } from "./show";
import { AirZones } from "./zone-list";
import "../alerts/desk.css";
import "./air.css";

/** Drones, their pilots, aircraft, and the zones in the air. */
export default function Air() {
  const mayList = useRight("zone.list");
  const maySearch = useRight("track.search");
  const [tab, setTab] = useState<"now" | "history" | "zones">("now");
  const tabs = [["now", "In the air"], ...(maySearch ? [["history", "Flown before"] as const] : []), ...(mayList ? [["zones", "Zones"] as const] : [])] as const;
  return (
    <div className="desk" data-map>
      <div className="scene">
        <CityMap />
        <VideoDock />
      </div>
      <section className="side air-side" aria-label="Airspace" data-testid="air">
        <header className="queue-head">
          <h1>Airspace</h1>
        </header>
        <Tabs label="Airspace" tabs={tabs} value={tab} onValue={setTab} />
        {tab === "now" && <TracksNow />}
        {tab === "history" && <TrackHistory />}
        {tab === "zones" && <AirZones />}
      </section>
    </div>
  );
}

interface Shown {
  number: number;
  trackId: string;
  name: string;
  kind: TrackKind;
  serial: string;
  height: number;
  ageS: number;
  inZone: boolean;
  emergency: boolean;
}

/** Drones in a zone first, then strangers, our own, aircraft. */
function rank(track: Shown): number {
  if (track.emergency) return 0;
  if (track.kind === TrackKind.DRONE) return track.inZone ? 1 : 2;
  return track.kind === TrackKind.OWN_DRONE ? 3 : 4;
}

function TracksNow() {
  const names = useLive((state) => state.tracks);
  const picked = useMap((state) => state.picked);
  const now = useNow(1000) + useSession((state) => state.clockSkewMs);
  const rows = useMemo(() => {
    const found: Shown[] = [];
    for (const [number, track] of names) {
      const row = trackField.rowOf(number);
      if (row === undefined) continue;
      const flags = trackField.flags[row] as number;
      found.push({
        number,
        trackId: track.trackId,
        name: shortName(track.identity, track.kind),
        kind: track.kind,
        serial: track.identity?.serialNumber || track.identity?.sessionId || track.identity?.registration || "",
        height: trackField.heights[row] as number,
        ageS: (now - (trackField.fixedAtMs[row] as number)) / 1000,
        inZone: (flags & IN_ZONE_FLAG) > 0,
        emergency: (flags & EMERGENCY_FLAG) > 0,
      });
    }
    return found.sort((one, other) => rank(one) - rank(other) || one.name.localeCompare(other.name));
  }, [names, now]);
  if (!rows.length) return <p className="empty">Nothing is in the air in this part of the map. Receivers are set up under Sources.</p>;
  return (
    <ul className="list-plain" aria-label="In the air">
      {rows.map((track) => (
        <li key={track.number}>
          <button type="button" className="list-row" data-testid="track-row" data-track-id={track.trackId} data-selected={picked?.kind === "track" && picked.number === track.number ? true : undefined} onClick={() => show(track)}>
            <span className="air-mark" data-kind={track.kind === TrackKind.DRONE ? (track.inZone ? "zone" : "drone") : track.kind === TrackKind.OWN_DRONE ? "own" : "aircraft"} aria-hidden="true" />
            <span className="list-text">
              <strong className="ellipsis">{track.name}</strong>
              <span className="muted ellipsis">
                {kindName(track.kind)}
                {track.serial && ` · ${track.serial}`}
              </span>
            </span>
            <span className="list-end">
              {track.emergency ? <span className="badge" data-tone="bad">emergency</span> : track.inZone ? <span className="badge" data-tone="act">in a zone</span> : <span className="mono">{metres(track.height)}</span>}
              <span className="muted">{span(track.ageS)} ago</span>
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function show(track: Shown): void {
  showTrack(track.number);
  tellWindows({ kind: "track", trackId: track.trackId });
}
