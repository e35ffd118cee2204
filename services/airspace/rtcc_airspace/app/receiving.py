"""Deliveries of receivers: proved by their signature, read, believed or not, and taken."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from prometheus_client import Counter

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc_airspace.app.uplink import Uplink
from rtcc_airspace.domain.aircraft import read_aircraft
from rtcc_airspace.domain.assembly import Assembler
from rtcc_airspace.domain.observations import Observations, Refusals, microseconds
from rtcc_airspace.domain.receptions import BODY_BYTES_MOST, NotUnderstood, read_json, read_reception
from rtcc_chassis import signature
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, Unauthenticated
from rtcc_chassis.signed_sources import RegisteredSource

_LOG = logging.getLogger(__name__)
_SIGHTINGS = Counter("rtcc_airspace_sightings_total", "Sightings by what became of them.", ["adapter", "outcome"])
_REFUSED = Counter("rtcc_airspace_refused_total", "Deliveries that could not prove where they come from.", ["reason"])
# R29: what is broadcast for everybody to hear, and our own drones. There is no adapter for anything else.
REMOTE_ID, ADSB, MAVLINK = "remote_id", "adsb", "mavlink"
# no source of the registry's: what own drones say inside the video of an agency's cameras
DRONE_VIDEO = "drone_video"
# what an unknown source is compared with, so that it takes as long as a wrong signature
_NO_SECRET = "0" * 43
_DELIVERY_MOST = 128


class Sources(Protocol):
    """The registry as receiving needs it."""

    def get(self, source_id: str) -> RegisteredSource | None: ...

    async def secret(self, source: RegisteredSource, *, newest: bool) -> str | None: ...


class Quarantine(Protocol):
    """Where an operator sees what was refused."""

    async def refused(self, source: RegisteredSource, body: bytes, reasons: Sequence[str]) -> None:
        """Bounded: not every refusal of a broken receiver is kept."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """As it came in; nothing in it is believed before its signature is."""

    source_id: str
    timestamp: str
    delivery_id: str
    signature: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    """What a receiver is told. `reasons` of the refused ones."""

    accepted: int
    rejected: int
    reasons: list[str]


Find = Callable[[str], RegisteredSource | None]
# the serial numbers of an agency's own drones
OwnSerials = Callable[[str], frozenset[str]]


class Receiving:
    """One per process."""

    def __init__(
        self, sources: Sources, assembler: Assembler, uplink: Uplink, quarantine: Quarantine, own_serials: OwnSerials, clock: Clock
    ) -> None:
        self._sources = sources
        self._assembler = assembler
        self._uplink = uplink
        self._quarantine = quarantine
        self._own_serials = own_serials
        self._clock = clock

    def is_ours(self, source_id: str) -> bool:
        """Whether such a source speaks to this service; of one that nobody knows intake says so."""
        source = self._sources.get(source_id)
        return source is not None and source.adapter in (REMOTE_ID, ADSB, MAVLINK)

    async def submit(self, delivery: Delivery, *, agency_id: str = "") -> Taken:
        """Take one delivery; what is accepted is durable when it returns.

        `agency_id`: the agency whose account it came in by, where the transport knows it. Raises InvalidInput, Unauthenticated,
        Exhausted, Unavailable; then nothing was stored. A delivery that is sent again changes nothing.
        """
        if len(delivery.body) > BODY_BYTES_MOST:
            raise InvalidInput.one("body", f"has {len(delivery.body)} bytes, at most {BODY_BYTES_MOST} are taken")
        if not 1 <= len(delivery.delivery_id) <= _DELIVERY_MOST or "." in delivery.delivery_id:
            raise InvalidInput.one("Rtcc-Delivery", f"must be 1 to {_DELIVERY_MOST} characters without a dot")
        now = self._clock()
        source = await self._authenticated(delivery, now, agency_id)
        touched(f"source:{source.source_id}", owner_agency_id=source.agency_id)
        return await self.take(source, delivery.body, now)

    async def take(self, source: RegisteredSource, body: bytes, received_at: datetime) -> Taken:
        """A document of a source that is known. Raises InvalidInput when it can't be read at all."""
        try:
            observations, refusals = self._read(source, body, received_at)
        except NotUnderstood as error:
            _SIGHTINGS.labels(source.adapter, "not_understood").inc()
            await self._quarantine.refused(source, body, [str(error)])
            raise InvalidInput.one(error.place, error.reason) from error
        return await self.take_sightings(source, observations, refusals, body)

    async def take_sightings(self, source: RegisteredSource, observations: Observations, refusals: Refusals, body: bytes = b"") -> Taken:
        """Until they are durable."""
        refused_before = refusals.count
        await self._uplink.take(source.agency_id, self._own_marked(source.agency_id, observations), refusals)
        accepted = len(observations) - (refusals.count - refused_before)
        _SIGHTINGS.labels(source.adapter, "accepted").inc(accepted)
        if refusals.count:
            _SIGHTINGS.labels(source.adapter, "refused").inc(refusals.count)
            await self._quarantine.refused(source, body, refusals.reasons)
        return Taken(accepted, refusals.count, refusals.reasons)

    def _read(self, source: RegisteredSource, body: bytes, received_at: datetime) -> tuple[Observations, Refusals]:
        if source.adapter == REMOTE_ID:
            reception = read_reception(read_json(body), received_at)
            received_at_us = microseconds(received_at)
            observations = self._assembler.take(source.source_id, reception.receiver, reception.frames, received_at_us, reception.refusals)
            return observations, reception.refusals
        if source.adapter == ADSB:
            return read_aircraft(read_json(body), source.source_id, received_at)
        raise NotUnderstood("source.adapter", f"{source.adapter!r} takes no deliveries here; {REMOTE_ID} and {ADSB} do")

    def _own_marked(self, agency_id: str, observations: Observations) -> Observations:
        """A drone whose serial number is the device id of one of the agency's units is its own."""
        serials = self._own_serials(agency_id)
        own = {
            key: replace(subject, kind=pb.TRACK_KIND_OWN_DRONE)
            for key, subject in observations.subjects.items()
            if subject.kind == pb.TRACK_KIND_DRONE and subject.identity.serial_number in serials
        }
        return replace(observations, subjects={**observations.subjects, **own}) if own else observations

    async def _authenticated(self, delivery: Delivery, now: datetime, agency_id: str) -> RegisteredSource:
        source = self._sources.get(delivery.source_id)
        usable = source is not None and source.enabled and agency_id in ("", source.agency_id)
        try:
            signature.check_age(delivery.timestamp, now)
        except Unauthenticated:
            self._refuse(source, "timestamp")
            raise
        if source is not None and usable:
            for newest in (False, True):
                secret = await self._sources.secret(source, newest=newest)
                if secret and signature.matches(secret, delivery.timestamp, delivery.delivery_id, delivery.body, delivery.signature):
                    return source
        else:
            signature.matches(_NO_SECRET, delivery.timestamp, delivery.delivery_id, delivery.body, delivery.signature)
        self._refuse(source, "signature" if usable else "source")
        raise Unauthenticated(
            "The source is unknown or disabled, or Rtcc-Signature doesn't fit timestamp, delivery and body: "
            'sign "<timestamp>.<delivery>.<body>" with HMAC-SHA256 and the secret shown when the source was created.'
        )

    def _refuse(self, source: RegisteredSource | None, reason: str) -> None:
        _REFUSED.labels(reason).inc()
        if source is not None:
            touched(f"source:{source.source_id}", owner_agency_id=source.agency_id)
        _LOG.info("a delivery was refused: %s", reason)
