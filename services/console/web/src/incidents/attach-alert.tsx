import { useState } from "react";
import { everything, isOpen, ordered, type QueueItem } from "../alerts/queue";
import { clockTime } from "../contract/time";
import { useAct } from "../contract/use-call";
import { IncidentState, type Incident } from "../generated/rtcc/incidents/v1/incidents_pb";
import { useLive } from "../live/store";
import { distanceMetres } from "../map/geometry";
import { Button, Dialog, ProblemNote, SeverityMark } from "../ui/parts";
import { attachAlert } from "./actions";
import { inOrder } from "./words";

const SHOWN = 30;

/** An open alert for this incident: the nearest first. */
export function AttachAlert({ incident, onClose }: { incident: Incident; onClose(): void }) {
  const alerts = useLive((state) => state.alerts);
  const attach = useAct((item: QueueItem) => attachAlert(incident.incidentId, item.id), (won) => won && onClose());
  const at = incident.position?.coordinate;
  const away = (item: QueueItem) => (at && item.alert.position?.coordinate ? distanceMetres(at, item.alert.position.coordinate) : Number.POSITIVE_INFINITY);
  const offered = ordered(alerts.values(), everything).filter((item) => isOpen(item) && !item.shared && !incident.alertIds.includes(item.id)).sort((one, other) => away(one) - away(other));
  return (
    <Dialog title={`Attach to ${incident.number}`} onClose={onClose} testId="attach-dialog">
      <ul className="stack tight">
        {offered.slice(0, SHOWN).map((item) => (
          <li key={item.id} className="unit-line">
            <SeverityMark severity={item.alert.severity || 4} size={22} />
            <span className="list-text">
              <span className="ellipsis">{item.alert.title}</span>
              <span className="muted">
                {clockTime(item.alert.occurredAt)}
                {Number.isFinite(away(item)) && ` · ${Math.round(away(item))} m away`}
              </span>
            </span>
            <Button size="small" busy={attach.isPending && attach.variables?.id === item.id} onClick={() => attach.mutate(item)} data-alert-id={item.id}>
              Attach
            </Button>
          </li>
        ))}
        {!offered.length && <li className="empty">No open alert of your agency is free.</li>}
      </ul>
      <ProblemNote error={attach.error} />
    </Dialog>
  );
}

/** From the alert's side: which of the open incidents it belongs to. */
export function ChooseIncident({ alertId, onClose, onNew }: { alertId: string; onClose(): void; onNew(): void }) {
  const incidents = useLive((state) => state.incidents);
  const [chosen, setChosen] = useState("");
  const attach = useAct((incidentId: string) => attachAlert(incidentId, alertId), (won) => won && onClose());
  const open = inOrder(incidents.values()).filter((incident) => incident.state === IncidentState.OPEN);
  return (
    <Dialog title="Which incident is this?" onClose={onClose} testId="choose-incident" foot={<Button onClick={onNew} data-testid="alert-new-incident">New incident</Button>}>
      <ul className="stack tight">
        {open.map((incident) => (
          <li key={incident.incidentId} className="unit-line">
            <span className="mono">{incident.number}</span>
            <span className="list-text">
              <span className="ellipsis">{incident.kind}</span>
              <span className="muted ellipsis">{incident.address || incident.title}</span>
            </span>
            <Button
              size="small"
              look="primary"
              busy={attach.isPending && chosen === incident.incidentId}
              data-incident-id={incident.incidentId}
              onClick={() => {
                setChosen(incident.incidentId);
                attach.mutate(incident.incidentId);
              }}
            >
              Attach
            </Button>
          </li>
        ))}
        {!open.length && <li className="muted">No incident is open.</li>}
      </ul>
      <ProblemNote error={attach.error} />
    </Dialog>
  );
}
