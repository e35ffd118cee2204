"""Drones as a receiver hears them, made from the standard's tables and not with the product's code (ASTM F3411-22a, tables 4 to 7)."""

import base64
import struct
from datetime import UTC, datetime


def remote_id(serial_number: str, latitude_deg: float, longitude_deg: float) -> dict[str, object]:
    """A delivery of docs/integrators/airspace.md with one Wi-Fi beacon element: a Basic ID and a location, heard now."""
    # speed and heights unknown
    return _delivery([_basic_id(serial_number), _location(latitude_deg, longitude_deg, 0, 0, speed=255)])


def broadcast(
    serial_number: str, operator_id: str, at: tuple[float, float], height_m: float, speed_mps: float, pilot: tuple[float, float]
) -> dict[str, object]:
    """The same from a drone that tells all: its heights, what it does, its operator, and where its pilot stands (live GNSS)."""
    altitude = round((height_m + 20 + 1000) * 2)
    places = (round(pilot[0] * 1e7), round(pilot[1] * 1e7))
    return _delivery(
        [
            _basic_id(serial_number),
            _location(*at, altitude, round((height_m + 1000) * 2), speed=round(speed_mps / 0.25)),
            struct.pack("<BB23s", 0x32, 0, b"Filming"),
            struct.pack("<BBiiHBHHBHIx", 0x42, 1, *places, 1, 0, 0, 0, 0, 0, 0),
            struct.pack("<BB20s3x", 0x52, 0, operator_id.encode()),
        ]
    )


def _basic_id(serial_number: str) -> bytes:
    return struct.pack("<BB20s3x", 0x02, 0x12, serial_number.encode())


def _location(latitude_deg: float, longitude_deg: float, altitude: int, height: int, *, speed: int) -> bytes:
    """Airborne, without a time of its own. Heights are half metres above -1000 m; 0: unknown."""
    places = (round(latitude_deg * 1e7), round(longitude_deg * 1e7))
    return struct.pack(
        "<BBBBbiiHHHBBHBx", 0x12, 0x21, 181 if speed == 255 else 0, speed, 126, *places, 0, altitude, height, 0, 0, 0xFFFF, 0
    )


def _delivery(messages: list[bytes]) -> dict[str, object]:
    pack = bytes((0xF2, 25, len(messages))) + b"".join(messages)
    element = b"\xdd" + bytes((5 + len(pack),)) + b"\xfa\x0b\xbc\x0d\x00" + pack
    frame = {"carrier": "wifi_beacon", "mac": "60:60:1f:00:00:01", "at": datetime.now(UTC).isoformat()}
    return {"frames": [{**frame, "data": base64.b64encode(element).decode()}]}
