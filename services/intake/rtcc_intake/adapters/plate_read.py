"""Plate readers: the neutral JSON described in docs/integrators/webhooks.md."""

from datetime import datetime

from rtcc.event.v1 import event_pb2
from rtcc_intake.document import Node, read_coordinate
from rtcc_intake.domain import ParsedEvent, check_occurred_at, normalise_plate

MAXIMUM_IMAGE_BYTES = 256 * 1024
MAXIMUM_CANDIDATES = 16


def parse(document: Node, received_at: datetime) -> ParsedEvent:
    """One read of one plate. The plate in the event is normalised; vendor fields we don't know are left out."""
    document.child("read_id").text(128, required=True)
    read = event_pb2.PlateRead(
        plate=normalise_plate(document.child("plate").text(32, required=True)),
        state=document.child("state").text(8).upper(),
        confidence=document.child("confidence").number(0, 1, required=True),
        camera_id=document.child("camera_id").text(64, required=True),
        vehicle_make=document.child("vehicle").child("make").text(64),
        vehicle_model=document.child("vehicle").child("model").text(64),
        vehicle_color=document.child("vehicle").child("color").text(64),
    )
    for candidate in document.child("candidates").items(MAXIMUM_CANDIDATES):
        read.candidates.add(
            plate=normalise_plate(candidate.child("plate").text(32, required=True), f"{candidate.place}.plate"),
            confidence=candidate.child("confidence").number(0, 1, required=True),
        )
    captured = document.child("captured_at")
    event = event_pb2.Event(kind="plate_read", plate_read=read)
    event.occurred_at.FromDatetime(check_occurred_at(captured.time(), received_at, captured.place))
    coordinate = read_coordinate(document.child("lat"), document.child("lon"))
    if coordinate is not None:
        event.position.coordinate.CopyFrom(coordinate)
    return ParsedEvent(event, document.child("image").jpeg(MAXIMUM_IMAGE_BYTES))
