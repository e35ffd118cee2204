"""Pictures from outside: believed by their first bytes only, decoded within bounds, written anew so that nothing hidden stays in them."""

import io
import math
import struct
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc_chassis.errors import InvalidInput

MAXIMUM_PIXELS = 50_000_000
MAXIMUM_SIDE = 20_000
KEPT_SIDE = 4_096
_QUALITY = 86
# EXIF 2.32: pointers to the sub-tables and the tags read from them
_EXIF_TABLE, _GPS_TABLE = 0x8769, 0x8825
_TAKEN_AT, _TAKEN_OFFSET = 0x9003, 0x9011


@dataclass(frozen=True, slots=True)
class Picture:
    """`taken_at` and `coordinate` are what the original said; they aren't in `data` any more."""

    data: bytes
    content_type: str
    width_px: int
    height_px: int
    taken_at: datetime | None = None
    coordinate: Coordinate | None = None


def kind_of(data: bytes) -> str:
    """ "JPEG", "PNG", "WEBP" by the first bytes, "" for anything else, whatever name or type came with it."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return ""


def photo(data: bytes, field: str, maximum_bytes: int, zone: tzinfo) -> Picture:
    """A JPEG of at most 4,096 pixels a side, upright, without metadata. `zone`: of a time that names none. Raises InvalidInput."""
    image, kind = _opened(data, field, maximum_bytes, ("JPEG", "PNG", "WEBP"))
    from PIL import ImageOps

    taken_at, coordinate = _said(image, zone)
    try:
        if kind == "JPEG":
            # decoded at half or a quarter where the original is larger than what is kept
            image.draft("RGB", (KEPT_SIDE, KEPT_SIDE))
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail((KEPT_SIDE, KEPT_SIDE))
        written = _written(upright, "JPEG")
    except _UNREADABLE as error:
        raise _unreadable(field, error) from error
    return Picture(written, "image/jpeg", *upright.size, taken_at, coordinate)


def drawing(data: bytes, field: str, maximum_bytes: int) -> Picture:
    """A floor plan, PNG or JPEG as it came and of the same size, without metadata. Raises InvalidInput."""
    image, kind = _opened(data, field, maximum_bytes, ("JPEG", "PNG"))
    if max(image.size) > 2 * KEPT_SIDE:
        raise InvalidInput.one(field, f"is {image.size[0]} x {image.size[1]} pixels; at most {2 * KEPT_SIDE} a side can be laid on the map")
    try:
        written = _written(image, kind)
    except _UNREADABLE as error:
        raise _unreadable(field, error) from error
    return Picture(written, f"image/{kind.lower()}", *image.size)


def _opened(data: bytes, field: str, maximum_bytes: int, kinds: tuple[str, ...]) -> tuple[Any, str]:
    if not data:
        raise InvalidInput.one(field, "is missing")
    if len(data) > maximum_bytes:
        raise InvalidInput.one(field, f"has {len(data)} bytes; at most {maximum_bytes // 1024} KiB are taken")
    kind = kind_of(data)
    if kind not in kinds:
        raise InvalidInput.one(field, f"is not {' or '.join(kinds)} by its content; other formats, SVG among them, are refused")
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data), formats=(kind,))
    except (*_UNREADABLE, Image.DecompressionBombError) as error:
        raise _unreadable(field, error) from error
    width, height = image.size
    if width * height > MAXIMUM_PIXELS or max(width, height) > MAXIMUM_SIDE or not width or not height:
        raise InvalidInput.one(field, f"is {width} x {height} pixels; at most {MAXIMUM_PIXELS // 1_000_000} megapixels are taken")
    return image, kind


# what Pillow's decoders raise for damaged input, besides its own UnidentifiedImageError (an OSError)
_UNREADABLE = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error, ZeroDivisionError, OverflowError)


def _unreadable(field: str, error: Exception) -> InvalidInput:
    return InvalidInput.one(field, f"can't be read as a picture: {str(error)[:100]}")


def _written(image: Any, kind: str) -> bytes:
    """Pixels alone go over into a fresh picture: no EXIF, XMP, comment, colour profile or trailing bytes."""
    from PIL import Image

    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    pixels = image.convert("RGBA") if transparent else image.convert("RGB")
    fresh = Image.new("RGB", pixels.size, "white")
    fresh.paste(pixels, mask=pixels.getchannel("A") if transparent else None)
    buffer = io.BytesIO()
    if kind == "PNG":
        fresh.save(buffer, "PNG", compress_level=6)
    else:
        fresh.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _said(image: Any, zone: tzinfo) -> tuple[datetime | None, Coordinate | None]:
    """When and where the camera says; damaged metadata says nothing."""
    try:
        exif = image.getexif()
        return _taken_at(exif.get_ifd(_EXIF_TABLE), zone), _coordinate(exif.get_ifd(_GPS_TABLE))
    except (*_UNREADABLE, AttributeError):
        return None, None


def _taken_at(table: dict[int, Any], zone: tzinfo) -> datetime | None:
    text, offset = str(table.get(_TAKEN_AT, "")).strip("\0 "), str(table.get(_TAKEN_OFFSET, "")).strip("\0 ")
    try:
        taken = datetime.strptime(text, "%Y:%m:%d %H:%M:%S")
        return datetime.strptime(f"{text} {offset}", "%Y:%m:%d %H:%M:%S %z") if offset else taken.replace(tzinfo=zone)
    except ValueError:
        return None


def _coordinate(table: dict[int, Any]) -> Coordinate | None:
    """GPSLatitudeRef 1, GPSLatitude 2, GPSLongitudeRef 3, GPSLongitude 4: degrees, minutes, seconds as fractions."""
    if not all(tag in table for tag in (1, 2, 3, 4)):
        return None
    values = []
    for reference, parts in ((table[1], table[2]), (table[3], table[4])):
        degrees, minutes, seconds = (float(part) for part in parts)
        value = degrees + minutes / 60 + seconds / 3600
        values.append(-value if str(reference).strip("\0 ").upper() in ("S", "W") else value)
    latitude, longitude = values
    if not (math.isfinite(latitude) and math.isfinite(longitude)) or abs(latitude) > 90 or abs(longitude) > 180 or values == [0, 0]:
        return None
    return Coordinate(latitude_deg=latitude, longitude_deg=longitude)
