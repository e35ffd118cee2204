"""Tips that a vendor or another page takes in: the neutral JSON described in docs/integrators/webhooks.md."""

from datetime import datetime

from rtcc.event.v1 import event_pb2
from rtcc_intake.document import Node, read_coordinate
from rtcc_intake.domain import ParsedEvent, check_occurred_at

MAXIMUM_IMAGE_BYTES = 256 * 1024
MAXIMUM_TEXT_CHARACTERS = 4_000
CATEGORIES = ("", "crime", "suspicious", "missing_person", "traffic", "drugs", "weapons", "other")


def parse(document: Node, received_at: datetime) -> ParsedEvent:
    """One tip. What the vendor calls it stays its reference code; without one the platform makes one."""
    tip = event_pb2.Tip(
        channel="webhook",
        reference_code=document.child("tip_id").text(64, required=True),
        category=document.child("category").choice(CATEGORIES) if document.child("category").present else "",
        text=document.child("text").text(MAXIMUM_TEXT_CHARACTERS, required=True),
        address=document.child("address").text(500),
        contact=document.child("contact").text(200),
    )
    told = document.child("told_at")
    event = event_pb2.Event(kind="tip", tip=tip)
    event.occurred_at.FromDatetime(check_occurred_at(told.time(), received_at, told.place))
    coordinate = read_coordinate(document.child("lat"), document.child("lon"))
    if coordinate is not None:
        event.position.coordinate.CopyFrom(coordinate)
    return ParsedEvent(event, document.child("photo").jpeg(MAXIMUM_IMAGE_BYTES))
