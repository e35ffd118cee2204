"""What receivers saw, as columns: one row a sighting of one thing in the air. Units are those of `TrackBatch`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc.airspace.v1.drone_video_pb2 import CameraView

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

(
    LATITUDE, LONGITUDE, ALTITUDE, HEIGHT, HEADING, SPEED, VERTICAL, PILOT_LATITUDE, PILOT_LONGITUDE, PILOT_PLACE, FLAGS, ACCURACY,
    OBSERVED_AT, RECEIVED_AT,
) = range(14)  # fmt: skip
COLUMNS = 14

UNKNOWN_DM = -100_000
UNKNOWN_HEADING_CDEG = 36_000
UNKNOWN_SPEED_CMPS = 65_535
UNKNOWN_VERTICAL_CMPS = -100_000
ON_GROUND, EMERGENCY, IN_ZONE = 1, 2, 4
FUTURE_MOST = timedelta(minutes=2)
# what is older when it comes is history: it neither moves a track nor raises an alarm
FRESH_MOST = timedelta(seconds=60)
REASONS_MOST = 20

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Identity(NamedTuple):
    """Who a thing says it is; "": not told. The fields are those of `TrackIdentity`."""

    serial_number: str = ""
    registration: str = ""
    session_id: str = ""
    aircraft_type: str = ""
    manufacturer: str = ""
    model: str = ""
    operator_id: str = ""
    description: str = ""
    call_sign: str = ""
    icao_hex: str = ""
    squawk: str = ""
    emergency: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What of a thing doesn't change with each sighting. `key` tells it from others inside its agency."""

    key: str
    # a pb.TrackKind
    kind: int
    identity: Identity
    source_id: str


@dataclass(frozen=True, slots=True)
class Observations:
    """`numbers` has shape (14, n): the columns above; `keys` has n entries, `subjects` one for each different key; `views`: where the
    camera of some of them looks.
    """

    keys: list[str]
    numbers: Integers
    subjects: Mapping[str, Subject]
    views: Mapping[str, CameraView] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)

    def rows(self, chosen: Integers) -> "Observations":
        """The rows of these numbers, in their order."""
        return replace(self, keys=[self.keys[row] for row in chosen.tolist()], numbers=self.numbers[:, chosen])

    @classmethod
    def none(cls) -> "Observations":
        return cls([], np.empty((COLUMNS, 0), np.int64), {})

    @classmethod
    def of(
        cls, keys: list[str], rows: Sequence[Sequence[int]], subjects: Mapping[str, Subject], views: Mapping[str, CameraView] | None = None
    ) -> "Observations":
        """`rows[i]`: the 14 numbers of one sighting."""
        return cls(keys, np.array(rows, np.int64).reshape(len(rows), COLUMNS).T.copy(), subjects, views or {})

    @classmethod
    def joined(cls, parts: Sequence["Observations"]) -> "Observations":
        """One after the other; at least one part. Of a key's subjects and views the last one stays."""
        if len(parts) == 1:
            return parts[0]
        subjects: dict[str, Subject] = {}
        views: dict[str, CameraView] = {}
        for part in parts:
            subjects |= part.subjects
            views |= part.views
        return cls([key for part in parts for key in part.keys], np.concatenate([part.numbers for part in parts], axis=1), subjects, views)


@dataclass(slots=True)
class Refusals:
    """What could not be taken: how many, and the first reasons."""

    count: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, reason: str, count: int = 1) -> None:
        self.count += count
        if len(self.reasons) < REASONS_MOST:
            self.reasons.append(reason)


def blank_row(latitude_e7: int, longitude_e7: int, observed_at_us: int, received_at_us: int) -> list[int]:
    """A sighting of which nothing but the place is known."""
    row = [0] * COLUMNS
    row[LATITUDE], row[LONGITUDE] = latitude_e7, longitude_e7
    row[ALTITUDE] = row[HEIGHT] = UNKNOWN_DM
    row[HEADING], row[SPEED], row[VERTICAL] = UNKNOWN_HEADING_CDEG, UNKNOWN_SPEED_CMPS, UNKNOWN_VERTICAL_CMPS
    row[OBSERVED_AT], row[RECEIVED_AT] = observed_at_us, received_at_us
    return row


def microseconds(moment: datetime) -> int:
    """Since the Unix epoch; exact for aware datetimes."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def identity_message(identity: Identity) -> pb.TrackIdentity:
    return pb.TrackIdentity(**{name: value for name, value in identity._asdict().items() if value})


def identity_of(message: pb.TrackIdentity) -> Identity:
    return Identity(*(getattr(message, name) for name in Identity._fields))
