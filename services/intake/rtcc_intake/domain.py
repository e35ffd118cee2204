"""What makes a delivery acceptable: pure rules, no I/O, no clock."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from rtcc.event.v1 import event_pb2
from rtcc_chassis.errors import RtccError

MAXIMUM_BODY_BYTES = 1024 * 1024
# adapters that are more than a parser: read by the source's own mapping, and fetched instead of delivered
MAPPED = "mapped"
GTFS_REALTIME = "gtfs_realtime"
# later than this after it happened, an event is no news (Event.late)
LATE_AFTER = timedelta(minutes=5)
# kinds whose newest state is shown as long as it isn't over; calls have a list of their own
THING_KINDS = ("alarm", "warning", "marker", "measurement")
MAXIMUM_PLATE_CHARACTERS = 12
# A clock that runs ahead by more is wrong, and would let a device pin its event to the top of every list.
MAXIMUM_AHEAD = timedelta(minutes=5)
EXCERPT_BYTES = 2048

_DELIVERY_ID = re.compile(r"[A-Za-z0-9_:\-]{1,128}\Z")
_SOURCE_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}\Z")
_PLATE_SEPARATORS = re.compile(r"[\s\-–—·•.,_'/:]+")
_PLATE = re.compile(rf"[A-Z0-9]{{1,{MAXIMUM_PLATE_CHARACTERS}}}\Z")
_PLATE_PATTERN = re.compile(rf"[A-Z0-9?]{{2,{MAXIMUM_PLATE_CHARACTERS}}}\Z")


class Outcome(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


class EntryStatus(StrEnum):
    """Where a quarantined input stands."""

    WAITING = "waiting"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class NotUnderstood(RtccError):
    """An authentic delivery that can't become an event: `reason` says what is wrong, `place` where in the input."""

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(f"{place}: {reason}" if place else reason)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook delivery as it came in; nothing in it is believed before its signature is."""

    source_id: str
    timestamp: str
    delivery_id: str
    signature: str
    body: bytes
    source_address: str = ""


@dataclass(frozen=True, slots=True)
class ParsedEvent:
    """What an adapter made of a body: the event without ids, source and receive time, and the evidence crop (JPEG) if one was sent.

    `own_id`: the source's own identity of the event, so that a repeat in another delivery is the same event; empty: the delivery's.
    """

    event: event_pb2.Event
    image_jpeg: bytes = b""
    own_id: str = ""


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """An input that waits for an operator: a delivery no adapter understood, or a message that a consumer gave up on."""

    quarantine_id: str
    agency_id: str
    source_id: str
    received_at: datetime
    reason: str
    place: str
    body: bytes
    status: EntryStatus = EntryStatus.WAITING
    service: str = "intake"
    attempts: int = 0
    delivery_id: str = ""
    subject: str = ""
    headers: Mapping[str, str] | None = None
    size_bytes: int = 0

    @property
    def excerpt(self) -> str:
        """The first 2 kB as text, undecodable bytes escaped as \\xNN."""
        return self.body[:EXCERPT_BYTES].decode("utf-8", errors="backslashreplace")


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """What the sender is told."""

    outcome: Outcome
    event_id: str = ""
    quarantine_id: str = ""
    reason: str = ""


def valid_delivery_id(text: str) -> bool:
    """Letters, digits, "_", ":", "-"; no dot, because the signature joins its parts with dots and must read one way only."""
    return _DELIVERY_ID.match(text) is not None


def valid_source_id(text: str) -> bool:
    """What the registry gives out."""
    return _SOURCE_ID.match(text) is not None


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).upper()
    unmarked = "".join(character for character in decomposed if not unicodedata.combining(character))
    return _PLATE_SEPARATORS.sub("", unmarked)


def normalise_plate(text: str, place: str = "plate") -> str:
    """Upper case letters and digits only: separators go, accents go ("ÄBC-12" -> "ABC12"), full-width forms become ASCII.

    Raises NotUnderstood when nothing, something else, or more than 12 characters remain.
    """
    plate = _fold(text)
    if not _PLATE.match(plate):
        raise NotUnderstood(
            place, f"{text[:24]!r} is not a plate: 1 to {MAXIMUM_PLATE_CHARACTERS} of A-Z and 0-9 must remain without separators"
        )
    return plate


def normalise_plate_pattern(text: str) -> str:
    """A plate to search for; "?" is any one character. Two must be known: a search is for a vehicle, not for all."""
    pattern = _fold(text)
    if not _PLATE_PATTERN.match(pattern) or len(pattern.replace("?", "")) < 2:
        raise NotUnderstood(
            "plate",
            f"{text[:24]!r} can't be searched: 2 to {MAXIMUM_PLATE_CHARACTERS} of A-Z, 0-9 and ?, at least two of them known characters",
        )
    return pattern


def like_pattern(pattern: str) -> str:
    """SQL LIKE form of a normalised pattern; it holds nothing that needs an escape."""
    return pattern.replace("?", "_")


def check_occurred_at(occurred_at: datetime, received_at: datetime, place: str) -> datetime:
    """Refuses what lies in the future; late events are accepted, they are facts too."""
    if occurred_at - received_at > MAXIMUM_AHEAD:
        ahead_s = round((occurred_at - received_at).total_seconds())
        raise NotUnderstood(
            place, f"lies {ahead_s} s in the future: set the device's clock (more than {MAXIMUM_AHEAD.seconds} s is refused)"
        )
    return occurred_at


@dataclass(frozen=True, slots=True)
class Thing:
    """What an event says the newest about. `over`: nothing to show any more; `ends_at`: worth nothing afterwards."""

    thing_id: str
    over: bool
    ends_at: datetime | None = None


def thing_of(event: event_pb2.Event) -> Thing | None:
    """None for events that stand for themselves, as a plate read does."""
    if event.HasField("alarm"):
        return Thing(f"{event.source_id}:{event.alarm.alarm_id}", event.alarm.state != event_pb2.ALARM_STATE_ACTIVE)
    if event.HasField("warning"):
        warning = event.warning
        ends_at = warning.expires_at.ToDatetime(UTC) if warning.HasField("expires_at") else None
        return Thing(warning.warning_id, warning.message_type == event_pb2.WARNING_MESSAGE_TYPE_CANCEL, ends_at)
    if event.HasField("marker"):
        return Thing(f"{event.source_id}:{event.marker.uid}", event.marker.removed, event.marker.stale_at.ToDatetime(UTC))
    if event.HasField("measurement"):
        return Thing(f"{event.source_id}:{event.measurement.sensor_id}:{event.measurement.quantity}", over=False)
    return None
