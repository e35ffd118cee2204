"""Broadcast Remote ID comes in pieces: put together here per transmitter, and made sightings of, a whole delivery at a time.

Most of what a drone sends is what it sent a second ago. So a message equal to the last of its type costs a comparison, and only
locations are decoded each time, all of a delivery in one go.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc_airspace.domain.messages import (
    HORIZONTAL_ACCURACY_M,
    UA_TYPES,
    BasicId,
    DamagedMessage,
    IdType,
    MessageType,
    OperatorId,
    OperatorPlace,
    SelfId,
    Status,
    System,
    decode,
)
from rtcc_airspace.domain.models import SerialPrefixes
from rtcc_airspace.domain.observations import (
    ACCURACY,
    ALTITUDE,
    COLUMNS,
    EMERGENCY,
    FLAGS,
    HEADING,
    HEIGHT,
    LATITUDE,
    LONGITUDE,
    OBSERVED_AT,
    ON_GROUND,
    PILOT_LATITUDE,
    PILOT_PLACE,
    RECEIVED_AT,
    SPEED,
    UNKNOWN_DM,
    UNKNOWN_HEADING_CDEG,
    UNKNOWN_SPEED_CMPS,
    UNKNOWN_VERTICAL_CMPS,
    VERTICAL,
    Flags,
    Identity,
    Integers,
    Observations,
    Refusals,
    Subject,
)
from rtcc_airspace.domain.plausibility import Signal
from rtcc_airspace.domain.receptions import Frame, Receiver

# Bluetooth 4 sends the Basic ID up to 3 s after a location (F3411-22a, table 3): until then it isn't known whose the location is
IDENTITY_WAIT_US = 3_000_000
TRANSMITTERS_MOST = 4_096
_SILENT_US = 600_000_000
# a drone's own clock is believed this far from the receiver's
_CLOCK_MOST_US = 30_000_000
_HOUR_US = 3_600_000_000
_TENTH_US = 100_000
_PLACES: dict[int, int] = {
    OperatorPlace.TAKE_OFF: pb.PILOT_PLACE_TAKE_OFF,
    OperatorPlace.LIVE: pb.PILOT_PLACE_PILOT,
    OperatorPlace.FIXED: pb.PILOT_PLACE_FIXED,
}
_LOCATION = np.dtype(
    [
        ("head", "u1"), ("flags", "u1"), ("direction", "u1"), ("speed", "u1"), ("vertical", "i1"), ("latitude", "<i4"),
        ("longitude", "<i4"), ("pressure", "<u2"), ("altitude", "<u2"), ("height", "<u2"), ("accuracy", "u1"), ("more", "u1"),
        ("tenths", "<u2"), ("time_accuracy", "u1"), ("reserved", "u1"),
    ]
)  # fmt: skip
_ACCURACY_DM = np.array([round(metres * 10) for metres in HORIZONTAL_ACCURACY_M] + [0, 0, 0], np.int64)


@dataclass(slots=True, eq=False)
class Transmitter:
    """What is known of one radio. `ids` by id type; `raw` the last message of each type, as sent."""

    mac: str
    first_heard_us: int
    heard_at_us: int
    raw: dict[int, bytes] = field(default_factory=dict)
    ids: dict[int, BasicId] = field(default_factory=dict)
    description: str = ""
    operator_id: str = ""
    pilot: tuple[int, int, int] = (0, 0, pb.PILOT_PLACE_UNSPECIFIED)
    subject: Subject | None = None
    signal: Signal = field(default_factory=Signal)


class Assembler:
    """One per process; transmitters are told apart by source and address."""

    def __init__(self, prefixes: SerialPrefixes) -> None:
        self._prefixes = prefixes
        self._transmitters: dict[tuple[str, str], Transmitter] = {}

    def __len__(self) -> int:
        return len(self._transmitters)

    def take(self, source_id: str, receiver: Receiver, frames: Sequence[Frame], received_at_us: int, refusals: Refusals) -> Observations:
        """The sightings in a delivery, in its order. Damaged messages and implausible signals are added to `refusals`."""
        raws: list[bytes] = []
        senders: list[Transmitter] = []
        heard: list[int] = []
        signals: list[float | None] = []
        for frame in frames:
            sender = self._transmitter(source_id, frame)
            for raw in frame.messages:
                kind = raw[0] >> 4
                if kind == MessageType.LOCATION:
                    raws.append(raw)
                    senders.append(sender)
                    heard.append(frame.heard_at_us)
                    signals.append(frame.rssi_dbm)
                elif kind != MessageType.AUTHENTICATION:
                    self._learn(sender, kind, raw, source_id, refusals)
        if not raws:
            return Observations.none()
        observations = self._sightings(source_id, raws, senders, np.array(heard, np.int64), received_at_us, refusals)
        return _believable(observations, receiver, signals, refusals)

    def _transmitter(self, source_id: str, frame: Frame) -> Transmitter:
        key = (source_id, frame.mac)
        found = self._transmitters.get(key)
        if found is not None and frame.heard_at_us - found.heard_at_us < _SILENT_US:
            found.heard_at_us = max(found.heard_at_us, frame.heard_at_us)
            return found
        if len(self._transmitters) >= TRANSMITTERS_MOST:
            oldest = sorted(self._transmitters, key=lambda name: self._transmitters[name].heard_at_us)[: TRANSMITTERS_MOST // 8]
            for name in oldest:
                del self._transmitters[name]
        made = self._transmitters[key] = Transmitter(frame.mac, frame.heard_at_us, frame.heard_at_us)
        return made

    def _learn(self, sender: Transmitter, kind: int, raw: bytes, source_id: str, refusals: Refusals) -> None:
        # a drone may take turns with two ids: the id's type belongs to the kind
        slot = kind << 4 | raw[1] >> 4 if kind == MessageType.BASIC_ID else kind
        if sender.raw.get(slot) == raw:
            return
        try:
            message = decode(raw)
        except DamagedMessage as error:
            refusals.add(f"{sender.mac}: {error}")
            return
        sender.raw[slot] = raw
        if isinstance(message, BasicId):
            sender.ids[message.id_type] = message
        elif isinstance(message, SelfId):
            sender.description = message.description
        elif isinstance(message, OperatorId):
            sender.operator_id = message.operator_id
        elif isinstance(message, System):
            sender.pilot = _pilot(message)
        if sender.ids:
            sender.subject = self._subject(sender, source_id)

    def _sightings(
        self,
        source_id: str,
        raws: list[bytes],
        senders: list[Transmitter],
        heard_at_us: Integers,
        received_at_us: int,
        refusals: Refusals,
    ) -> "_Sightings":
        table = np.frombuffer(b"".join(raws), _LOCATION)
        numbers = decoded_locations(table, heard_at_us, received_at_us)
        placed = _placed(numbers[LATITUDE], numbers[LONGITUDE], refusals).tolist()
        chosen, keys, subjects = [], [], {}
        pilots = []
        for index, sender in enumerate(senders):
            subject = sender.subject or self._nameless(sender, source_id, int(heard_at_us[index]))
            if subject is None or not placed[index]:
                continue
            chosen.append(index)
            keys.append(subject.key)
            pilots.append(sender.pilot)
            subjects[subject.key] = subject
        rows = np.array(chosen, np.int64)
        numbers = numbers[:, rows]
        if chosen:
            numbers[PILOT_LATITUDE : PILOT_PLACE + 1] = np.array(pilots, np.int64).T
        return _Sightings(Observations(keys, numbers, subjects), [senders[index] for index in chosen], chosen)

    def _nameless(self, sender: Transmitter, source_id: str, now_us: int) -> Subject | None:
        """A transmitter that told no id within the standard's time is followed by its address."""
        if now_us - sender.first_heard_us < IDENTITY_WAIT_US:
            return None
        sender.subject = self._subject(sender, source_id)
        return sender.subject

    def _subject(self, sender: Transmitter, source_id: str) -> Subject:
        serial, registration = sender.ids.get(IdType.SERIAL_NUMBER), sender.ids.get(IdType.REGISTRATION)
        session = sender.ids.get(IdType.SPECIFIC_SESSION) or sender.ids.get(IdType.UTM_SESSION)
        untyped = sender.ids.get(IdType.NONE)
        manufacturer, model = self._prefixes.maker(serial.ua_id) if serial else ("", "")
        identity = Identity(
            serial_number=serial.ua_id if serial else "",
            registration=registration.ua_id if registration else "",
            session_id=session.ua_id if session else "",
            aircraft_type=next((UA_TYPES[known.ua_type] for known in sender.ids.values() if known.ua_type), ""),
            manufacturer=manufacturer,
            model=model,
            operator_id=sender.operator_id,
            description=sender.description,
            # an id of no declared type proves nothing, but a person may know it
            call_sign=untyped.ua_id if untyped and not serial else "",
        )
        for word, known in (("serial", serial), ("session", session), ("registration", registration), ("id", untyped)):
            if known is not None and known.ua_id:
                return Subject(f"{word}:{known.ua_id}", pb.TRACK_KIND_DRONE, identity, source_id)
        return Subject(f"mac:{sender.mac}", pb.TRACK_KIND_DRONE, identity, source_id)


@dataclass(frozen=True, slots=True)
class _Sightings:
    """`places[i]`: which location of the delivery row i was."""

    observations: Observations
    senders: list[Transmitter]
    places: list[int]

    def __iter__(self) -> Iterator[tuple[int, Transmitter]]:
        return iter(zip(self.places, self.senders, strict=True))


def _believable(sightings: _Sightings, receiver: Receiver, signals: list[float | None], refusals: Refusals) -> Observations:
    """Without the rows of transmitters whose signal doesn't fit to where they say they are."""
    observations = sightings.observations
    if receiver.latitude_deg is None or receiver.longitude_deg is None or not len(observations):
        return observations
    kept = []
    latitudes, longitudes = observations.numbers[LATITUDE].tolist(), observations.numbers[LONGITUDE].tolist()
    for row, (place, sender) in enumerate(sightings):
        reason = sender.signal.judged(
            receiver.latitude_deg, receiver.longitude_deg, latitudes[row] / 1e7, longitudes[row] / 1e7, signals[place]
        )
        if reason:
            refusals.add(f"{observations.keys[row]}: {reason}")
        else:
            kept.append(row)
    return observations if len(kept) == len(observations) else observations.rows(np.array(kept, np.int64))


def decoded_locations(table: "np.ndarray[tuple[int], np.dtype[np.void]]", heard_at_us: Integers, received_at_us: int) -> Integers:
    """Location messages as columns, shape (14, n); the same as `messages.decode` for each."""
    numbers = np.zeros((COLUMNS, len(table)), np.int64)
    flags = table["flags"].astype(np.int64)
    numbers[LATITUDE], numbers[LONGITUDE] = table["latitude"], table["longitude"]
    numbers[ALTITUDE], numbers[HEIGHT] = _decimetres(table["altitude"]), _decimetres(table["height"])
    direction = table["direction"].astype(np.int64) + 180 * (flags >> 1 & 1)
    numbers[HEADING] = np.where(direction <= 360, direction % 360 * 100, UNKNOWN_HEADING_CDEG)
    fast, speed = (flags & 1).astype(bool), table["speed"].astype(np.int64)
    numbers[SPEED] = np.where(fast, np.where(speed == 255, UNKNOWN_SPEED_CMPS, speed * 75 + 6_375), speed * 25)
    vertical = table["vertical"].astype(np.int64)
    numbers[VERTICAL] = np.where(vertical == 126, UNKNOWN_VERTICAL_CMPS, vertical * 50)
    status = flags >> 4
    in_trouble = (status == Status.EMERGENCY) | (status == Status.SYSTEM_FAILURE)
    numbers[FLAGS] = (status == Status.ON_GROUND) * ON_GROUND | in_trouble * EMERGENCY
    numbers[ACCURACY] = _ACCURACY_DM[table["accuracy"] & 0xF]
    numbers[OBSERVED_AT] = _observed_at_us(table["tenths"].astype(np.int64), heard_at_us)
    numbers[RECEIVED_AT] = received_at_us
    return numbers


def _placed(latitude_e7: Integers, longitude_e7: Integers, refusals: Refusals) -> Flags:
    """Which rows have a place; 0, 0 is the word for none, and off the globe is damage."""
    on_globe = (np.abs(latitude_e7) <= 900_000_000) & (np.abs(longitude_e7) <= 1_800_000_000)
    damaged = len(on_globe) - int(on_globe.sum())
    if damaged:
        refusals.add("a location lies off the globe", damaged)
    placed: Flags = on_globe & ((latitude_e7 != 0) | (longitude_e7 != 0))
    return placed


def _decimetres(codes: "np.ndarray[tuple[int], np.dtype[np.uint16]]") -> Integers:
    wide = codes.astype(np.int64)
    return np.where(wide == 0, UNKNOWN_DM, wide * 5 - 10_000)


def _observed_at_us(tenths: Integers, heard_at_us: Integers) -> Integers:
    """Tenths of a second after the hour, in the hour that lies next to when it was heard; a clock far off isn't believed."""
    told = heard_at_us - heard_at_us % _HOUR_US + tenths * _TENTH_US
    told = told + np.where(told - heard_at_us > _HOUR_US // 2, -_HOUR_US, np.where(heard_at_us - told > _HOUR_US // 2, _HOUR_US, 0))
    believed = (tenths < _HOUR_US // _TENTH_US + 1) & (np.abs(told - heard_at_us) <= _CLOCK_MOST_US)
    return np.where(believed, told, heard_at_us)


def _pilot(system: System) -> tuple[int, int, int]:
    if system.latitude_deg is None or system.longitude_deg is None:
        return 0, 0, pb.PILOT_PLACE_UNSPECIFIED
    if abs(system.latitude_deg) > 90 or abs(system.longitude_deg) > 180:
        return 0, 0, pb.PILOT_PLACE_UNSPECIFIED
    # a type that the standard doesn't know says nothing about a person: the weaker claim
    return round(system.latitude_deg * 1e7), round(system.longitude_deg * 1e7), _PLACES.get(system.place, pb.PILOT_PLACE_TAKE_OFF)
