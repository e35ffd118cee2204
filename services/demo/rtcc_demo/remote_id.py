"""What the demo's drone broadcasts: Open Drone ID messages in a Wi-Fi beacon (ASTM F3411-22a), written after the standard's tables."""

from __future__ import annotations

import struct
from datetime import datetime

from rtcc_demo.world.geometry import to_degrees
from rtcc_demo.world.sky import DroneFix

MESSAGE_BYTES = 25
VERSION = 2
BASIC_ID, LOCATION, SELF_ID, SYSTEM, OPERATOR_ID, PACK = 0, 1, 3, 4, 5, 0xF
SERIAL_NUMBER, MULTIROTOR = 1, 2
AIRBORNE, ON_GROUND = 2, 1
LIVE_GNSS = 1
ACCURACY_10_M, ACCURACY_3_M = 10, 5
"""Codes of table 7: better than 10 m horizontally, better than 3 m vertically."""


def beacon_element(fix: DroneFix, heard_at: datetime, counter: int) -> bytes:
    """The vendor specific element FA-0B-BC/0D with a pack of five messages."""
    messages = [_basic_id(fix), _location(fix, heard_at), _self_id(fix), _system(fix), _operator_id(fix)]
    pack = bytes((PACK << 4 | VERSION, MESSAGE_BYTES, len(messages))) + b"".join(messages)
    body = b"\xfa\x0b\xbc\x0d" + bytes((counter & 0xFF,)) + pack
    return bytes((0xDD, len(body))) + body


def _head(message_type: int) -> int:
    return message_type << 4 | VERSION


def _basic_id(fix: DroneFix) -> bytes:
    return struct.pack("<BB20s3x", _head(BASIC_ID), SERIAL_NUMBER << 4 | MULTIROTOR, fix.drone.serial_number.encode())


def _location(fix: DroneFix, heard_at: datetime) -> bytes:
    longitude, latitude = to_degrees(fix.at)
    heading = round(fix.heading_deg) % 360
    tenths = round((heard_at.minute * 60 + heard_at.second + heard_at.microsecond / 1e6) * 10)
    status = AIRBORNE if fix.height_m > 0 else ON_GROUND
    return struct.pack(
        "<BBBBbiiHHHBBHBx",
        _head(LOCATION),
        status << 4 | (heading >= 180) << 1,
        heading % 180,
        round(fix.speed_mps / 0.25),
        round(fix.vertical_mps / 0.5),
        round(latitude * 1e7),
        round(longitude * 1e7),
        0,
        _altitude(fix.ground_m + fix.height_m),
        _altitude(fix.height_m),
        ACCURACY_3_M << 4 | ACCURACY_10_M,
        0,
        tenths % 36_000,
        1,
    )


def _self_id(fix: DroneFix) -> bytes:
    return struct.pack("<BB23s", _head(SELF_ID), 0, fix.drone.description.encode())


def _system(fix: DroneFix) -> bytes:
    """The pilot's own position, as their remote control knows it."""
    longitude, latitude = to_degrees(fix.pilot_at)
    return struct.pack(
        "<BBiiHBHHBHIx",
        _head(SYSTEM),
        LIVE_GNSS,
        round(latitude * 1e7),
        round(longitude * 1e7),
        1,
        0,
        0,
        0,
        0,
        _altitude(fix.ground_m + 1.5),
        0,
    )


def _operator_id(fix: DroneFix) -> bytes:
    return struct.pack("<BB20s3x", _head(OPERATOR_ID), 0, fix.drone.operator_id.encode())


def _altitude(metres: float) -> int:
    return round((metres + 1000.0) * 2)
