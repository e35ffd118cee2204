"""Position batches on the bus: position.<agency> for what is new, position.<agency>.late for what is older than the live state."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import batched

import numpy as np
from google.protobuf.message import DecodeError

from rtcc.location.v1 import location_pb2 as pb
from rtcc.registry.v1.registry_pb2 import Unit
from rtcc_chassis.bus import Bus, Delivery, Outgoing
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import directory_subject, position_subject
from rtcc_location.app.trail import TrailRecorder
from rtcc_location.domain.fixes import COLUMNS, Fixes
from rtcc_location.domain.live import LiveState

LIVE_SUBJECTS = ("position.*",)
ALL_SUBJECTS = ("position.>",)
FIXES_PER_BATCH = 5_000
VEHICLE = "vehicle"
_NAMES_AT_ONCE = 500
_QUARANTINE_EVERY = timedelta(minutes=1)
_LOG = logging.getLogger(__name__)


def late_subject(agency_id: str) -> str:
    """History only: readers of the live state don't listen here."""
    return f"{position_subject(agency_id)}.late"


class BusPublisher:
    """Makes batches durable in the stream POSITIONS."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, fresh: dict[str, Fixes], late: dict[str, Fixes]) -> None:
        """One message per agency and 5,000 fixes, all acknowledged when it returns."""
        messages = [
            Outgoing(subject, batch, new_id(), agency_id)
            for subject_of, parts in ((position_subject, fresh), (late_subject, late))
            for agency_id, fixes in parts.items()
            for subject, batch in ((subject_of(agency_id), message) for message in batches(agency_id, fixes))
        ]
        await self._bus.publish_many(messages)


class BusDirectory:
    """Names of vehicles: directory.vehicle.<agency>.<id>, a Unit of kind "transit"."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def tell(self, agency_id: str, changed: Sequence[Unit], gone: Sequence[str]) -> None:
        """Durable when it returns; an empty body takes a name away."""
        messages = [Outgoing(directory_subject(VEHICLE, agency_id, unit.unit_id), unit, new_id(), agency_id) for unit in changed]
        messages += [Outgoing(directory_subject(VEHICLE, agency_id, unit_id), b"", new_id(), agency_id) for unit_id in gone]
        for part in batched(messages, _NAMES_AT_ONCE):
            await self._bus.publish_many(part)


class BusQuarantine:
    """Refused fixes join the installation's quarantine list: one entry per unit and minute, for a broken device sends every second."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._next_at: dict[str, datetime] = {}

    async def refused(self, unit: Unit, fixes: Sequence[pb.Fix], reasons: Sequence[str]) -> None:
        now = self._clock()
        if self._next_at.get(unit.unit_id, now) > now:
            return
        self._next_at[unit.unit_id] = now + _QUARANTINE_EVERY
        headers = {
            "rtcc-original-subject": f"unit {unit.call_sign}, device {unit.device_id}",
            "rtcc-consumer": "location uplink",
            "rtcc-reason": "; ".join(reasons)[:500],
        }
        body = pb.StreamFixesRequest(fixes=fixes)
        try:
            await self._bus.publish("quarantine.location", body, message_id=new_id(), agency_id=unit.agency_id, headers=headers)
        except RtccError as error:
            # the device has its answer with the reasons: the list is a help for operators
            _LOG.warning("refused fixes of unit %s aren't listed: %s", unit.unit_id, error.message)


def batches(agency_id: str, fixes: Fixes) -> Iterator[pb.PositionBatch]:
    """The fixes as messages of bounded size."""
    for chosen in batched(range(len(fixes)), FIXES_PER_BATCH):
        part = fixes if len(chosen) == len(fixes) else fixes.rows(np.array(chosen, np.int64))
        latitude, longitude, heading, speed, accuracy, fixed_at, received_at = part.numbers.tolist()
        yield pb.PositionBatch(
            agency_id=agency_id,
            unit_ids=part.unit_ids,
            latitude_e7=latitude,
            longitude_e7=longitude,
            heading_cdeg=heading,
            speed_cmps=speed,
            accuracy_dm=accuracy,
            fixed_at_us=fixed_at,
            received_at_us=received_at,
            panic=part.panic.tolist(),
        )


def fixes_of(batch: pb.PositionBatch) -> Fixes:
    """The columns of a message; ValueError when they aren't equally long."""
    columns = (
        batch.latitude_e7,
        batch.longitude_e7,
        batch.heading_cdeg,
        batch.speed_cmps,
        batch.accuracy_dm,
        batch.fixed_at_us,
        batch.received_at_us,
    )
    if any(len(column) != len(batch.unit_ids) for column in (*columns, batch.panic)):
        raise ValueError(f"a position batch of {batch.agency_id} has columns of different lengths")
    return Fixes(list(batch.unit_ids), np.array(columns, np.int64).reshape(COLUMNS, -1), np.array(batch.panic, bool))


class TrailFollower:
    """Hands everything that was ever accepted to the recorder, late fixes too."""

    def __init__(self, recorder: TrailRecorder) -> None:
        self._recorder = recorder

    async def on_batch(self, deliveries: Sequence[Delivery]) -> None:
        """Messages of position.>, in stream order."""
        for delivery in deliveries:
            try:
                fixes = fixes_of(delivery.parse(pb.PositionBatch))
            except (DecodeError, ValueError) as error:
                _LOG.error("%s %d can't be read and is in no trail: %s", delivery.subject, delivery.sequence, error)
                continue
            await self._recorder.take(delivery.agency_id, fixes, delivery.sequence)


class LiveFollower:
    """Keeps the live state in step with the stream: after a restart, and with what other instances of this service took in."""

    def __init__(self, live: LiveState) -> None:
        self._live = live

    async def on_batch(self, deliveries: Sequence[Delivery]) -> None:
        """Messages of position.<agency>, in stream order."""
        for delivery in deliveries:
            batch = delivery.parse(pb.PositionBatch)
            fixes = fixes_of(batch)
            self._live.apply(fixes, self._live.rows_of(fixes.unit_ids, [delivery.agency_id] * len(fixes)))
