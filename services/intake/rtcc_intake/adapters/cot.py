"""Cursor on Target: what TAK users and sensors put on their map, as XML (MITRE CoT 2.0) or as TAK protocol version 1 (protobuf).

Both forms are read into one set of values and then by one set of rules. 9999999 is the format's word for an unknown error or
height. Traffic that puts nothing on the map (pings, protocol offers, chat, files) gives no event.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from google.protobuf.message import DecodeError
from lxml import etree

from rtcc.event.v1 import event_pb2
from rtcc_intake.document import Node, read_coordinate
from rtcc_intake.domain import NotUnderstood, ParsedEvent, check_occurred_at
from rtcc_intake.xml_document import local_name, number_node, read_xml

MESH_HEADER = b"\xbf\x01\xbf"
STREAM_HEADER = 0xBF
UNKNOWN = 9_999_999.0
_SILENT = ("t-x-c-", "t-x-takp-", "t-b", "b-t-", "b-f-t-")
_REMOVED = "t-x-d-d"
# MIL-STD-2525 affiliations in the second letter of an atom's type
_AFFILIATIONS = {"f": "friend", "a": "friend", "h": "hostile", "s": "hostile", "j": "hostile", "k": "hostile", "n": "neutral"}
# what a mission lasts at most; markers that their authors never want to end are shown that long after their last word
_LONGEST = timedelta(days=7)


@dataclass(slots=True)
class _Values:
    """One CoT event, whichever form it came in."""

    cot_type: Node
    uid: Node
    how: Node
    sent: Node
    stale: Node
    point: dict[str, Node]
    detail: "etree._Element | None" = None
    attributes: dict[str, str] = field(default_factory=dict)

    def word(self, element: str, attribute: str, maximum: int = 128) -> str:
        """An attribute of an element of the detail block."""
        place = f"event/detail/{element}@{attribute}"
        if (known := self.attributes.get(f"{element}@{attribute}")) is not None:
            return Node(known, place).text(maximum)
        found = None if self.detail is None else self.detail.find(f"{{*}}{element}")
        return Node(None if found is None else found.get(attribute), place).text(maximum)

    def number(self, element: str, attribute: str, minimum: float, maximum: float) -> float | None:
        """A number of the detail block; outside of its bounds it is unknown, as devices without a fix send -1 or 9999999."""
        text = self.word(element, attribute, 40)
        value = number_node(text, f"event/detail/{element}@{attribute}").value
        return value if value is not None and minimum <= value <= maximum else None


def parse(body: bytes, received_at: datetime) -> list[ParsedEvent]:
    """One marker, or nothing. The same uid, type and time is the same event however often it is sent."""
    values = _of_message(body) if body[:1] == MESH_HEADER[:1] else _of_xml(body)
    cot_type = values.cot_type.text(64, required=True)
    if cot_type.startswith(_SILENT):
        return []
    sent_at = check_occurred_at(values.sent.time(), received_at, values.sent.place)
    removed = cot_type == _REMOVED
    uid = (values.word("link", "uid") if removed else "") or values.uid.text(128, required=True)
    marker = event_pb2.Marker(
        uid=uid,
        marker_type=cot_type,
        affiliation=_affiliation(cot_type),
        how=values.how.text(16),
        call_sign=values.word("contact", "callsign"),
        remarks=_remarks(values.detail),
        removed=removed,
        team=values.word("__group", "name", 64),
        role=values.word("__group", "role", 64),
    )
    if values.word("emergency", "cancel").lower() != "true":
        marker.emergency = values.word("emergency", "type", 64)
    marker.stale_at.FromDatetime(min(values.stale.time(), sent_at + _LONGEST))
    event = event_pb2.Event(kind="marker", marker=marker)
    event.occurred_at.FromDatetime(sent_at)
    if not removed:
        _place(event, values)
    return [ParsedEvent(event, own_id=f"{uid}:{cot_type}:{sent_at.isoformat()}")]


def _affiliation(cot_type: str) -> str:
    parts = cot_type.split("-")
    return _AFFILIATIONS.get(parts[1].lower(), "unknown") if parts[0] == "a" and len(parts) > 1 else ""


def _remarks(detail: "etree._Element | None") -> str:
    found = None if detail is None else detail.find("{*}remarks")
    return Node(None if found is None else found.text, "event/detail/remarks").text(2_000)


def _place(event: event_pb2.Event, values: _Values) -> None:
    latitude, longitude = values.point["lat"], values.point["lon"]
    if latitude.value == 0 and longitude.value == 0:
        # what TAK devices send before their first fix
        return
    coordinate = read_coordinate(latitude, longitude)
    if coordinate is None:
        raise NotUnderstood("event/point", "is missing")
    event.position.coordinate.CopyFrom(coordinate)
    accuracy_m = values.point["ce"].number(-UNKNOWN, UNKNOWN, default=UNKNOWN)
    event.position.accuracy_m = accuracy_m if 0 <= accuracy_m < UNKNOWN else 0.0
    altitude_m = values.point["hae"].number(-UNKNOWN, UNKNOWN, default=UNKNOWN)
    if -1_000 <= altitude_m < UNKNOWN:
        event.position.altitude_m = altitude_m
    speed_mps = values.number("track", "speed", 0, 1_000)
    if speed_mps is not None:
        event.position.speed_mps = speed_mps
    heading_deg = values.number("track", "course", 0, 360)
    if heading_deg is not None:
        event.position.heading_deg = heading_deg % 360


def _of_xml(body: bytes) -> _Values:
    root = read_xml(body)
    if local_name(root) != "event":
        raise NotUnderstood("document", f"the root is {local_name(root)[:64]}, not event (Cursor on Target)")
    point = root.find("{*}point")
    names = ("lat", "lon", "hae", "ce")
    return _Values(
        cot_type=Node(root.get("type"), "event@type"),
        uid=Node(root.get("uid"), "event@uid"),
        how=Node(root.get("how"), "event@how"),
        sent=Node(root.get("time"), "event@time"),
        stale=Node(root.get("stale"), "event@stale"),
        point={name: number_node(None if point is None else point.get(name), f"event/point@{name}") for name in names},
        detail=root.find("{*}detail"),
    )


def _of_message(body: bytes) -> _Values:
    # imported where it is needed: most installations never meet a TAK device
    from takproto.proto import TakMessage

    message = TakMessage()
    try:
        message.ParseFromString(_payload(body))
    except DecodeError as error:
        raise NotUnderstood("document", "is not a TakMessage (TAK protocol version 1)") from error
    event = message.cotEvent
    contact, group, track = event.detail.contact, event.detail.group, event.detail.track
    attributes = {"contact@callsign": contact.callsign, "__group@name": group.name, "__group@role": group.role}
    if event.detail.HasField("track"):
        attributes |= {"track@speed": repr(track.speed), "track@course": repr(track.course)}
    return _Values(
        cot_type=Node(event.type, "cotEvent.type"),
        uid=Node(event.uid, "cotEvent.uid"),
        how=Node(event.how, "cotEvent.how"),
        sent=_moment(event.sendTime, "cotEvent.sendTime"),
        stale=_moment(event.staleTime, "cotEvent.staleTime"),
        point={name: Node(getattr(event, name), f"cotEvent.{name}") for name in ("lat", "lon", "hae", "ce")},
        detail=_fragment(event.detail.xmlDetail),
        attributes={name: value for name, value in attributes.items() if value},
    )


def _payload(body: bytes) -> bytes:
    """Without its header: three bytes for a message alone (mesh), or 0xBF and the length as a varint (stream)."""
    if body.startswith(MESH_HEADER):
        return body[len(MESH_HEADER) :]
    length, start = read_varint(body, 1)
    if start == 0 or len(body) - start != length:
        raise NotUnderstood("byte 1", f"the header says {length} bytes, there are {len(body) - start}")
    return body[start:]


def read_varint(data: bytes, start: int) -> tuple[int, int]:
    """(value, first byte after it) of a protobuf varint of at most 5 bytes; (0, 0): it isn't complete. Raises NotUnderstood beyond 5."""
    value = 0
    for index in range(5):
        if start + index >= len(data):
            return 0, 0
        byte = data[start + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, start + index + 1
    raise NotUnderstood(f"byte {start}", "is not the length of a message")


def _moment(milliseconds: int, place: str) -> Node:
    if not milliseconds:
        return Node(None, place)
    try:
        return Node(datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(), place)
    except (ValueError, OverflowError, OSError) as error:
        raise NotUnderstood(place, f"{milliseconds} are not milliseconds since 1970") from error


def _fragment(xml: str) -> "etree._Element | None":
    """The part of the detail block that has no fields of its own in the protobuf form."""
    if not xml.strip():
        return None
    return read_xml(f"<detail>{xml}</detail>".encode("utf-8", errors="replace"), "cotEvent.detail.xmlDetail")
