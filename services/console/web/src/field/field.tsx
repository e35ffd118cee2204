import { useEffect, useMemo, useState } from "react";
import { acknowledge, showAlert } from "../alerts/actions";
import { ordered, everything, isUnacknowledged, stateOf, type QueueItem } from "../alerts/queue";
import { openAlert } from "../alerts/selection";
import { age, clockTime, span } from "../contract/time";
import { AlertState } from "../generated/rtcc/alerting/v1/alerting_pb";
import { useLive } from "../live/store";
import { latitudeOf, longitudeOf, unitField } from "../live/units";
import { incidentOf } from "../incidents/words";
import { CityMap } from "../map/city-map";
import { distanceMetres } from "../map/geometry";
import { useMap } from "../map/store";
import { lockSession, signOut } from "../session/auth";
import { useRight, useSession } from "../session/store";
import { useDesk } from "../shell/desk";
import { Notices } from "../ui/notices";
import { Button, PartnerBadge, SeverityMark } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { closeCamera, dockCameras, useDock } from "../video/dock";
import { VideoTile } from "../video/video-dock";
import "../video/video.css";
import { OwnIncident } from "./own-incident";
import { PlateCheck } from "./plate-check";
import "./field.css";

type Tab = "map" | "alerts" | "calls" | "me";
/** Faster than this nobody types. */
const DRIVING_MPS = 8 / 3.6;
const CARDS = 20;

/** From the next start on the shell opens without a connection. Browsers offer this on HTTPS and on this computer itself. */
function keepShell(): void {
  if ("serviceWorker" in navigator) void navigator.serviceWorker.register("/field-shell.js", { scope: "/field" }).catch(() => undefined);
}

/** The officer's phone: large targets, three actions a card, nothing to type while driving. */
export default function Field() {
  const [tab, setTab] = useState<Tab>("map");
  useEffect(keepShell, []);
  const clockSkewMs = useSession((state) => state.clockSkewMs);
  const now = useNow(1000) + clockSkewMs;
  const incidents = useLive((state) => state.incidents);
  const unitId = useSession((state) => state.session?.person.unit_id ?? "");
  const units = useLive((state) => state.units);
  const link = useLive((state) => state.link);
  const alerts = useLive((state) => state.alerts);
  const tile = useDock((state) => state.tiles[0]);
  const row = useMemo(() => {
    const own = [...units.values()].find((unit) => unit.unitId === unitId);
    return own ? unitField.rowOf(own.number) : undefined;
    // A new fix may be the unit's first: look again each second.
  }, [units, unitId, now]);
  const here = row === undefined ? undefined : { latitudeDeg: latitudeOf(unitField.toY[row] as number), longitudeDeg: longitudeOf(unitField.toX[row] as number) };
  const driving = row !== undefined && (unitField.speeds[row] as number) > DRIVING_MPS;
  const own = useMemo(() => incidentOf(unitId, incidents.values()), [unitId, incidents]);
  const cards = useMemo(() => ordered(alerts.values(), everything).slice(0, CARDS), [alerts]);
  return (
    <div className="field-view" data-tab={tab} data-testid="field" data-driving={driving || undefined}>
      <header className="field-head">
        <h1>{units.size && row !== undefined ? ([...units.values()].find((unit) => unit.unitId === unitId)?.callSign ?? "Field") : "Field"}</h1>
        <span className="grow" />
        <span className="secondary" data-testid="own-fix">
          {row === undefined ? "no own fix" : `last fix ${span((now - (unitField.fixedAtMs[row] as number)) / 1000)} ago`}
        </span>
        <span className="badge" data-tone={link.state === "live" ? "live" : "act"}>
          {link.state === "live" ? "live" : link.sinceMs ? `${span((Date.now() - link.sinceMs) / 1000)} old` : "connecting"}
        </span>
      </header>
      <main className="field-main">
        {(tab === "map" || tab === "alerts") && (
          <>
            {tab === "map" && (
              <div className="field-map">
                <CityMap
                  compact
                  onAlert={(id) => {
                    const item = useLive.getState().alerts.get(id);
                    if (item) showAlert(item);
                  }}
                />
              </div>
            )}
            {tile && (
              <div className="field-tile">
                <VideoTile cameraId={tile.cameraId} attempt={tile.attempt} index={0} />
                <Button size="large" onClick={() => closeCamera(tile.cameraId)}>
                  Close video
                </Button>
              </div>
            )}
            {tab === "map" && own && <OwnIncident incident={own.incident} assignment={own.assignment} driving={driving} now={now} clockSkewMs={clockSkewMs} />}
            {tab === "map" && !driving && <PlateCheck />}
            {driving && <p className="note">Driving: no typing. {cards[0] ? `${cards[0].alert.title}, ${cards[0].alert.context?.place ?? ""}` : "No alert."}</p>}
            <ul className="field-cards" aria-label="Alerts">
              {cards.slice(0, driving ? 1 : CARDS).map((item) => (
                <FieldCard key={item.id} item={item} here={here} now={now} />
              ))}
              {!cards.length && <li className="empty">No alerts.</li>}
            </ul>
          </>
        )}
        {tab === "calls" && <Calls now={now} />}
        {tab === "me" && <Me />}
      </main>
      <nav className="field-tabs" aria-label="Views">
        {(["map", "alerts", "calls", "me"] as const).map((one) => (
          <button key={one} type="button" aria-current={one === tab ? "page" : undefined} onClick={() => setTab(one)}>
            {{ map: "Map", alerts: "Alerts", calls: "Calls", me: "Me" }[one]}
          </button>
        ))}
      </nav>
      <Notices />
    </div>
  );
}

function FieldCard({ item, here, now }: { item: QueueItem; here: { latitudeDeg: number; longitudeDeg: number } | undefined; now: number }) {
  const { alert } = item;
  const at = alert.position?.coordinate;
  const mayAcknowledge = useRight(item.shared ? "shared_alert.acknowledge" : "alert.acknowledge");
  const mayView = useRight("camera.view_live");
  const camera = alert.context?.cameras[0];
  const agency = useLive((state) => state.agencies.get(alert.agencyId)?.name ?? alert.agencyId);
  return (
    <li className={`card field-card ${item.shared ? "shared-stripe" : ""}`} data-alert-id={item.id} data-state={AlertState[stateOf(item)].toLowerCase()}>
      <div className="row" style={{ flexWrap: "nowrap" }}>
        <SeverityMark severity={alert.severity || 4} size={34} />
        <div style={{ minWidth: 0, flex: 1 }}>
          <h2>{alert.title}</h2>
          <p className="secondary">
            {[alert.context?.place, `${age(alert.occurredAt, now)} ago`, at && here && kilometres(distanceMetres(at, here))].filter(Boolean).join(" · ")}
          </p>
          {item.shared && <PartnerBadge agency={agency} />}
        </div>
      </div>
      <div className="field-actions">
        {isUnacknowledged(item) && mayAcknowledge && (
          <Button look="primary" size="large" onClick={() => void acknowledge(item)}>
            Got it
          </Button>
        )}
        {camera && mayView && (
          <Button
            size="large"
            onClick={() => {
              openAlert(item.id);
              dockCameras([camera.cameraId]);
            }}
          >
            View
          </Button>
        )}
        {at && (
          <>
            <Button size="large" onClick={() => useMap.getState().flyTo(at.longitudeDeg, at.latitudeDeg, alert.severity)}>
              Show
            </Button>
            <a className="button" data-size="large" href={`geo:${at.latitudeDeg},${at.longitudeDeg}?q=${at.latitudeDeg},${at.longitudeDeg}`}>
              Navigate
            </a>
          </>
        )}
      </div>
    </li>
  );
}

function kilometres(metres: number): string {
  return metres < 950 ? `${Math.round(metres / 10) * 10} m` : `${(metres / 1000).toFixed(1)} km`;
}

function Calls({ now }: { now: number }) {
  const calls = useLive((state) => state.calls);
  const newest = [...calls.values()].sort((one, other) => Number((other.occurredAt?.seconds ?? 0n) - (one.occurredAt?.seconds ?? 0n))).slice(0, 40);
  return (
    <ul className="field-cards" aria-label="Calls for service">
      {newest.map((call) => {
        if (call.body.case !== "callForService") return null;
        const { callType, priority, address, narrative, status } = call.body.value;
        return (
          <li key={call.eventId} className="card stack" style={{ gap: 4 }}>
            <div className="spread">
              <h2>{callType}</h2>
              <span className="badge">{priority ? `P${priority}` : status}</span>
            </div>
            <p>{address}</p>
            <p className="secondary">{narrative}</p>
            <p className="muted">
              {clockTime(call.occurredAt)} · {age(call.occurredAt, now)} ago
            </p>
          </li>
        );
      })}
      {!newest.length && <li className="empty">No calls.</li>}
    </ul>
  );
}

function Me() {
  const session = useSession((state) => state.session);
  const theme = useDesk((state) => state.theme);
  return (
    <div className="stack" style={{ padding: 16 }}>
      <h1>{session?.person.display_name}</h1>
      <p className="secondary">
        {session?.person.agency_name} · {session?.person.roles.join(", ")}
      </p>
      <Button size="large" onClick={() => useDesk.getState().setTheme(theme === "dark" ? "day" : "dark")}>
        {theme === "dark" ? "Day theme" : "Night theme"}
      </Button>
      <Button size="large" onClick={() => void lockSession().then(() => useSession.getState().lock())}>
        Lock
      </Button>
      <Button size="large" onClick={() => void signOut().finally(() => useSession.getState().load())}>
        Sign out
      </Button>
    </div>
  );
}
