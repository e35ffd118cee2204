"""Calls for service in few fields, for mappings of dispatch systems that don't speak EIDO (docs/integrators/add-a-source.md)."""

from datetime import datetime

from rtcc.event.v1 import event_pb2
from rtcc_intake.document import Node, read_coordinate
from rtcc_intake.domain import ParsedEvent, check_occurred_at


def parse(document: Node, received_at: datetime) -> ParsedEvent:
    """The newest state of one call. The same call and time of change is the same event however often it is sent."""
    call = event_pb2.CallForService(
        call_id=document.child("call_id").text(256, required=True),
        call_type=document.child("type").text(128, required=True),
        priority=document.child("priority").count(5),
        status=document.child("status").text(128),
        address=document.child("address").text(512),
        narrative=document.child("narrative").text(8_000),
        caller_number=document.child("caller_number").text(64),
    )
    updated = document.child("updated_at")
    occurred_at = check_occurred_at(updated.time(), received_at, updated.place)
    event = event_pb2.Event(kind="call_for_service", call_for_service=call)
    event.occurred_at.FromDatetime(occurred_at)
    coordinate = read_coordinate(document.child("lat"), document.child("lon"))
    if coordinate is not None:
        event.position.coordinate.CopyFrom(coordinate)
        event.position.accuracy_m = document.child("accuracy_m").number(0, 100_000)
    return ParsedEvent(event, own_id=f"{call.call_id}:{call.status}:{occurred_at.isoformat()}")
