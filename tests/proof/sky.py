"""Drones as a receiver hears them, made from the standard's tables and not with the product's code (ASTM F3411-22a, tables 4 to 7)."""

import base64
import struct
from datetime import UTC, datetime


def remote_id(serial_number: str, latitude_deg: float, longitude_deg: float) -> dict[str, object]:
    """A delivery of docs/integrators/airspace.md with one Wi-Fi beacon element: a Basic ID and a location, heard now."""
    basic_id = struct.pack("<BB20s3x", 0x02, 0x12, serial_number.encode())
    places = (round(latitude_deg * 1e7), round(longitude_deg * 1e7))
    # airborne, speed and heights unknown, no time of its own
    location = struct.pack("<BBBBbiiHHHBBHBx", 0x12, 0x21, 181, 255, 126, *places, 0, 0, 0, 0, 0, 0xFFFF, 0)
    pack = bytes((0xF2, 25, 2)) + basic_id + location
    element = b"\xdd" + bytes((5 + len(pack),)) + b"\xfa\x0b\xbc\x0d\x00" + pack
    frame = {"carrier": "wifi_beacon", "mac": "60:60:1f:00:00:01", "at": datetime.now(UTC).isoformat()}
    return {"frames": [{**frame, "data": base64.b64encode(element).decode()}]}
