import { useMemo, useState } from "react";
import { age, clockTime, dayAndTime, span } from "../contract/time";
import { AlertState, MatchKind, PlateDisposition } from "../generated/rtcc/alerting/v1/alerting_pb";
import { GunshotStage } from "../generated/rtcc/event/v1/event_pb";
import { useLive } from "../live/store";
import { useRight, useSession } from "../session/store";
import { Button, Dialog, Field, PartnerBadge, ProblemNote, SeverityMark } from "../ui/parts";
import { useNow } from "../ui/use-now";
import { openCamera } from "../video/dock";
import { acknowledge, acknowledgeAndOpen, closeAlert, confirmPlate, dockFor, startWork } from "./actions";
import { stateName } from "./alert-list";
import { Deliveries, JoinedEvents } from "./behind";
import { KindFacts } from "./kinds";
import { escalationWords, holderOf, isUnacknowledged, needsConfirmation, relatedCalls, splitTitle, stateOf, type QueueItem } from "./queue";
import { openAlert } from "./selection";
import { ToIncident } from "./to-incident";

export function AlertDetail({ item }: { item: QueueItem }) {
  const { alert } = item;
  const now = useNow(1000) + useSession((state) => state.clockSkewMs);
  const sharedBy = useLive((state) => state.agencies.get(alert.agencyId)?.name ?? alert.agencyId);
  const [head, rest] = splitTitle(alert.title);
  return (
    <section className={`detail ${item.shared ? "shared-stripe" : ""}`} aria-label="Alert" data-testid="alert-detail" data-alert={item.id} data-alert-state={stateName(item)}>
      <header className="spread">
        <div className="row">
          <SeverityMark severity={alert.severity || 4} size={30} />
          <div>
            <h2>{head}</h2>
            <p className="secondary">{[rest, alert.context?.place].filter(Boolean).join(" · ")}</p>
          </div>
        </div>
        <Button look="quiet" size="small" aria-label="Close details" onClick={() => openAlert(undefined)}>
          ✕
        </Button>
      </header>
      <div className="row">
        <span className="badge" data-tone={isUnacknowledged(item) ? "act" : undefined}>
          {stateName(item)}
          {holderOf(item) && ` · ${holderOf(item)}`}
        </span>
        {item.shared && <PartnerBadge agency={sharedBy} />}
        <span className="secondary">
          {clockTime(alert.occurredAt)} · {age(alert.occurredAt, now)} ago
        </span>
        {alert.signals > 1 && <span className="badge">{alert.signals} signals</span>}
        <Escalated item={item} />
        <PartnersWhoKnow item={item} />
      </div>
      <Actions item={item} />
      {alert.plateMatch && <PlateHit item={item} />}
      <Gunshot item={item} />
      <KindFacts item={item} />
      <Context item={item} />
      <JoinedEvents item={item} />
      <Deliveries alertId={item.id} />
      {item.shared && (
        <p className="note">
          Shared by {sharedBy} under an agreement. You see what it grants; your acknowledgement is told to them and does not change their alert.
        </p>
      )}
    </section>
  );
}

function Escalated({ item }: { item: QueueItem }) {
  const words = escalationWords(item);
  return words ? (
    <span className="badge" data-tone={isUnacknowledged(item) ? "bad" : undefined} data-testid="escalation">
      {words}
    </span>
  ) : null;
}

/** Their acknowledgement of our shared alert: they know; the alert stays ours. */
function PartnersWhoKnow({ item }: { item: QueueItem }) {
  const agencies = useLive((state) => state.agencies);
  return item.alert.partnerAcknowledgements.map((one) => (
    <span key={one.agencyId} className="badge" data-tone="partner" data-testid="partner-acknowledgement">
      ⇄ acknowledged by {agencies.get(one.agencyId)?.name ?? one.agencyId}
      {one.personName && ` · ${one.personName}`} {clockTime(one.acknowledgedAt)}
    </span>
  ));
}

function Actions({ item }: { item: QueueItem }) {
  const mayAcknowledge = useRight(item.shared ? "shared_alert.acknowledge" : "alert.acknowledge");
  const mayStart = useRight("alert.start");
  const mayClose = useRight("alert.close");
  const mayAttach = useRight("incident.attach_alert");
  const [closing, setClosing] = useState(false);
  const state = stateOf(item);
  const blocked = needsConfirmation(item.alert);
  return (
    <div className="row">
      {state === AlertState.NEW && mayAcknowledge && (
        <>
          <Button look="primary" onClick={() => void acknowledgeAndOpen(item)} data-testid="acknowledge-open">
            Acknowledge and dock <kbd>⏎</kbd>
          </Button>
          <Button onClick={() => void acknowledge(item)} data-testid="acknowledge">
            Acknowledge <kbd>A</kbd>
          </Button>
        </>
      )}
      {state !== AlertState.NEW && <Button onClick={() => void dockFor(item)}>Dock cameras</Button>}
      {!item.shared && state === AlertState.ACKNOWLEDGED && mayStart && (
        <Button {...(blocked ? {} : { look: "primary" as const })} disabled={blocked} title={blocked ? "Confirm the plate against its image first" : undefined} onClick={() => void startWork(item)} data-testid="start-work">
          Start work
        </Button>
      )}
      {!item.shared && mayClose && (state === AlertState.ACKNOWLEDGED || state === AlertState.WORKING) && (
        <Button onClick={() => setClosing(true)} data-testid="close-alert">
          Close…
        </Button>
      )}
      {!item.shared && mayAttach && <ToIncident item={item} />}
      {state === AlertState.CLOSED && (
        <p className="secondary">
          Closed: {item.alert.outcome.replace("_", " ")}
          {item.alert.note && ` – ${item.alert.note}`}
        </p>
      )}
      {closing && <CloseDialog item={item} onClose={() => setClosing(false)} />}
    </div>
  );
}

const OUTCOMES = [
  ["resolved", "Resolved"],
  ["false_alarm", "False alarm"],
  ["misread", "Misread"],
  ["duplicate", "Duplicate"],
  ["handed_over", "Handed over"],
] as const;

function CloseDialog({ item, onClose }: { item: QueueItem; onClose(): void }) {
  const [outcome, setOutcome] = useState("resolved");
  const [note, setNote] = useState("");
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  return (
    <Dialog
      title={`Close: ${item.alert.title}`}
      onClose={onClose}
      onSubmit={() => {
        setBusy(true);
        closeAlert(item, outcome, note).then(onClose, (problem: unknown) => {
          setError(problem);
          setBusy(false);
        });
      }}
      foot={
        <Button type="submit" look="primary" busy={busy} data-testid="close-submit">
          Close alert
        </Button>
      }
    >
      <Field label="Outcome">
        {(attributes) => (
          <select {...attributes} name="outcome" value={outcome} onChange={(event) => setOutcome(event.target.value)}>
            {OUTCOMES.map(([value, title]) => (
              <option key={value} value={value}>
                {title}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Note" hint="What a later reader should know">
        {(attributes) => <textarea {...attributes} name="note" maxLength={2000} value={note} onChange={(event) => setNote(event.target.value)} />}
      </Field>
      <ProblemNote error={error} />
    </Dialog>
  );
}

const DISPOSITIONS: Record<PlateDisposition, string> = {
  [PlateDisposition.UNSPECIFIED]: "",
  [PlateDisposition.CORRECT]: "Confirmed: plate and state are right",
  [PlateDisposition.WRONG_STATE]: "Wrong state",
  [PlateDisposition.MISREAD]: "Misread",
  [PlateDisposition.STALE_ENTRY]: "Stale entry",
};

/** R23: the listed plate beside the read and its image; nothing is dispatched before a person has compared them. */
function PlateHit({ item }: { item: QueueItem }) {
  const { alert } = item;
  const mayConfirm = useRight("alert.confirm_plate");
  const [imageMissing, setImageMissing] = useState(false);
  const match = alert.plateMatch;
  const read = alert.event?.body.case === "plateRead" ? alert.event.body.value : undefined;
  if (!match) return null;
  const tolerant = match.match === MatchKind.MISREAD_TOLERANT;
  const vehicle = read ? [read.vehicleColor, read.vehicleMake, read.vehicleModel].filter(Boolean).join(" ") : "";
  const hasImage = Boolean(read?.imageObject) && !imageMissing;
  return (
    <div className="stack plate-hit" data-testid="plate-hit">
      {hasImage ? (
        <img className="evidence" src={`/v1/alerts/${encodeURIComponent(alert.alertId)}/image`} alt={`Evidence image of the read ${read?.plate ?? ""}`} onError={() => setImageMissing(true)} />
      ) : (
        <div className="evidence evidence-missing">{item.shared ? "No image is shared with this alert." : "No image came with this read."}</div>
      )}
      <table className="compare">
        <thead>
          <tr>
            <th scope="col">
              <span className="hidden-visually">Side</span>
            </th>
            <th scope="col">Plate</th>
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">Read</th>
            <td>
              <span className="plate">{read?.plate ?? "–"}</span>
            </td>
            <td>{read?.state || "unknown"}</td>
          </tr>
          <tr>
            <th scope="row">Listed</th>
            <td>
              <span className="plate">{match.listedPlate}</span>
            </td>
            <td>{match.listedState || "any"}</td>
          </tr>
        </tbody>
      </table>
      {tolerant && (
        <p className="note" data-tone="act">
          Possible misread: equal after one confusion of look-alike characters. This is no hit.
        </p>
      )}
      <dl className="facts">
        <dt>List</dt>
        <dd>
          {[match.hotListName, match.reason].filter(Boolean).join(" · ")}
        </dd>
        <dt>Entered</dt>
        <dd>
          {dayAndTime(match.enteredAt)}
          {match.expiresAt && `, expires ${dayAndTime(match.expiresAt)}`}
        </dd>
        {match.entrySource && (
          <>
            <dt>Record of</dt>
            <dd>{match.entrySource}</dd>
          </>
        )}
        {vehicle && (
          <>
            <dt>Vehicle</dt>
            <dd>{vehicle}</dd>
          </>
        )}
        {read && (
          <>
            <dt>Confidence</dt>
            <dd>{Math.round(read.confidence * 100)} %</dd>
          </>
        )}
      </dl>
      {alert.plateDisposition !== PlateDisposition.UNSPECIFIED ? (
        <p className="note" data-tone={alert.plateDisposition === PlateDisposition.CORRECT ? "good" : "act"} data-testid="disposition">
          {DISPOSITIONS[alert.plateDisposition]}
        </p>
      ) : item.shared ? null : mayConfirm && stateOf(item) !== AlertState.CLOSED ? (
        <fieldset className="confirm">
          <legend className="legend">A hit is a lead. Compare plate and state with the image:</legend>
          <div className="row">
            <Button look="primary" onClick={() => void confirmPlate(item, PlateDisposition.CORRECT)} data-testid="confirm-correct">
              Both right <kbd>C</kbd>
            </Button>
            <Button onClick={() => void confirmPlate(item, PlateDisposition.MISREAD)} data-testid="confirm-misread">
              Misread <kbd>M</kbd>
            </Button>
            <Button onClick={() => void confirmPlate(item, PlateDisposition.WRONG_STATE)}>Wrong state</Button>
            <Button onClick={() => void confirmPlate(item, PlateDisposition.STALE_ENTRY)}>Stale entry</Button>
          </div>
        </fieldset>
      ) : null}
    </div>
  );
}

const STAGES: Record<GunshotStage, string> = {
  [GunshotStage.UNSPECIFIED]: "",
  [GunshotStage.NEW]: "first report of the sensors",
  [GunshotStage.RECLASSIFIED]: "reviewed",
  [GunshotStage.CLOSED]: "closed by the network",
};

function Gunshot({ item }: { item: QueueItem }) {
  const calls = useLive((state) => state.calls);
  const related = useMemo(() => relatedCalls(item.alert, calls.values()), [item.alert, calls]);
  const body = item.alert.event?.body;
  if (body?.case !== "gunshot") return null;
  return (
    <>
      <dl className="facts">
        <dt>Classified</dt>
        <dd>
          {body.value.classification}, {STAGES[body.value.stage]}
        </dd>
        <dt>Rounds</dt>
        <dd>{body.value.rounds || "unknown"}</dd>
        <dt>Heard by</dt>
        <dd>
          {body.value.sensors} sensors, ± {Math.round(body.value.errorRadiusM)} m
        </dd>
      </dl>
      {related.map((call) => (
        <p key={call.eventId} className="note">
          Same scene: {call.body.case === "callForService" && `${call.body.value.callType}, ${call.body.value.narrative}`} ({clockTime(call.occurredAt)})
        </p>
      ))}
    </>
  );
}

function Context({ item }: { item: QueueItem }) {
  const context = item.alert.context;
  if (!context || (!context.cameras.length && !context.units.length)) return null;
  return (
    <div className="columns">
      {context.cameras.length > 0 && (
        <div>
          <h3>Cameras</h3>
          <ul className="context-list">
            {context.cameras.map((camera) => (
              <li key={camera.cameraId}>
                <button type="button" className="link" onClick={() => openCamera(camera.cameraId)}>
                  <span className="ellipsis">{camera.name}</span>
                  <span className="muted nowrap">
                    {Math.round(camera.distanceM)} m{camera.inView && " · sees it"}
                  </span>
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
      {context.units.length > 0 && (
        <div>
          <h3>Nearest units</h3>
          <ul className="context-list">
            {context.units.map((unit) => (
              <li key={unit.unitId} className="spread">
                <span>{unit.callSign}</span>
                <span className="muted nowrap">
                  {Math.round(unit.distanceM)} m · fix {span(unit.ageS)} old then
                </span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}
