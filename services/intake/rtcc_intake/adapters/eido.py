"""Calls for service as NENA Emergency Incident Data Objects (NENA-STA-021.1b-2023, JSON).

Taken: the incident's identifier, type, status and priority (section 2.9), its location by value (PIDF-LO or plain
coordinates), notes and the callback number. Components refer to each other by `{"$ref": "<$id>"}`; a list or a single object
is accepted where the standard and what is in the field differ. Everything else is left out.
"""

from datetime import datetime

from rtcc.event.v1 import event_pb2
from rtcc_intake.document import Node, read_coordinate
from rtcc_intake.domain import NotUnderstood, ParsedEvent, check_occurred_at
from rtcc_intake.pidf_lo import read_pidf_lo

MAXIMUM_COMPONENTS = 64
MAXIMUM_NARRATIVE_CHARACTERS = 8_000
MAXIMUM_PIDF_CHARACTERS = 64 * 1024
# the handling label by which consumers tell a caller's device from the regulated 911 location
SUPPLEMENTAL_LOCATION = "supplemental_location"


def parse(document: Node, received_at: datetime) -> ParsedEvent:
    """The newest state of one call; the call's identifier stays the same through its updates."""
    document.child("$id").text(256, required=True)
    document.child("issuingElementIdentification").text(256, required=True)
    incident = _first(document.child("incidentComponent"))
    if incident is None:
        raise NotUnderstood("incidentComponent", "is missing")
    updated = (
        incident.child("lastUpdateTimeStamp") if incident.child("lastUpdateTimeStamp").present else document.child("lastUpdateTimeStamp")
    )
    call = event_pb2.CallForService(
        call_id=_call_id(document, incident),
        call_type=_first_text(incident, "incidentTypeInternalText", "incidentTypeCommonRegistryText"),
        priority=_priority(incident.child("incidentCommonPriorityNumber")),
        status=_first_text(incident, "incidentStatusInternalText", "incidentStatusCommonRegistryText"),
        narrative=_narrative(document.child("notesComponent")),
        caller_number=_caller_number(document),
    )
    if not call.call_type:
        raise NotUnderstood("incidentComponent.incidentTypeCommonRegistryText", "is missing")
    event = event_pb2.Event(kind="call_for_service", call_for_service=call)
    event.occurred_at.FromDatetime(check_occurred_at(updated.time(), received_at, updated.place))
    location = _location(document, incident)
    if location is not None:
        _place(event, location)
    return ParsedEvent(event)


def _components(node: Node) -> list[Node]:
    if node.present and isinstance(node.value, dict):
        return [node]
    return list(node.items(MAXIMUM_COMPONENTS))


def _first(node: Node) -> Node | None:
    components = _components(node)
    return components[0] if components else None


def _first_text(node: Node, *names: str) -> str:
    """The first text that is there; a list of texts gives its last element, the newest."""
    for name in names:
        member = node.child(name)
        if isinstance(member.value, list):
            texts = [item.text(128) for item in member.items(MAXIMUM_COMPONENTS)]
            text = texts[-1] if texts else ""
        else:
            text = member.text(128)
        if text:
            return text
    return ""


def _call_id(document: Node, incident: Node) -> str:
    for node in (
        incident.child("incidentTrackingIdentifier"),
        document.child("incidentTrackingIdentifier"),
        incident.child("internalIncidentId"),
    ):
        if call_id := node.text(256):
            return call_id
    raise NotUnderstood("incidentComponent.incidentTrackingIdentifier", "is missing: updates of the call couldn't be told from new calls")


def _priority(node: Node) -> int:
    """EIDO counts 0 to 10 with 10 the highest (section 2.9.1); ours is 1 the most urgent to 5, 0 unknown."""
    if not node.present:
        return 0
    if isinstance(node.value, str) and node.value.strip().isdigit():
        node = Node(int(node.value), node.place)
    return min(5, 1 + (10 - int(node.number(0, 10))) // 2)


def _narrative(notes: Node) -> str:
    lines = [note.child("notesActionComments").text(MAXIMUM_NARRATIVE_CHARACTERS) for note in _components(notes)]
    return "\n".join(line for line in lines if line)[:MAXIMUM_NARRATIVE_CHARACTERS]


def _caller_number(document: Node) -> str:
    for callback in _components(document.child("callbackComponent")):
        uris = callback.child("callBackInformationUri")
        for uri in [uris] if isinstance(uris.value, str) else uris.items(MAXIMUM_COMPONENTS):
            if text := uri.text(128):
                return text.removeprefix("tel:")
    return ""


def _location(document: Node, incident: Node) -> Node | None:
    locations = _components(document.child("locationComponent"))
    wanted = {reference.child("$ref").text(256) for reference in _components(incident.child("locationReference"))}
    for location in locations:
        if wanted & {location.child("$id").text(256), location.child("componentIdentifier").text(256)} - {""}:
            return location
    return locations[0] if locations else None


def _place(event: event_pb2.Event, location: Node) -> None:
    by_value = location.child("locationByValue")
    address = location.child("locationDescriptionText").text(512)
    if isinstance(by_value.value, str):
        read = read_pidf_lo(by_value.text(MAXIMUM_PIDF_CHARACTERS), by_value.place)
        coordinate, accuracy_m, address = read.coordinate, read.accuracy_m, address or read.address
    else:
        coordinate = read_coordinate(by_value.child("latitude"), by_value.child("longitude"))
        accuracy_m = by_value.child("uncertainty").number(0, 1_000_000)
    event.call_for_service.address = address
    if coordinate is not None:
        if location.child("supplementalLocationIndicator").value is True:
            # R32: kept beside the regulated location, never instead
            event.labels.append(SUPPLEMENTAL_LOCATION)
        event.position.coordinate.CopyFrom(coordinate)
        event.position.accuracy_m = accuracy_m
