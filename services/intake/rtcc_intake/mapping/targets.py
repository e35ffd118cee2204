"""What a mapping may fill: for each kind of event its fields with type, unit and choices, and the reader of the neutral JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rtcc_intake.adapters import alarm, call, gunshot, plate_read, sensor
from rtcc_intake.document import Node
from rtcc_intake.domain import ParsedEvent


class FieldType(StrEnum):
    """How a value is translated before the neutral reader checks it."""

    TEXT = "text"
    NUMBER = "number"
    CHOICE = "choice"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Field:
    """`unit`: what a number is converted to; "*": any that is known, told beside the value."""

    type: FieldType
    required: bool = False
    choices: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """`parse` reads the neutral JSON. Field names with a dot are members of an inner object."""

    fields: Mapping[str, Field]
    parse: Callable[[Node, datetime], ParsedEvent]


_TEXT, _NEEDED_TEXT = Field(FieldType.TEXT), Field(FieldType.TEXT, required=True)
_NUMBER, _NEEDED_TIME = Field(FieldType.NUMBER), Field(FieldType.TIME, required=True)
_PLACE = {
    "lat": Field(FieldType.NUMBER, unit="deg"),
    "lon": Field(FieldType.NUMBER, unit="deg"),
    "accuracy_m": Field(FieldType.NUMBER, unit="m"),
}


def _choice(choices: tuple[str, ...], *, required: bool = True) -> Field:
    return Field(FieldType.CHOICE, required=required, choices=choices)


TARGETS: Mapping[str, Target] = {
    "alarm": Target(
        {
            "alarm_id": _NEEDED_TEXT, "panel_id": _TEXT, "type": _choice(alarm.TYPES), "state": _choice(tuple(alarm.STATES)),
            "raised_at": _NEEDED_TIME, "zone": _TEXT, "site": _TEXT, "address": _TEXT, "note": _TEXT, **_PLACE,
        },
        alarm.parse,
    ),
    "call_for_service": Target(
        {
            "call_id": _NEEDED_TEXT, "type": _NEEDED_TEXT, "priority": _NUMBER, "status": _TEXT, "address": _TEXT, "narrative": _TEXT,
            "caller_number": _TEXT, "updated_at": _NEEDED_TIME, **_PLACE,
        },
        call.parse,
    ),
    "gunshot": Target(
        {
            "incident_id": _NEEDED_TEXT, "stage": _choice(tuple(gunshot.STAGES)), "classification": _choice(gunshot.CLASSIFICATIONS),
            "detected_at": _NEEDED_TIME, "rounds": _NUMBER, "sensors": _NUMBER, "error_radius_m": Field(FieldType.NUMBER, unit="m"),
            "lat": Field(FieldType.NUMBER, required=True, unit="deg"), "lon": Field(FieldType.NUMBER, required=True, unit="deg"),
        },
        gunshot.parse,
    ),
    "measurement": Target(
        {
            "sensor_id": _NEEDED_TEXT, "name": _TEXT, "quantity": _NEEDED_TEXT, "value": Field(FieldType.NUMBER, required=True, unit="*"),
            "unit": _TEXT, "level": _choice(tuple(sensor.LEVELS), required=False), "measured_at": _NEEDED_TIME, **_PLACE,
        },
        sensor.parse,
    ),
    "plate_read": Target(
        {
            "read_id": _NEEDED_TEXT, "camera_id": _NEEDED_TEXT, "plate": _NEEDED_TEXT, "state": _TEXT, "image": _TEXT,
            "confidence": Field(FieldType.NUMBER, required=True, unit="1"), "captured_at": _NEEDED_TIME, "vehicle.make": _TEXT,
            "vehicle.model": _TEXT, "vehicle.color": _TEXT, "lat": _PLACE["lat"], "lon": _PLACE["lon"],
        },
        plate_read.parse,
    ),
}  # fmt: skip

# unit -> (the unit it is converted to, factor, what is added afterwards); UCUM names where there are any
UNITS: Mapping[str, tuple[str, float, float]] = {
    "deg": ("deg", 1, 0), "deg_e6": ("deg", 1e-6, 0), "deg_e7": ("deg", 1e-7, 0), "rad": ("deg", 57.29577951308232, 0),
    "m": ("m", 1, 0), "km": ("m", 1000, 0), "cm": ("m", 0.01, 0), "mm": ("m", 0.001, 0), "ft": ("m", 0.3048, 0), "mi": ("m", 1609.344, 0),
    "1": ("1", 1, 0), "%": ("1", 0.01, 0),
    "Cel": ("Cel", 1, 0), "F": ("Cel", 5 / 9, -160 / 9), "K": ("Cel", 1, -273.15),
    "m/s": ("m/s", 1, 0), "km/h": ("m/s", 1 / 3.6, 0), "mph": ("m/s", 0.44704, 0), "kn": ("m/s", 1852 / 3600, 0),
    "Pa": ("Pa", 1, 0), "hPa": ("Pa", 100, 0), "bar": ("Pa", 100_000, 0),
}  # fmt: skip
