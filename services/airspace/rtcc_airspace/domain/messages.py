"""Open Drone ID messages of 25 bytes (ASTM F3411-22a section 5.4.5, ASD-STAN prEN 4709-002): read and written, little-endian.

Unknown is None here; on the air it is 0, 0 for a place, 361 degrees, 255 m/s, 63 m/s vertical, -1000 m, 0xFFFF tenths of a second.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

MESSAGE_BYTES = 25
PACK_MESSAGES_MOST = 9
PROTOCOL_VERSION = 2
EPOCH = datetime(2019, 1, 1, tzinfo=UTC)

_ID_BYTES = 20
_TEXT_BYTES = 23
_AUTH_FIRST_BYTES = 17
_AUTH_PAGE_MOST = 15
_ALTITUDE_OFFSET_M = 1000.0
_ALTITUDE_MOST_M = 31_767.5
_UNKNOWN_ALTITUDE = 0
_UNKNOWN_DIRECTION_DEG = 361
_UNKNOWN_SPEED = 255
_UNKNOWN_VERTICAL = 126
_UNKNOWN_TENTHS = 0xFFFF
_SLOW_STEP_MPS, _FAST_STEP_MPS = 0.25, 0.75
_FAST_FROM_MPS = 255 * _SLOW_STEP_MPS
_SPEED_MOST_MPS = 254.25
_VERTICAL_STEP_MPS, _VERTICAL_MOST_MPS = 0.5, 62.0

# horizontal accuracy codes 1 to 12 in metres (table 7): 10 NM down to 1 m; 0: unknown
HORIZONTAL_ACCURACY_M = (0.0, 18_520.0, 7_408.0, 3_704.0, 1_852.0, 926.0, 555.6, 185.2, 92.6, 30.0, 10.0, 3.0, 1.0)
UA_TYPES = (
    "", "aeroplane", "multirotor", "gyroplane", "hybrid lift", "ornithopter", "glider", "kite", "free balloon", "captive balloon",
    "airship", "parachute", "rocket", "tethered", "ground obstacle", "other",
)  # fmt: skip


class MessageType(IntEnum):
    BASIC_ID = 0
    LOCATION = 1
    AUTHENTICATION = 2
    SELF_ID = 3
    SYSTEM = 4
    OPERATOR_ID = 5
    PACK = 0xF


class IdType(IntEnum):
    NONE = 0
    SERIAL_NUMBER = 1
    REGISTRATION = 2
    UTM_SESSION = 3
    SPECIFIC_SESSION = 4


class Status(IntEnum):
    UNDECLARED = 0
    ON_GROUND = 1
    AIRBORNE = 2
    EMERGENCY = 3
    SYSTEM_FAILURE = 4


class OperatorPlace(IntEnum):
    """What the operator's coordinates are: broadcast modules know only where the drone took off."""

    TAKE_OFF = 0
    LIVE = 1
    FIXED = 2


class DamagedMessage(ValueError):
    """Bytes that are no message of the standard: says what and where."""


@dataclass(frozen=True, slots=True)
class BasicId:
    """`ua_id`: text for serial numbers and registrations; session ids are hexadecimal. `ua_type`: index into UA_TYPES."""

    id_type: int
    ua_type: int
    ua_id: str


@dataclass(frozen=True, slots=True)
class Location:
    """Degrees, metres and m/s. `height_above_ground`: False means above the take-off point. `tenths`: 0.1 s after the full hour, UTC."""

    status: int
    latitude_deg: float | None
    longitude_deg: float | None
    direction_deg: int | None = None
    speed_mps: float | None = None
    vertical_mps: float | None = None
    pressure_altitude_m: float | None = None
    altitude_m: float | None = None
    height_m: float | None = None
    height_above_ground: bool = False
    horizontal_accuracy: int = 0
    vertical_accuracy: int = 0
    pressure_accuracy: int = 0
    speed_accuracy: int = 0
    tenths: int | None = None
    time_accuracy: int = 0


@dataclass(frozen=True, slots=True)
class Authentication:
    """One page. `last_page`, `length` and `signed_at` stand on page 0 alone. The signature is not verified: no public keys exist."""

    authentication_type: int
    page: int
    data: bytes
    last_page: int = 0
    length: int = 0
    signed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SelfId:
    description_type: int
    description: str


@dataclass(frozen=True, slots=True)
class System:
    """Of the operator, and of the area of a group of drones."""

    place: int
    latitude_deg: float | None
    longitude_deg: float | None
    classification: int = 0
    area_count: int = 1
    area_radius_m: int = 0
    area_ceiling_m: float | None = None
    area_floor_m: float | None = None
    category: int = 0
    category_class: int = 0
    altitude_m: float | None = None
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OperatorId:
    operator_id_type: int
    operator_id: str


Message = BasicId | Location | Authentication | SelfId | System | OperatorId

# byte layouts after the header byte (type in the high nibble, protocol version in the low one)
_BASIC_ID = struct.Struct("<B20s3x")
LOCATION = struct.Struct("<BBBbiiHHHBBHBx")
_AUTH_FIRST = struct.Struct("<BBBI17s")
_AUTH_NEXT = struct.Struct("<B23s")
_SELF_ID = struct.Struct("<B23s")
_SYSTEM = struct.Struct("<BiiHBHHBHIx")
_OPERATOR_ID = struct.Struct("<B20s3x")


def split_pack(pack: bytes | memoryview) -> list[bytes]:
    """The messages of a pack, or of a single message: each 25 bytes. Raises DamagedMessage."""
    if not pack:
        raise DamagedMessage("no bytes where a message should be")
    if pack[0] >> 4 != MessageType.PACK:
        if len(pack) < MESSAGE_BYTES:
            raise DamagedMessage(f"a message of {len(pack)} bytes, it has {MESSAGE_BYTES}")
        return [bytes(pack[:MESSAGE_BYTES])]
    if len(pack) < 3:
        raise DamagedMessage("a pack that ends in its head")
    size, count = pack[1], pack[2]
    if size != MESSAGE_BYTES:
        raise DamagedMessage(f"a pack of messages of {size} bytes, they have {MESSAGE_BYTES}")
    if not 1 <= count <= PACK_MESSAGES_MOST:
        raise DamagedMessage(f"a pack of {count} messages, 1 to {PACK_MESSAGES_MOST} fit")
    if len(pack) < 3 + count * size:
        raise DamagedMessage(f"a pack of {count} messages in {len(pack)} bytes: it is cut off")
    return [bytes(pack[start : start + size]) for start in range(3, 3 + count * size, size)]


def pack_of(messages: Sequence[Message]) -> bytes:
    """A message pack."""
    if not 1 <= len(messages) <= PACK_MESSAGES_MOST:
        raise ValueError(f"{len(messages)} messages; a pack holds 1 to {PACK_MESSAGES_MOST}")
    head = bytes((MessageType.PACK << 4 | PROTOCOL_VERSION, MESSAGE_BYTES, len(messages)))
    return head + b"".join(encode(message) for message in messages)


def decode(data: bytes) -> Message:
    """One message of 25 bytes. Raises DamagedMessage for another length or an unknown type."""
    if len(data) != MESSAGE_BYTES:
        raise DamagedMessage(f"a message of {len(data)} bytes, it has {MESSAGE_BYTES}")
    decoder = _DECODERS.get(data[0] >> 4)
    if decoder is None:
        raise DamagedMessage(f"a message of type {data[0] >> 4}; there are 0 to 5")
    return decoder(data)


def encode(message: Message) -> bytes:
    """25 bytes. Values beyond what the format can tell are cut to its ends, as the standard says."""
    for kind, (number, encoder) in _ENCODERS.items():
        if isinstance(message, kind):
            return bytes((number << 4 | PROTOCOL_VERSION,)) + encoder(message)
    raise TypeError(f"{type(message).__name__} is no message")


def _decode_basic_id(data: bytes) -> BasicId:
    types, raw = _BASIC_ID.unpack_from(data, 1)
    id_type = types >> 4
    session = id_type in (IdType.UTM_SESSION, IdType.SPECIFIC_SESSION)
    return BasicId(id_type, types & 0xF, raw.hex() if session and any(raw) else _text(raw))


def _encode_basic_id(message: BasicId) -> bytes:
    session = message.id_type in (IdType.UTM_SESSION, IdType.SPECIFIC_SESSION)
    raw = bytes.fromhex(message.ua_id) if session else _raw(message.ua_id, _ID_BYTES)
    return _BASIC_ID.pack((message.id_type & 0xF) << 4 | message.ua_type & 0xF, raw[:_ID_BYTES])


def _decode_location(data: bytes) -> Location:
    (flags, direction, speed, vertical, latitude, longitude, pressure, altitude, height, accuracy, more_accuracy, tenths, time_accuracy) = (
        LOCATION.unpack_from(data, 1)
    )
    direction_deg = direction + 180 * (flags >> 1 & 1)
    fast = flags & 1
    unknown = latitude == 0 and longitude == 0
    return Location(
        status=flags >> 4,
        latitude_deg=None if unknown else latitude / 1e7,
        longitude_deg=None if unknown else longitude / 1e7,
        direction_deg=direction_deg % 360 if direction_deg <= 360 else None,
        speed_mps=None if fast and speed == _UNKNOWN_SPEED else speed * _FAST_STEP_MPS + _FAST_FROM_MPS if fast else speed * _SLOW_STEP_MPS,
        vertical_mps=None if vertical == _UNKNOWN_VERTICAL else vertical * _VERTICAL_STEP_MPS,
        pressure_altitude_m=_metres(pressure),
        altitude_m=_metres(altitude),
        height_m=_metres(height),
        height_above_ground=bool(flags >> 2 & 1),
        horizontal_accuracy=accuracy & 0xF,
        vertical_accuracy=accuracy >> 4,
        pressure_accuracy=more_accuracy >> 4,
        speed_accuracy=more_accuracy & 0xF,
        tenths=None if tenths == _UNKNOWN_TENTHS else tenths,
        time_accuracy=time_accuracy & 0xF,
    )


def _encode_location(message: Location) -> bytes:
    direction_deg = _UNKNOWN_DIRECTION_DEG if message.direction_deg is None else message.direction_deg % 360
    east_west = direction_deg >= 180
    fast, speed = _speed_code(message.speed_mps)
    vertical = _UNKNOWN_VERTICAL
    if message.vertical_mps is not None:
        vertical = round(max(-_VERTICAL_MOST_MPS, min(_VERTICAL_MOST_MPS, message.vertical_mps)) / _VERTICAL_STEP_MPS)
    return LOCATION.pack(
        (message.status & 0xF) << 4 | message.height_above_ground << 2 | east_west << 1 | fast,
        direction_deg - 180 * east_west,
        speed,
        vertical,
        *_place(message.latitude_deg, message.longitude_deg),
        _altitude(message.pressure_altitude_m),
        _altitude(message.altitude_m),
        _altitude(message.height_m),
        (message.vertical_accuracy & 0xF) << 4 | message.horizontal_accuracy & 0xF,
        (message.pressure_accuracy & 0xF) << 4 | message.speed_accuracy & 0xF,
        _UNKNOWN_TENTHS if message.tenths is None else message.tenths & 0xFFFF,
        message.time_accuracy & 0xF,
    )


def _decode_authentication(data: bytes) -> Authentication:
    kind, page = data[1] >> 4, data[1] & 0xF
    if page:
        return Authentication(kind, page, data[2:])
    _, last_page, length, seconds, body = _AUTH_FIRST.unpack_from(data, 1)
    return Authentication(kind, 0, body, last_page & 0xF, length, EPOCH + timedelta(seconds=seconds))


def _encode_authentication(message: Authentication) -> bytes:
    if not 0 <= message.page <= _AUTH_PAGE_MOST:
        raise ValueError(f"page {message.page}; there are 0 to {_AUTH_PAGE_MOST}")
    types = (message.authentication_type & 0xF) << 4 | message.page
    if message.page:
        return _AUTH_NEXT.pack(types, message.data[:_TEXT_BYTES])
    seconds = int((message.signed_at - EPOCH).total_seconds()) if message.signed_at else 0
    return _AUTH_FIRST.pack(types, message.last_page & 0xF, message.length, seconds, message.data[:_AUTH_FIRST_BYTES])


def _decode_self_id(data: bytes) -> SelfId:
    kind, raw = _SELF_ID.unpack_from(data, 1)
    return SelfId(kind, _text(raw))


def _encode_self_id(message: SelfId) -> bytes:
    return _SELF_ID.pack(message.description_type, _raw(message.description, _TEXT_BYTES))


def _decode_system(data: bytes) -> System:
    flags, latitude, longitude, count, radius, ceiling, floor, category, altitude, seconds = _SYSTEM.unpack_from(data, 1)
    unknown = latitude == 0 and longitude == 0
    return System(
        place=flags & 3,
        latitude_deg=None if unknown else latitude / 1e7,
        longitude_deg=None if unknown else longitude / 1e7,
        classification=flags >> 2 & 7,
        area_count=count,
        area_radius_m=radius * 10,
        area_ceiling_m=_metres(ceiling),
        area_floor_m=_metres(floor),
        category=category >> 4,
        category_class=category & 0xF,
        altitude_m=_metres(altitude),
        told_at=EPOCH + timedelta(seconds=seconds) if seconds else None,
    )


def _encode_system(message: System) -> bytes:
    return _SYSTEM.pack(
        (message.classification & 7) << 2 | message.place & 3,
        *_place(message.latitude_deg, message.longitude_deg),
        message.area_count,
        min(255, message.area_radius_m // 10),
        _altitude(message.area_ceiling_m),
        _altitude(message.area_floor_m),
        (message.category & 0xF) << 4 | message.category_class & 0xF,
        _altitude(message.altitude_m),
        int((message.told_at - EPOCH).total_seconds()) if message.told_at else 0,
    )


def _decode_operator_id(data: bytes) -> OperatorId:
    kind, raw = _OPERATOR_ID.unpack_from(data, 1)
    return OperatorId(kind, _text(raw))


def _encode_operator_id(message: OperatorId) -> bytes:
    return _OPERATOR_ID.pack(message.operator_id_type, _raw(message.operator_id, _ID_BYTES))


def _speed_code(speed_mps: float | None) -> tuple[bool, int]:
    """(whether the larger step is used, code)."""
    if speed_mps is None:
        return True, _UNKNOWN_SPEED
    if speed_mps <= _FAST_FROM_MPS:
        return False, round(max(0.0, speed_mps) / _SLOW_STEP_MPS)
    return True, round((min(_SPEED_MOST_MPS, speed_mps) - _FAST_FROM_MPS) / _FAST_STEP_MPS)


def _metres(code: int) -> float | None:
    return None if code == _UNKNOWN_ALTITUDE else code / 2 - _ALTITUDE_OFFSET_M


def _altitude(metres: float | None) -> int:
    if metres is None:
        return _UNKNOWN_ALTITUDE
    return round((max(-_ALTITUDE_OFFSET_M, min(_ALTITUDE_MOST_M, metres)) + _ALTITUDE_OFFSET_M) * 2)


def _place(latitude_deg: float | None, longitude_deg: float | None) -> tuple[int, int]:
    if latitude_deg is None or longitude_deg is None:
        return 0, 0
    return round(latitude_deg * 1e7), round(longitude_deg * 1e7)


def _text(raw: bytes) -> str:
    """ASCII up to the first zero; what isn't printable is left out: it would be shown to people."""
    return "".join(chr(byte) for byte in raw.split(b"\0", 1)[0] if 0x20 <= byte < 0x7F).strip()


def _raw(text: str, size: int) -> bytes:
    return text.encode("ascii", "replace")[:size]


_DECODERS: dict[int, Callable[[bytes], Message]] = {
    MessageType.BASIC_ID: _decode_basic_id,
    MessageType.LOCATION: _decode_location,
    MessageType.AUTHENTICATION: _decode_authentication,
    MessageType.SELF_ID: _decode_self_id,
    MessageType.SYSTEM: _decode_system,
    MessageType.OPERATOR_ID: _decode_operator_id,
}
_ENCODERS: dict[type, tuple[int, Callable[[Any], bytes]]] = {
    BasicId: (MessageType.BASIC_ID, _encode_basic_id),
    Location: (MessageType.LOCATION, _encode_location),
    Authentication: (MessageType.AUTHENTICATION, _encode_authentication),
    SelfId: (MessageType.SELF_ID, _encode_self_id),
    System: (MessageType.SYSTEM, _encode_system),
    OperatorId: (MessageType.OPERATOR_ID, _encode_operator_id),
}
