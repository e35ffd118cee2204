"""Intrusion, hold-up, fire and medical alarms: the neutral JSON described in docs/integrators/webhooks.md."""

from datetime import datetime

from rtcc.event.v1 import event_pb2
from rtcc_intake.document import Node, read_coordinate
from rtcc_intake.domain import ParsedEvent, check_occurred_at

TYPES = ("burglary", "robbery", "panic", "duress", "fire", "gas", "medical", "tamper", "technical", "other")
STATES = {
    "active": event_pb2.ALARM_STATE_ACTIVE,
    "restored": event_pb2.ALARM_STATE_RESTORED,
    "test": event_pb2.ALARM_STATE_TEST,
}


def parse(document: Node, received_at: datetime) -> ParsedEvent:
    """One state of one alarm. The same alarm, state and time is the same event however often it is sent."""
    state = document.child("state").choice(tuple(STATES))
    alarm = event_pb2.Alarm(
        alarm_id=document.child("alarm_id").text(128, required=True),
        panel_id=document.child("panel_id").text(128),
        alarm_type=document.child("type").choice(TYPES),
        state=STATES[state],
        zone=document.child("zone").text(128),
        site_name=document.child("site").text(256),
        address=document.child("address").text(512),
        note=document.child("note").text(2_000),
    )
    raised = document.child("raised_at")
    occurred_at = check_occurred_at(raised.time(), received_at, raised.place)
    event = event_pb2.Event(kind="alarm", alarm=alarm)
    event.occurred_at.FromDatetime(occurred_at)
    coordinate = read_coordinate(document.child("lat"), document.child("lon"))
    if coordinate is not None:
        event.position.coordinate.CopyFrom(coordinate)
        event.position.accuracy_m = document.child("accuracy_m").number(0, 100_000)
    return ParsedEvent(event, own_id=f"{alarm.alarm_id}:{state}:{occurred_at.isoformat()}")
