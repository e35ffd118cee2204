"""When two things are at the same place."""

import math
import re
import unicodedata

from rtcc.geo.v1.geo_pb2 import Coordinate, Position
from rtcc_chassis.geometry import distance_m

_NO_WORD = re.compile(r"[^\w\s]+|_")
_HOUSE_NUMBER = re.compile(r"\d+[a-z]?\Z")


def address_key(address: str) -> str:
    """Equal for the ways in which one building is written: "Mannerheimintie 12 A 5, Helsinki" and "MANNERHEIMINTIE 12".

    The part before the first comma, in lower case and without punctuation; after "street number" the staircase and flat are left out.
    A number in front ("216 Peachtree St NW") keeps the whole part. Empty for an empty address.
    """
    first = unicodedata.normalize("NFKC", address).casefold().split(",", 1)[0]
    words = _NO_WORD.sub(" ", first).split()
    for index, word in enumerate(words):
        if index and _HOUSE_NUMBER.match(word) and not words[0][0].isdigit():
            return " ".join(words[: index + 1])
    return " ".join(words)


def coordinate_of(position: Position) -> Coordinate | None:
    """The coordinate, if there is one."""
    return position.coordinate if position.HasField("coordinate") else None


def metres_between(a: Coordinate | None, b: Coordinate | None) -> float | None:
    """None when one of them is unknown."""
    if a is None or b is None:
        return None
    return distance_m(a.latitude_deg, a.longitude_deg, b.latitude_deg, b.longitude_deg)


def box_around(coordinate: Coordinate, metres: float) -> tuple[float, float, float, float]:
    """(south, west, north, east) in degrees that holds every point within `metres`; for an index, which a distance then refines."""
    latitude = metres / 110_500
    # a degree of longitude shrinks towards the poles; there the box takes all
    shrink = math.cos(math.radians(min(89.0, abs(coordinate.latitude_deg) + latitude)))
    longitude = min(180.0, metres / (110_500 * shrink))
    return (
        coordinate.latitude_deg - latitude,
        coordinate.longitude_deg - longitude,
        coordinate.latitude_deg + latitude,
        coordinate.longitude_deg + longitude,
    )
