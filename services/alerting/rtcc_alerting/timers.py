"""Timers that survive every crash: messages that JetStream holds back until they are due (NATS ADR-51, "message scheduler")."""

from datetime import UTC

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_chassis.bus import Outgoing

ESCALATION_DUE = "timer.due.alerting.escalation"


def escalation_timer(alert: pb.Alert) -> Outgoing | None:
    """Comes to `ESCALATION_DUE` when the next level is due; None when none is. A later one for the same alert replaces it.

    JetStream keeps the schedule of a subject once; it works in whole seconds at best, so the moment itself is looked at again when the
    message comes.
    """
    if not alert.escalation.HasField("next_at"):
        return None
    due = alert.escalation.next_at.ToDatetime(UTC)
    headers = {
        "Nats-Schedule": f"@at {due.isoformat(timespec='milliseconds')}".replace("+00:00", "Z"),
        "Nats-Schedule-Target": ESCALATION_DUE,
    }
    body = pb.GetAlertRequest(alert_id=alert.alert_id)
    identifier = f"escalation:{alert.alert_id}:{alert.escalation.level + 1}:{alert.escalation.next_at.ToMicroseconds()}"
    return Outgoing(f"timer.wait.alerting.escalation.{alert.alert_id}", body, identifier, alert.agency_id, headers=headers)
