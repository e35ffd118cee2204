"""readsb's aircraft.json (README-json.md of wiedehopf/readsb): aircraft known by ADS-B, as sightings.

Altitudes come in feet, speeds in knots. `alt_baro` "ground": on the ground. `hex` with "~" before it is no ICAO address.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc_airspace.domain.observations import (
    ACCURACY,
    ALTITUDE,
    EMERGENCY,
    FLAGS,
    HEADING,
    ON_GROUND,
    SPEED,
    VERTICAL,
    Identity,
    Observations,
    Refusals,
    Subject,
    blank_row,
    microseconds,
)
from rtcc_airspace.domain.receptions import NotUnderstood, moment, number

AIRCRAFT_MOST = 5_000
_FOOT_DM = 3.048
_KNOT_CMPS = 1852 / 36
_FOOT_PER_MINUTE_CMPS = 30.48 / 60
_HEX = re.compile(r"~?[0-9a-f]{6}\Z")
_SQUAWK = re.compile(r"[0-7]{4}\Z")
# unlawful interference, lost communication, general emergency (ICAO Annex 10)
_EMERGENCY_SQUAWKS = frozenset({"7500", "7600", "7700"})
_SPEED_MOST_CMPS = 65_000


def read_aircraft(document: Mapping[str, Any], source_id: str, received_at: datetime) -> tuple[Observations, Refusals]:
    """Every aircraft with a place. Those without one aren't refused: readsb lists what it has only heard, too."""
    listed = document.get("aircraft")
    if not isinstance(listed, list):
        raise NotUnderstood("aircraft", "is missing or no list: send readsb's aircraft.json")
    if len(listed) > AIRCRAFT_MOST:
        raise NotUnderstood("aircraft", f"{len(listed)} in one document, at most {AIRCRAFT_MOST} are taken")
    now = moment("now", document.get("now"), received_at)
    refusals, keys, rows = Refusals(), [], []
    subjects: dict[str, Subject] = {}
    for index, entry in enumerate(listed):
        try:
            if not isinstance(entry, dict):
                raise NotUnderstood("", "is no object")
            if "lat" not in entry or "lon" not in entry:
                continue
            subject = _subject(entry, source_id)
            row = _row(entry, now, received_at, subject.identity)
        except NotUnderstood as error:
            refusals.add(f"aircraft[{index}].{error}")
            continue
        keys.append(subject.key)
        rows.append(row)
        subjects[subject.key] = subject
    return Observations.of(keys, rows, subjects), refusals


def _subject(entry: Mapping[str, Any], source_id: str) -> Subject:
    address = str(entry.get("hex", "")).strip().lower()
    if _HEX.match(address) is None:
        raise NotUnderstood("hex", f"{address[:12]!r} is no aircraft address of 6 hexadecimal digits")
    squawk = str(entry.get("squawk", ""))
    emergency = _text(entry, "emergency")
    identity = Identity(
        icao_hex=address,
        call_sign=_text(entry, "flight"),
        registration=_text(entry, "r"),
        aircraft_type=_text(entry, "t"),
        squawk=squawk if _SQUAWK.match(squawk) else "",
        emergency="" if emergency == "none" else emergency,
    )
    return Subject(f"icao:{address}", pb.TRACK_KIND_AIRCRAFT, identity, source_id)


def _row(entry: Mapping[str, Any], now: datetime, received_at: datetime, identity: Identity) -> list[int]:
    latitude, longitude = number("lat", entry["lat"], -90, 90), number("lon", entry["lon"], -180, 180)
    age_s = number("seen_pos", entry.get("seen_pos", 0), 0, 1e6)
    row = blank_row(round(latitude * 1e7), round(longitude * 1e7), microseconds(now - timedelta(seconds=age_s)), microseconds(received_at))
    on_ground = entry.get("alt_baro") == "ground"
    # above the ellipsoid where the aircraft tells it; the pressure altitude can be some hundred feet off
    altitude = entry.get("alt_geom", None if on_ground else entry.get("alt_baro"))
    if altitude is not None:
        row[ALTITUDE] = round(number("alt_geom or alt_baro", altitude, -3_000, 150_000) * _FOOT_DM)
    if (speed := entry.get("gs")) is not None:
        row[SPEED] = min(_SPEED_MOST_CMPS, round(number("gs", speed, 0, 3_000) * _KNOT_CMPS))
    if (heading := entry.get("track")) is not None:
        row[HEADING] = round(number("track", heading, 0, 360) * 100) % 36_000
    rate = entry.get("geom_rate", entry.get("baro_rate"))
    if rate is not None:
        row[VERTICAL] = round(number("geom_rate or baro_rate", rate, -100_000, 100_000) * _FOOT_PER_MINUTE_CMPS)
    if (radius := entry.get("rc")) is not None:
        row[ACCURACY] = round(number("rc", radius, 0, 1e6) * 10)
    emergency = bool(identity.emergency) or identity.squawk in _EMERGENCY_SQUAWKS
    row[FLAGS] = on_ground * ON_GROUND | emergency * EMERGENCY
    return row


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name, "")
    text = value[:40] if isinstance(value, str) else ""
    return "".join(character for character in text if character.isascii() and character.isprintable()).strip()
