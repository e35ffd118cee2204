"""Bounds of what people send."""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from rtcc.geo.v1.geo_pb2 import Position
from rtcc_chassis.errors import InvalidInput, Violation
from rtcc_chassis.geometry import position_violations

# a phone's clock may run ahead a little
AHEAD_MOST = timedelta(minutes=5)
OLDEST = timedelta(days=366)


def text_violations(field: str, value: str, most: int, *, least: int = 0) -> list[Violation]:
    """What is wrong with a text: its length without surrounding space, or a null character."""
    length = len(value.strip())
    if "\0" in value:
        return [Violation(field, "holds a null character")]
    if length > most:
        return [Violation(field, f"has {length} characters; at most {most} are taken")]
    if length < least:
        return [Violation(field, "is missing" if least == 1 else f"has {length} characters; at least {least} are needed")]
    return []


def place_violations(field: str, position: Position) -> list[Violation]:
    """What is wrong with a position that is said to be there."""
    if not position.HasField("coordinate"):
        return [Violation(f"{field}.coordinate", "is missing")]
    return position_violations(position, field)


def moment(field: str, stamp: Timestamp | None, now: datetime) -> datetime:
    """When something happened; None: now. Raises InvalidInput for the future and for what is older than a year."""
    if stamp is None:
        return now
    try:
        at = stamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput.one(field, "is no time") from error
    if at > now + AHEAD_MOST:
        raise InvalidInput.one(field, "lies in the future")
    if at < now - OLDEST:
        raise InvalidInput.one(field, "lies more than a year back")
    return at


def require(violations: list[Violation]) -> None:
    """Raises InvalidInput when there is anything."""
    if violations:
        raise InvalidInput(violations)
