import { useEffect, useMemo, useState } from "react";
import { send } from "../contract/call";
import { age, clockTime, dayAndTime } from "../contract/time";
import { useAct, useRead } from "../contract/use-call";
import { IncidentsService, IncidentState, type GetIncidentResponse, type Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import { RegistryService } from "../generated/rtcc/registry/v1/registry_pb";
import { splitTitle } from "../alerts/queue";
import { useLive } from "../live/store";
import { CityMap } from "../map/city-map";
import { useMap } from "../map/store";
import { useRight, useSession } from "../session/store";
import { follow, go } from "../shell/router";
import { notifyProblem } from "../ui/notices";
import { Read, Tabs } from "../ui/page";
import { Button, Dialog, Field, ProblemNote, SeverityMark } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { dockCameras } from "../video/dock";
import { VideoDock } from "../video/video-dock";
import { take } from "./actions";
import { Arrival } from "./arrival";
import { AttachAlert } from "./attach-alert";
import { CloseIncident } from "./close-dialog";
import { Timeline } from "./timeline";
import { UnitsPanel } from "./units-panel";
import { outcomeName, priorityName } from "./words";

/** One incident: dispatch's facts and units, the map with the floor plan, cameras, timeline, and what to know before arrival. */
export function Workspace({ incidentId }: { incidentId: string }) {
  const query = useRead(IncidentsService.method.getIncident, { incidentId });
  const live = useLive((state) => state.incidents.get(incidentId));
  return (
    <div className="work" data-testid="incident">
      <Read query={query}>{(data) => <Whole data={data} incident={newest(data.incident, live)} />}</Read>
    </div>
  );
}

function newest(read: Incident | undefined, live: Incident | undefined): Incident | undefined {
  return live && (!read || live.revision >= read.revision) ? live : read;
}

function Whole({ data, incident }: { data: GetIncidentResponse; incident: Incident | undefined }) {
  const mayCard = useRight("arrival_card.read");
  const mayBrief = useRight("incident.brief") || mayCard;
  const [tab, setTab] = useState<"timeline" | "arrival">("timeline");
  usePlansOnMap(data);
  useFirstFlight(incident);
  if (!incident) return <p className="empty">There is no such incident, or it is not yours to see.</p>;
  return (
    <>
      <Head incident={incident} />
      <div className="work-body">
        <div className="work-left">
          <Facts incident={incident} />
          <UnitsPanel incident={incident} />
          <Alerts incident={incident} />
        </div>
        <div className="scene">
          <CityMap />
          <VideoDock />
        </div>
        <div className="work-right">
          <Tabs
            label="Incident"
            tabs={[["timeline", "Timeline"], ...(mayBrief ? [["arrival", "Before arrival"] as const] : [])] as const}
            value={tab}
            onValue={setTab}
          />
          <div className="work-scroll">{tab === "timeline" ? <Timeline incident={incident} /> : <Arrival incident={incident} />}</div>
        </div>
      </div>
    </>
  );
}

/** The plans of the place lie on the map while the workspace is open. */
function usePlansOnMap(data: GetIncidentResponse): void {
  useEffect(() => {
    useMap.setState({ plans: data.floorPlans });
    return () => useMap.setState({ plans: [] });
  }, [data.floorPlans]);
}

function useFirstFlight(incident: Incident | undefined): void {
  const at = incident?.position?.coordinate;
  const [longitude, latitude] = [at?.longitudeDeg, at?.latitudeDeg];
  useEffect(() => {
    if (longitude !== undefined && latitude !== undefined) useMap.getState().flyTo(longitude, latitude, 0);
  }, [longitude, latitude]);
}

function Head({ incident }: { incident: Incident }) {
  const now = useNow(1000) + useSession((state) => state.clockSkewMs);
  const mayClose = useRight("incident.close");
  const mayReopen = useRight("incident.reopen");
  const [closing, setClosing] = useState(false);
  const [reopening, setReopening] = useState(false);
  const open = incident.state === IncidentState.OPEN;
  return (
    <header className="work-head">
      <a className="button" data-look="quiet" data-size="small" href="/incident" onClick={follow} aria-label="All incidents">
        ←
      </a>
      <h1>
        <span className="mono">{incident.number}</span> {incident.kind}
      </h1>
      <span className="badge" data-tone={incident.priority === 1 ? "bad" : incident.priority === 2 ? "act" : undefined}>
        {priorityName(incident.priority)}
      </span>
      <span className="badge" data-testid="incident-state">
        {open ? `open ${age(incident.openedAt, now)}` : `closed: ${outcomeName(incident.outcome)}`}
      </span>
      <span className="secondary ellipsis">{incident.address || incident.title}</span>
      <span className="grow" />
      {open && mayClose && (
        <Button onClick={() => setClosing(true)} data-testid="incident-close">
          Close…
        </Button>
      )}
      {!open && mayReopen && <Button onClick={() => setReopening(true)}>Reopen…</Button>}
      {closing && <CloseIncident incident={incident} onClose={() => setClosing(false)} />}
      {reopening && <Reopen incident={incident} onClose={() => setReopening(false)} />}
    </header>
  );
}

function Reopen({ incident, onClose }: { incident: Incident; onClose(): void }) {
  const [reason, setReason] = useState("");
  const reopen = useAct(() => send(IncidentsService.method.reopenIncident, { incidentId: incident.incidentId, reason: reason.trim() }), (answer) => {
    take(answer.incident);
    onClose();
  });
  return (
    <Dialog title={`Reopen ${incident.number}`} onClose={onClose} onSubmit={() => reopen.mutate(undefined)} foot={<Button type="submit" look="primary" busy={reopen.isPending}>Reopen</Button>}>
      <Field label="Why">{(attributes) => <input {...attributes} required maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} />}</Field>
      <ProblemNote error={reopen.error} />
    </Dialog>
  );
}

function Facts({ incident }: { incident: Incident }) {
  const mayRank = useRight("camera.rank");
  const at = incident.position?.coordinate;
  const supplemental = incident.supplementalPosition?.coordinate;
  const dock = useAct(async () => {
    if (at) dockCameras((await send(RegistryService.method.rankCameras, { coordinate: at, limit: 4 })).cameras.flatMap((ranked) => ranked.camera?.cameraId ?? []));
  });
  return (
    <section className="panel stack" aria-label="From dispatch">
      <div className="spread">
        <h2>Dispatch</h2>
        {at && mayRank && (
          <Button size="small" busy={dock.isPending} onClick={() => dock.mutate(undefined, { onError: notifyProblem })} data-testid="dock-scene">
            Dock cameras
          </Button>
        )}
      </div>
      {incident.narrative && <p className="narrative">{incident.narrative}</p>}
      <dl className="facts">
        <dt>Happened</dt>
        <dd title={dayAndTime(incident.occurredAt)}>{clockTime(incident.occurredAt)}</dd>
        {incident.callStatus && (
          <>
            <dt>Status</dt>
            <dd>{incident.callStatus}</dd>
          </>
        )}
        {incident.callerNumber && (
          <>
            <dt>Caller</dt>
            <dd className="mono">{incident.callerNumber}</dd>
          </>
        )}
        <dt>Signals</dt>
        <dd>
          {incident.signals} ({incident.origin})
        </dd>
        {supplemental && (
          <>
            <dt>Device says</dt>
            <dd>
              <Button size="small" onClick={() => useMap.getState().flyTo(supplemental.longitudeDeg, supplemental.latitudeDeg)}>
                Show the caller's device
              </Button>{" "}
              <span className="muted">beside, never instead of, the regulated place; {clockTime(incident.supplementalAt)}</span>
            </dd>
          </>
        )}
      </dl>
      {incident.state === IncidentState.CLOSED && (
        <p className="note">
          {outcomeName(incident.outcome)}
          {incident.outcomeNote && `: ${incident.outcomeNote}`} <span className="muted">{[incident.closedByName, dayAndTime(incident.closedAt)].join(", ")}</span>
        </p>
      )}
    </section>
  );
}

function Alerts({ incident }: { incident: Incident }) {
  const mayAttach = useRight("incident.attach_alert");
  const alerts = useLive((state) => state.alerts);
  const [attaching, setAttaching] = useState(false);
  const here = useMemo(() => incident.alertIds.map((id) => ({ id, item: alerts.get(id) })), [incident.alertIds, alerts]);
  return (
    <section className="panel stack" aria-label="Alerts" data-testid="incident-alerts">
      <div className="spread">
        <h2>Alerts</h2>
        {mayAttach && incident.state === IncidentState.OPEN && (
          <Button size="small" onClick={() => setAttaching(true)} data-testid="attach-alert">
            Attach…
          </Button>
        )}
      </div>
      <ul className="stack tight">
        {here.map(({ id, item }) => (
          <li key={id}>
            <button type="button" className="link row" onClick={() => go(`/map?alert=${encodeURIComponent(id)}`)} data-alert={id}>
              {item ? (
                <>
                  <SeverityMark severity={item.alert.severity || 4} size={20} />
                  <span className="ellipsis">{splitTitle(item.alert.title)[0]}</span>
                </>
              ) : (
                <span className="muted">Closed alert</span>
              )}
            </button>
          </li>
        ))}
        {!here.length && <li className="muted">None.</li>}
      </ul>
      {attaching && <AttachAlert incident={incident} onClose={() => setAttaching(false)} />}
    </section>
  );
}
