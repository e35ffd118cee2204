"""Public warnings: OASIS Common Alerting Protocol 1.2, one alert message in XML (section references are the standard's).

The message is checked against the schema of section 3.4 first. Taken: the alert block, the English info block (else the first)
and its areas. Update and Cancel name what they are about by `references`; the warning's id is that of the first message.
"""

from datetime import datetime
from functools import cache
from pathlib import Path

from lxml import etree

from rtcc.event.v1 import event_pb2
from rtcc_intake.adapters.cap_area import center_of, read_area
from rtcc_intake.document import Node
from rtcc_intake.domain import NotUnderstood, ParsedEvent, check_occurred_at
from rtcc_intake.xml_document import read_xml, text_node

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
MAXIMUM_REFERENCES = 100
MAXIMUM_AREAS = 200
_CAP = f"{{{NAMESPACE}}}"
_TYPES = {
    "Alert": event_pb2.WARNING_MESSAGE_TYPE_ALERT,
    "Update": event_pb2.WARNING_MESSAGE_TYPE_UPDATE,
    "Cancel": event_pb2.WARNING_MESSAGE_TYPE_CANCEL,
}
_TEXTS = (
    ("event_name", "event", 256),
    ("urgency", "urgency", 16),
    ("severity", "severity", 16),
    ("certainty", "certainty", 16),
    ("sender_name", "senderName", 256),
    ("headline", "headline", 512),
    ("description", "description", 16_000),
    ("instruction", "instruction", 16_000),
    ("web", "web", 1_024),
)


def parse(body: bytes, received_at: datetime) -> list[ParsedEvent]:
    """One warning. A repeated message (the same sender and identifier, section 3.2.1) is the same event."""
    alert = read_xml(body)
    _check_schema(alert)
    message_type = _text(alert, "msgType", 16)
    if message_type not in _TYPES:
        raise NotUnderstood("alert/msgType", f"{message_type} answers a message of ours: only Alert, Update and Cancel warn of something")
    warning = event_pb2.Warning(
        sender=_text(alert, "sender", 256),
        identifier=_text(alert, "identifier", 256),
        status=_text(alert, "status", 16),
        message_type=_TYPES[message_type],
        scope=_text(alert, "scope", 16),
        references=_references(alert, received_at),
    )
    sent_at = check_occurred_at(_child(alert, "sent").time(), received_at, "alert/sent")
    warning.sent_at.FromDatetime(sent_at)
    warning.warning_id = f"{warning.sender},{warning.identifier}"
    if warning.references:
        first = min(warning.references, key=lambda reference: (reference.sent_at.ToNanoseconds(), reference.identifier))
        warning.warning_id = f"{first.sender},{first.identifier}"
    elif message_type != "Alert":
        raise NotUnderstood("alert/references", f"is missing: {message_type} must say which messages it is about")
    event = event_pb2.Event(kind="warning", warning=warning)
    event.occurred_at.FromDatetime(sent_at)
    _read_info(alert, event, message_type)
    return [ParsedEvent(event, own_id=f"{warning.sender},{warning.identifier},{warning.sent_at.seconds}")]


@cache
def _schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(Path(__file__).parent / "cap12.xsd"))


def _check_schema(alert: etree._Element) -> None:
    if alert.tag != f"{_CAP}alert":
        raise NotUnderstood("document", f"the root is {str(alert.tag)[:80]}, not alert of {NAMESPACE} (CAP 1.2)")
    schema = _schema()
    if not schema.validate(alert):
        problem = schema.error_log[0]
        raise NotUnderstood(f"line {problem.line}", problem.message.replace(_CAP, "")[:400])


def _child(parent: etree._Element, name: str, place: str = "alert") -> Node:
    element = parent.find(f"{_CAP}{name}")
    return text_node(None if element is None else element.text or "", f"{place}/{name}")


def _text(parent: etree._Element, name: str, maximum: int, place: str = "alert") -> str:
    return _child(parent, name, place).text(maximum)


def _references(alert: etree._Element, received_at: datetime) -> list[event_pb2.WarningReference]:
    """Section 3.2.1: "sender,identifier,sent" each, separated by white space."""
    place = "alert/references"
    parts = _text(alert, "references", 64 * 1024).split()
    if len(parts) > MAXIMUM_REFERENCES:
        raise NotUnderstood(place, f"names {len(parts)} messages, at most {MAXIMUM_REFERENCES} are taken")
    references = []
    for part in parts:
        pieces = part.split(",")
        if len(pieces) != 3 or not all(pieces):
            raise NotUnderstood(place, f"{part[:80]!r} is not sender,identifier,sent")
        reference = event_pb2.WarningReference(sender=pieces[0][:256], identifier=pieces[1][:256])
        reference.sent_at.FromDatetime(check_occurred_at(Node(pieces[2], place).time(), received_at, place))
        references.append(reference)
    return references


def _read_info(alert: etree._Element, event: event_pb2.Event, message_type: str) -> None:
    infos = alert.findall(f"{_CAP}info")
    if not infos:
        if message_type == "Cancel":
            return
        raise NotUnderstood("alert/info", "is missing: it would warn of nothing")
    # section 3.2.2: without a language it is en-US
    info = next((info for info in infos if (_text(info, "language", 32) or "en-US").lower().startswith("en")), infos[0])
    place = "alert/info"
    warning = event.warning
    warning.language = _text(info, "language", 32, place) or "en-US"
    warning.categories.extend(category.text or "" for category in info.findall(f"{_CAP}category"))
    for field, name, maximum in _TEXTS:
        setattr(warning, field, _text(info, name, maximum, place))
    for field, name in (("effective_at", "effective"), ("onset_at", "onset"), ("expires_at", "expires")):
        moment = _child(info, name, place)
        if moment.present:
            getattr(warning, field).FromDatetime(moment.time())
    areas = info.findall(f"{_CAP}area")
    if len(areas) > MAXIMUM_AREAS:
        raise NotUnderstood(f"{place}/area", f"stands {len(areas)} times, at most {MAXIMUM_AREAS} are taken")
    warning.areas.extend(read_area(area, f"{place}/area[{index}]", _CAP) for index, area in enumerate(areas, 1))
    center = center_of(warning.areas)
    if center is not None:
        event.position.CopyFrom(center)
