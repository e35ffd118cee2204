"""The UAS Datalink Local Set (MISB ST 0601), as far as a map needs it: where the drone and its camera are, and where they look.

Integers stand for ranges: unsigned from lowest to highest, signed symmetrically, their lowest value meaning "error or out of range"
(ST 0601, 8). The last item is the checksum of ST 0601, 8.1: the sum of the packet's 16-bit words up to itself.
"""

from dataclasses import dataclass, fields
from itertools import islice
from typing import Final

from rtcc_video.sources.klv import BadKlv, find_packets, read_items, write_items, write_length

KEY: Final = bytes.fromhex("060e2b34020b01010e01030101000000")
_CHECKSUM, _TIME, _VERSION = 1, 2, 65
_PACKETS_MOST: Final = 8
_ITEMS_MOST: Final = 256
_TEXT_BYTES_MOST: Final = 127


@dataclass(frozen=True, slots=True)
class Number:
    """How a tag's integer stands for a value: `size` bytes over `lowest` to `highest`; symmetric ones are signed."""

    size: int
    lowest: float
    highest: float

    @property
    def signed(self) -> bool:
        return self.lowest == -self.highest

    def read(self, value: bytes) -> float | None:
        """None: another size than the standard's, or "out of range"."""
        if len(value) != self.size:
            return None
        number = int.from_bytes(value, signed=self.signed)
        steps = (1 << 8 * self.size) - 1
        if not self.signed:
            return self.lowest + number * (self.highest - self.lowest) / steps
        most = steps >> 1
        return None if number == -most - 1 else number * self.highest / most

    def write(self, value: float) -> bytes:
        """The nearest integer. Raises `BadKlv` outside of the range."""
        if not self.lowest <= value <= self.highest:
            raise BadKlv(f"{value} is outside of {self.lowest} to {self.highest}")
        steps = (1 << 8 * self.size) - 1
        if self.signed:
            most = steps >> 1
            return round(value / self.highest * most).to_bytes(self.size, signed=True)
        return round((value - self.lowest) / (self.highest - self.lowest) * steps).to_bytes(self.size)


_HEIGHT: Final = Number(2, -900, 19_000)
_LATITUDE, _LONGITUDE = Number(4, -90, 90), Number(4, -180, 180)
_OFFSET: Final = Number(2, -0.075, 0.075)

_TEXTS: Final = {3: "mission_id", 4: "platform_tail", 10: "platform_designation", 11: "image_source", 59: "platform_call_sign"}
_NUMBERS: Final = {
    5: ("heading_deg", Number(2, 0, 360)),
    6: ("pitch_deg", Number(2, -20, 20)),
    7: ("roll_deg", Number(2, -50, 50)),
    13: ("sensor_latitude_deg", _LATITUDE),
    14: ("sensor_longitude_deg", _LONGITUDE),
    15: ("sensor_altitude_m", _HEIGHT),
    16: ("horizontal_field_deg", Number(2, 0, 180)),
    17: ("vertical_field_deg", Number(2, 0, 180)),
    18: ("relative_azimuth_deg", Number(4, 0, 360)),
    19: ("relative_elevation_deg", Number(4, -180, 180)),
    20: ("relative_roll_deg", Number(4, 0, 360)),
    21: ("slant_range_m", Number(4, 0, 5_000_000)),
    22: ("target_width_m", Number(2, 0, 10_000)),
    23: ("frame_latitude_deg", _LATITUDE),
    24: ("frame_longitude_deg", _LONGITUDE),
    25: ("frame_elevation_m", _HEIGHT),
    75: ("sensor_ellipsoid_height_m", _HEIGHT),
    90: ("full_pitch_deg", Number(4, -90, 90)),
    91: ("full_roll_deg", Number(4, -90, 90)),
}
# corners 1 to 4 as latitude, longitude: offsets to the middle of the frame, or the places themselves
_OFFSET_TAGS: Final = range(26, 34)
_CORNER_TAGS: Final = range(82, 90)
_GROUND_SPEED: Final = 56

type Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class UasMetadata:
    """One packet's values; None or "": not told, or told as out of range. Degrees, metres, seconds. Heights are above mean sea level but
    `sensor_ellipsoid_height_m`. `time_us`: since the Unix epoch, 0 when absent. `corners`: four places (latitude, longitude) or none.
    """

    time_us: int = 0
    version: int | None = None
    mission_id: str = ""
    platform_tail: str = ""
    platform_designation: str = ""
    platform_call_sign: str = ""
    image_source: str = ""
    heading_deg: float | None = None
    pitch_deg: float | None = None
    roll_deg: float | None = None
    full_pitch_deg: float | None = None
    full_roll_deg: float | None = None
    ground_speed_mps: int | None = None
    sensor_latitude_deg: float | None = None
    sensor_longitude_deg: float | None = None
    sensor_altitude_m: float | None = None
    sensor_ellipsoid_height_m: float | None = None
    horizontal_field_deg: float | None = None
    vertical_field_deg: float | None = None
    relative_azimuth_deg: float | None = None
    relative_elevation_deg: float | None = None
    relative_roll_deg: float | None = None
    slant_range_m: float | None = None
    target_width_m: float | None = None
    frame_latitude_deg: float | None = None
    frame_longitude_deg: float | None = None
    frame_elevation_m: float | None = None
    corners: tuple[Place, ...] = ()


def checksum(packet: bytes) -> int:
    """Of everything up to the checksum's own value: the sum of 16-bit words, modulo 65536."""
    return (sum(packet[0::2]) * 256 + sum(packet[1::2])) & 0xFFFF


def read_packets(data: bytes) -> list[UasMetadata]:
    """What the sets in these bytes tell, at most eight. Raises `BadKlv` when one is damaged, or when there is none."""
    found = [read_packet(packet, value_at) for packet, value_at in islice(find_packets(data, KEY), _PACKETS_MOST)]
    if not found:
        raise BadKlv("there is no whole UAS Datalink Local Set")
    return found


def read_packet(packet: bytes, value_at: int) -> UasMetadata:
    """One whole packet, from its key on; `value_at`: where its items begin. Raises `BadKlv`."""
    items: dict[int, bytes] = {}
    verified = False
    for count, (tag, value, place) in enumerate(read_items(packet[value_at:])):
        if count >= _ITEMS_MOST:
            raise BadKlv(f"more than {_ITEMS_MOST} items")
        if tag == _CHECKSUM:
            begin = value_at + place
            if len(value) != 2 or begin + 2 != len(packet):
                raise BadKlv("the checksum isn't the last two bytes")
            if int.from_bytes(value) != checksum(packet[:begin]):
                raise BadKlv("the checksum doesn't fit")
            verified = True
        else:
            items[tag] = value
    if not verified:
        raise BadKlv("there is no checksum")
    return _metadata(items)


def _metadata(items: dict[int, bytes]) -> UasMetadata:
    known: dict[str, float | None] = {name: number.read(items[tag]) for tag, (name, number) in _NUMBERS.items() if tag in items}
    texts = {name: _text(items[tag]) for tag, name in _TEXTS.items() if tag in items}
    speed, version = items.get(_GROUND_SPEED, b""), items.get(_VERSION, b"")
    return UasMetadata(
        time_us=int.from_bytes(items[_TIME]) if len(items.get(_TIME, b"")) == 8 else 0,
        version=version[0] if len(version) == 1 else None,
        ground_speed_mps=speed[0] if len(speed) == 1 else None,
        corners=_corners(items, known.get("frame_latitude_deg"), known.get("frame_longitude_deg")),
        **texts,  # type: ignore[arg-type] # the names are those of text fields
        **known,  # type: ignore[arg-type] # the names are those of number fields
    )


def _text(value: bytes) -> str:
    """ST 0601 texts are ISO 646 or UTF-8; what can't be shown becomes a question mark."""
    text = value[:_TEXT_BYTES_MOST].decode("utf-8", "replace").strip("\0 ")
    return "".join(character if character.isprintable() and character != "\ufffd" else "?" for character in text)


def _corners(items: dict[int, bytes], latitude_deg: float | None, longitude_deg: float | None) -> tuple[Place, ...]:
    """Full corners where they are told, else those that are offsets to the middle of the frame."""
    full = [(_LATITUDE, _LONGITUDE)[index % 2].read(items.get(tag, b"")) for index, tag in enumerate(_CORNER_TAGS)]
    found = _pairs(full)
    if found or latitude_deg is None or longitude_deg is None:
        return found
    offsets = [_OFFSET.read(items.get(tag, b"")) for tag in _OFFSET_TAGS]
    middle = (latitude_deg, longitude_deg)
    return _pairs([None if offset is None else middle[index % 2] + offset for index, offset in enumerate(offsets)])


def _pairs(numbers: list[float | None]) -> tuple[Place, ...]:
    told = [number for number in numbers if number is not None]
    if len(told) != 8 or any(abs(told[index]) > (90, 180)[index % 2] for index in range(8)):
        return ()
    return tuple((told[index], told[index + 1]) for index in range(0, 8, 2))


def write_packet(metadata: UasMetadata) -> bytes:
    """The packet that tells this, with full corners. Raises `BadKlv` for a value outside of its range."""
    items: list[tuple[int, bytes]] = [(_TIME, metadata.time_us.to_bytes(8))]
    items += [(tag, text.encode()[:_TEXT_BYTES_MOST]) for tag, name in _TEXTS.items() if (text := getattr(metadata, name))]
    for tag, (name, number) in _NUMBERS.items():
        value = getattr(metadata, name)
        if value is not None:
            items.append((tag, number.write(value)))
    if metadata.ground_speed_mps is not None:
        items.append((_GROUND_SPEED, metadata.ground_speed_mps.to_bytes(1)))
    if metadata.version is not None:
        items.append((_VERSION, metadata.version.to_bytes(1)))
    flat = [value for place in metadata.corners for value in place]
    items += [
        (tag, (_LATITUDE, _LONGITUDE)[index % 2].write(value)) for index, (tag, value) in enumerate(zip(_CORNER_TAGS, flat, strict=False))
    ]
    body = write_items(items) + bytes((_CHECKSUM, 2))
    packet = KEY + write_length(len(body) + 2) + body
    return packet + checksum(packet).to_bytes(2)


assert {name for name, _ in _NUMBERS.values()} | set(_TEXTS.values()) <= {field.name for field in fields(UasMetadata)}
