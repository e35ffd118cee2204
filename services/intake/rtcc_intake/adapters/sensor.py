"""Sensors of all kinds, one value each: the neutral JSON described in docs/integrators/webhooks.md."""

from datetime import datetime

from rtcc.event.v1 import event_pb2
from rtcc_intake.document import Node, read_coordinate
from rtcc_intake.domain import ParsedEvent, check_occurred_at

LEVELS = {
    "normal": event_pb2.MEASUREMENT_LEVEL_NORMAL,
    "warning": event_pb2.MEASUREMENT_LEVEL_WARNING,
    "critical": event_pb2.MEASUREMENT_LEVEL_CRITICAL,
}
_LARGEST = 1e15


def parse(document: Node, received_at: datetime) -> ParsedEvent:
    """One value. The same sensor, quantity and time is the same event however often it is sent."""
    level = document.child("level")
    measurement = event_pb2.Measurement(
        sensor_id=document.child("sensor_id").text(128, required=True),
        sensor_name=document.child("name").text(128),
        quantity=document.child("quantity").text(64, required=True).lower(),
        value=document.child("value").number(-_LARGEST, _LARGEST, required=True),
        unit=document.child("unit").text(32),
        level=LEVELS[level.choice(tuple(LEVELS))] if level.present else event_pb2.MEASUREMENT_LEVEL_UNSPECIFIED,
    )
    measured = document.child("measured_at")
    occurred_at = check_occurred_at(measured.time(), received_at, measured.place)
    event = event_pb2.Event(kind="measurement", measurement=measurement)
    event.occurred_at.FromDatetime(occurred_at)
    coordinate = read_coordinate(document.child("lat"), document.child("lon"))
    if coordinate is not None:
        event.position.coordinate.CopyFrom(coordinate)
        event.position.accuracy_m = document.child("accuracy_m").number(0, 100_000)
    return ParsedEvent(event, own_id=f"{measurement.sensor_id}:{measurement.quantity}:{occurred_at.isoformat()}")
