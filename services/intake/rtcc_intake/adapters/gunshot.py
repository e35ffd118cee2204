"""Acoustic gunshot sensors: one incident, told in stages (new, reclassified, closed)."""

from datetime import datetime

from rtcc.event.v1 import event_pb2
from rtcc_intake.document import Node, read_coordinate
from rtcc_intake.domain import NotUnderstood, ParsedEvent, check_occurred_at

STAGES = {
    "new": event_pb2.GUNSHOT_STAGE_NEW,
    "reclassified": event_pb2.GUNSHOT_STAGE_RECLASSIFIED,
    "closed": event_pb2.GUNSHOT_STAGE_CLOSED,
}
CLASSIFICATIONS = ("gunfire", "fireworks", "other")


def parse(document: Node, received_at: datetime) -> ParsedEvent:
    """One stage of one incident. The position's accuracy is the network's error radius."""
    error_radius_m = document.child("error_radius_m").number(0, 10_000)
    detected = document.child("detected_at")
    event = event_pb2.Event(
        kind="gunshot",
        gunshot=event_pb2.Gunshot(
            incident_id=document.child("incident_id").text(128, required=True),
            stage=STAGES[document.child("stage").choice(tuple(STAGES))],
            classification=document.child("classification").choice(CLASSIFICATIONS),
            error_radius_m=error_radius_m,
            rounds=document.child("rounds").count(10_000),
            sensors=document.child("sensors").count(10_000),
        ),
    )
    event.occurred_at.FromDatetime(check_occurred_at(detected.time(), received_at, detected.place))
    coordinate = read_coordinate(document.child("lat"), document.child("lon"))
    if coordinate is None:
        raise NotUnderstood("lat", "is missing: a gunshot without a place can't be acted on")
    event.position.coordinate.CopyFrom(coordinate)
    event.position.accuracy_m = error_radius_m
    return ParsedEvent(event)
