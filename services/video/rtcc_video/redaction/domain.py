"""What a redaction says: which parts of the picture can't be seen, from when to when (R28). No I/O, no clock."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from rtcc_chassis.errors import InvalidInput, Violation

LONGEST: Final = timedelta(hours=1)
MOST_REGIONS: Final = 50
MOST_BOXES: Final = 500
_SMALLEST: Final = 0.002
# browsers count in milliseconds, marks in microseconds
_ROUNDING_US: Final = 1000


class Mode(StrEnum):
    """Whether the regions hide or show."""

    INSIDE = "inside"
    OUTSIDE = "outside"


class Style(StrEnum):
    """How pictures are made unrecognisable."""

    MOSAIC = "mosaic"
    COVER = "cover"


@dataclass(frozen=True, slots=True)
class Box:
    """At a moment (Unix microseconds), in parts of the picture's width and height."""

    at_us: int
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Region:
    """Boxes at rising times, at least one."""

    starts_us: int
    ends_us: int
    boxes: tuple[Box, ...]

    def box(self, at_us: int) -> tuple[float, float, float, float] | None:
        """(left, top, width, height) at a moment, between the boxes before and behind it; None outside of its time."""
        if not self.starts_us <= at_us <= self.ends_us:
            return None
        behind = bisect_right(self.boxes, at_us, key=lambda box: box.at_us)
        first, last = self.boxes[max(0, behind - 1)], self.boxes[min(behind, len(self.boxes) - 1)]
        part = 0.0 if last.at_us <= first.at_us else max(0.0, (at_us - first.at_us) / (last.at_us - first.at_us))
        pairs = ((first.left, last.left), (first.top, last.top), (first.width, last.width), (first.height, last.height))
        left, top, width, height = (a + (b - a) * part for a, b in pairs)
        return left, top, width, height


@dataclass(frozen=True, slots=True)
class Redaction:
    """`style` is applied inside the regions, or to everything outside of them."""

    mode: Mode
    style: Style
    regions: tuple[Region, ...]

    def as_dict(self) -> dict[str, Any]:
        """As stored, told to the process that does it, and written into the manifest."""
        return asdict(self)


def redaction_from(stored: dict[str, Any]) -> Redaction:
    """The opposite of `Redaction.as_dict`."""
    regions = tuple(Region(one["starts_us"], one["ends_us"], tuple(Box(**box) for box in one["boxes"])) for one in stored["regions"])
    return Redaction(Mode(stored["mode"]), Style(stored["style"]), regions)


def check_redaction(redaction: Redaction, starts_at: datetime, ends_at: datetime) -> None:
    """Raises `InvalidInput`, naming each field that is wrong. The times are the marks of the export that it is made from."""
    found: list[Violation] = []
    if ends_at - starts_at > LONGEST:
        found.append(Violation("export_id", "is longer than an hour: export and redact it in parts"))
    if len(redaction.regions) > MOST_REGIONS:
        found.append(Violation("regions", f"are more than {MOST_REGIONS}"))
    if redaction.mode is Mode.INSIDE and not redaction.regions:
        found.append(Violation("regions", "is needed: without one nothing would be redacted"))
    earliest_us, latest_us = (round(at.timestamp() * 1_000_000) for at in (starts_at, ends_at))
    for number, region in enumerate(redaction.regions[:MOST_REGIONS]):
        place = f"regions[{number}]"
        if not earliest_us - _ROUNDING_US <= region.starts_us < region.ends_us <= latest_us + _ROUNDING_US:
            found.append(Violation(place, "must begin before it ends, inside the export's marks"))
        if not 1 <= len(region.boxes) <= MOST_BOXES:
            found.append(Violation(f"{place}.boxes", f"are 1 to {MOST_BOXES}"))
        found += _wrong_boxes(place, region.boxes[:MOST_BOXES])
    if found:
        raise InvalidInput(found[:20])


def _wrong_boxes(place: str, boxes: Sequence[Box]) -> list[Violation]:
    found, before_us = [], None
    for number, box in enumerate(boxes):
        field = f"{place}.boxes[{number}]"
        if not _inside(box):
            found.append(Violation(field, "isn't a rectangle inside the picture: all of it are parts of 1"))
        if before_us is not None and box.at_us <= before_us:
            found.append(Violation(f"{field}.at", "isn't later than the one before"))
        before_us = box.at_us
    return found


def _inside(box: Box) -> bool:
    values = (box.left, box.top, box.width, box.height)
    if not all(math.isfinite(value) for value in values) or min(box.left, box.top) < 0 or min(box.width, box.height) < _SMALLEST:
        return False
    return box.left + box.width <= 1.000001 and box.top + box.height <= 1.000001
