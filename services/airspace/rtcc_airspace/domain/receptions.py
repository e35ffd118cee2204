"""The documents that receivers send (docs/integrators/airspace.md): frames of Remote ID, and readsb's aircraft.json."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rtcc_airspace.domain.carriers import READERS
from rtcc_airspace.domain.messages import DamagedMessage, split_pack
from rtcc_airspace.domain.observations import FUTURE_MOST, Refusals, microseconds

BODY_BYTES_MOST = 1024 * 1024
FRAMES_MOST = 2_000
FRAME_BYTES_MOST = 2_500
_MAC = re.compile(r"(?:[0-9A-Fa-f]{2}[:-]?){5}[0-9A-Fa-f]{2}\Z")


class NotUnderstood(ValueError):
    """An authentic document that can't be read at all: says where and why."""

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        self.reason = reason
        super().__init__(f"{place}: {reason}" if place else reason)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where it stands; None: not told."""

    latitude_deg: float | None = None
    longitude_deg: float | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """`messages`: 25 bytes each. `mac`: the transmitter's address, 12 hexadecimal digits. `rssi_dbm` None: not told."""

    heard_at_us: int
    mac: str
    rssi_dbm: float | None
    messages: list[bytes]


@dataclass(frozen=True, slots=True)
class Reception:
    """What one receiver heard."""

    receiver: Receiver
    frames: list[Frame]
    refusals: Refusals


def read_json(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises NotUnderstood."""
    if len(body) > BODY_BYTES_MOST:
        raise NotUnderstood("", f"{len(body)} bytes, at most {BODY_BYTES_MOST} are taken")
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotUnderstood("", f"is not JSON: {str(error)[:100]}") from error
    if not isinstance(document, dict):
        raise NotUnderstood("", "is not a JSON object")
    return document


def read_reception(document: dict[str, Any], received_at: datetime) -> Reception:
    """Frames that can't be read are counted with their reasons; the others are taken."""
    frames = document.get("frames")
    if not isinstance(frames, list):
        raise NotUnderstood("frames", "is missing or no list")
    if len(frames) > FRAMES_MOST:
        raise NotUnderstood("frames", f"{len(frames)} in one document, at most {FRAMES_MOST} are taken: send several")
    refusals, taken = Refusals(), []
    for index, frame in enumerate(frames):
        try:
            taken.append(_frame(frame, received_at))
        except (NotUnderstood, DamagedMessage) as error:
            refusals.add(f"frames[{index}].{error}")
    return Reception(_receiver(document.get("receiver")), taken, refusals)


def _receiver(value: Any) -> Receiver:
    if value is None:
        return Receiver()
    if not isinstance(value, dict):
        raise NotUnderstood("receiver", "is no object")
    if value.get("lat") is None and value.get("lon") is None:
        return Receiver()
    return Receiver(number("receiver.lat", value.get("lat"), -90, 90), number("receiver.lon", value.get("lon"), -180, 180))


def _frame(value: Any, received_at: datetime) -> Frame:
    if not isinstance(value, dict):
        raise NotUnderstood("", "is no object")
    reader = READERS.get(str(value.get("carrier")))
    if reader is None:
        raise NotUnderstood("carrier", f"{str(value.get('carrier'))[:40]!r} is unknown: use {', '.join(sorted(READERS))}")
    mac = value.get("mac")
    if not isinstance(mac, str) or _MAC.match(mac) is None:
        raise NotUnderstood("mac", "is not the address of a transmitter, such as 60:60:1f:aa:bb:cc")
    rssi = value.get("rssi")
    heard_at_us = microseconds(moment("at", value.get("at"), received_at))
    data = _bytes(value.get("data"))
    return Frame(
        heard_at_us,
        mac.replace(":", "").replace("-", "").lower(),
        None if rssi is None else number("rssi", rssi, -200, 50),
        split_pack(reader(data)),
    )


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str) or len(value) > FRAME_BYTES_MOST * 4 // 3 + 4:
        raise NotUnderstood("data", f"is no base64 text of at most {FRAME_BYTES_MOST} bytes")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotUnderstood("data", "is no base64") from error


def moment(place: str, value: Any, received_at: datetime) -> datetime:
    """Unix seconds or ISO 8601; absent: when it was received. Raises NotUnderstood, also for what lies in the future."""
    if value is None:
        return received_at
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            told = datetime.fromtimestamp(value, UTC)
        else:
            told = datetime.fromisoformat(str(value)[:40])
            told = told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise NotUnderstood(place, f"{str(value)[:40]!r} is neither Unix seconds nor ISO 8601") from error
    if told.year < 2000:
        raise NotUnderstood(place, "lies before the year 2000: set the receiver's clock")
    if told - received_at > FUTURE_MOST:
        ahead_s = (told - received_at).total_seconds()
        raise NotUnderstood(
            place, f"lies {ahead_s:.0f} s in the future, at most {FUTURE_MOST.seconds} s are taken: set the receiver's clock"
        )
    return told


def number(place: str, value: Any, low: float, high: float) -> float:
    """A finite JSON number between the ends. Raises NotUnderstood."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotUnderstood(place, "is missing or no number")
    # compared before anything else: a whole number of 400 digits is no float, and what isn't a number is within nothing
    if not low <= value <= high:
        raise NotUnderstood(place, f"{str(value)[:40]} is not within {low:g} to {high:g}")
    return float(value)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
