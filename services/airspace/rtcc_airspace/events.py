"""Track batches on the bus, the stream's reader that keeps live state and history, and receivers that speak NATS."""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from itertools import batched

import numpy as np
from nats.aio.msg import Msg

from rtcc.airspace.v1 import airspace_pb2 as pb
from rtcc_airspace.app.receiving import Delivery as Reception
from rtcc_airspace.app.receiving import Receiving
from rtcc_airspace.app.uplink import Sighted
from rtcc_airspace.domain.live import Head, LiveTracks
from rtcc_airspace.domain.observations import COLUMNS, Integers, Observations, Subject, identity_message, identity_of
from rtcc_airspace.store import AirspaceStore
from rtcc_chassis.access import Access, AuditDraft
from rtcc_chassis.access import Outcome as AuditOutcome
from rtcc_chassis.bus import Bus, Delivery, Outgoing
from rtcc_chassis.clock import Clock
from rtcc_chassis.consumer import ConsumerSpec
from rtcc_chassis.errors import Exhausted, RtccError, Unauthenticated, http_status
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.signed_sources import RegisteredSource
from rtcc_chassis.streams import TRACKS, track_subject

LIVE_SUBJECTS = ("track.*",)
# intake hears it, too: whose source it is answers
RECEIVER_SUBJECT = "agency.*.source.*"
ROWS_PER_BATCH = 2_000
_QUARANTINE_EVERY = timedelta(minutes=1)
_QUARANTINE_BODY_BYTES = 64 * 1024
_LOG = logging.getLogger(__name__)

# the columns of TrackBatch in the order of `observations`
_COLUMN_NAMES = (
    "latitude_e7", "longitude_e7", "altitude_dm", "height_dm", "heading_cdeg", "speed_cmps", "vertical_cmps", "pilot_latitude_e7",
    "pilot_longitude_e7", "pilot_place", "flags", "accuracy_dm", "observed_at_us", "received_at_us",
)  # fmt: skip


def late_subject(agency_id: str) -> str:
    """History only: readers of the live state don't listen here."""
    return f"{track_subject(agency_id)}.late"


class BusPublisher:
    """Makes batches durable in the stream TRACKS."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, batches: Sequence[Sighted]) -> None:
        """One message per agency and 2,000 sightings, all acknowledged when it returns."""
        await self._bus.publish_many(
            [
                Outgoing((late_subject if sighted.late else track_subject)(sighted.agency_id), message, new_id(), sighted.agency_id)
                for sighted in batches
                for message in messages(sighted)
            ]
        )


def messages(sighted: Sighted) -> list[pb.TrackBatch]:
    """Heads go first, with the first rows."""
    heads = [_head_message(head, sighted) for head in sighted.heads]
    made = []
    for chosen in batched(range(len(sighted.track_ids)), ROWS_PER_BATCH):
        columns = sighted.numbers[:, chosen[0] : chosen[-1] + 1].tolist()
        track_ids = sighted.track_ids[chosen[0] : chosen[-1] + 1]
        batch = pb.TrackBatch(
            agency_id=sighted.agency_id, track_ids=track_ids, heads=heads, **dict(zip(_COLUMN_NAMES, columns, strict=True))
        )
        seen = sighted.views.keys() & set(track_ids)
        batch.views.extend(pb.TrackView(track_id=track_id, view=sighted.views[track_id]) for track_id in sorted(seen))
        made.append(batch)
        heads = []
    if heads:
        made.append(pb.TrackBatch(agency_id=sighted.agency_id, heads=heads))
    return made


def _head_message(head: Head, sighted: Sighted) -> pb.TrackHead:
    return pb.TrackHead(
        track_id=head.track_id,
        key=head.subject.key,
        kind=pb.TrackKind.ValueType(head.subject.kind),
        identity=identity_message(head.subject.identity),
        source_id=head.subject.source_id,
        first_observed_at_us=head.first_observed_us,
        zone_ids=() if sighted.ended else sighted.zone_ids.get(head.track_id, head.zone_ids),
        ended=sighted.ended,
    )


def numbers_of(batch: pb.TrackBatch) -> Integers:
    """The columns of a message, shape (14, n); ValueError when they aren't equally long."""
    columns = [getattr(batch, name) for name in _COLUMN_NAMES]
    if any(len(column) != len(batch.track_ids) for column in columns):
        raise ValueError(f"a track batch of {batch.agency_id} has columns of different lengths")
    return np.array([list(column) for column in columns], np.int64).reshape(COLUMNS, -1)


class LiveFollower:
    """Keeps the live state in step with the stream: after a restart, and with what other instances of this service took in."""

    def __init__(self, live: LiveTracks) -> None:
        self._live = live

    async def on_batch(self, deliveries: Sequence[Delivery]) -> None:
        """Messages of track.<agency>, in stream order."""
        for delivery in deliveries:
            batch = delivery.parse(pb.TrackBatch)
            if batch.agency_id == delivery.agency_id:
                self._follow(batch)

    def _follow(self, batch: pb.TrackBatch) -> None:
        numbers = numbers_of(batch)
        for head in batch.heads:
            row = self._live.row_of(head.track_id)
            if head.ended:
                if row is not None:
                    self._live.end(row)
            elif row is None:
                subject = Subject(head.key, head.kind, identity_of(head.identity), head.source_id)
                self._live.restore(batch.agency_id, head.track_id, subject, head.first_observed_at_us, head.zone_ids)
        rows = [self._live.row_of(track_id) for track_id in batch.track_ids]
        known = np.array([index for index, row in enumerate(rows) if row is not None], np.int64)
        if len(known):
            observations = Observations([batch.track_ids[index] for index in known.tolist()], numbers[:, known], {})
            self._live.apply(observations, np.array([rows[index] for index in known.tolist()], np.int64))


def history_spec() -> ConsumerSpec:
    return ConsumerSpec(TRACKS, "airspace", "airspace-history", ("track.>",), batch=50)


def history_handler(store: AirspaceStore) -> Callable[[Sequence[Delivery]], Awaitable[None]]:
    """Everything that was seen is written down, late sightings too."""
    scope = Scope.platform("airspace")

    async def handle(deliveries: Sequence[Delivery]) -> None:
        batches = []
        for delivery in deliveries:
            batch = delivery.parse(pb.TrackBatch)
            if batch.agency_id != delivery.agency_id:
                raise ValueError(f"{batch.agency_id!r} in the body, {delivery.agency_id!r} in the subject")
            batches.append((batch, numbers_of(batch), delivery.subject.endswith(".late")))
        await store.save(scope, batches, deliveries[-1].sequence)

    return handle


class BusQuarantine:
    """What was refused joins the installation's quarantine list: one entry per source and minute, for a broken receiver goes on."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._next_at: dict[str, datetime] = {}

    async def refused(self, source: RegisteredSource, body: bytes, reasons: Sequence[str]) -> None:
        now = self._clock()
        if self._next_at.get(source.source_id, now) > now:
            return
        self._next_at[source.source_id] = now + _QUARANTINE_EVERY
        headers = {
            "rtcc-original-subject": f"source {source.source_id} ({source.adapter})",
            "rtcc-consumer": "airspace receivers",
            "rtcc-reason": _one_line("; ".join(reasons)),
        }
        try:
            await self._bus.publish(
                "quarantine.airspace",
                body[:_QUARANTINE_BODY_BYTES] or b" ",
                message_id=new_id(),
                agency_id=source.agency_id,
                headers=headers,
            )
        except RtccError as error:
            # the receiver has its answer with the reasons: the list is a help for operators
            _LOG.warning("what was refused of source %s isn't listed: %s", source.source_id, error.message)


def _one_line(text: str) -> str:
    """A header's value: no line breaks, ASCII."""
    return "".join(character if character.isprintable() and character.isascii() else "?" for character in text)[:500]


def receiver_handler(receiving: Receiving, access: Access) -> Callable[[Msg], Awaitable[None]]:
    """Requests on agency.<id>.source.<source_id>: the agency comes from the account's export, never from the sender."""

    async def handle(message: Msg) -> None:
        _, agency_id, _, source_id = message.subject.split(".", 3)
        if not receiving.is_ours(source_id):
            return
        headers = {name.lower(): value for name, value in (message.headers or {}).items()}
        delivery = Reception(
            source_id, headers.get("rtcc-timestamp", ""), headers.get("rtcc-delivery", ""), headers.get("rtcc-signature", ""), message.data
        )
        try:
            taken = await receiving.submit(delivery, agency_id=agency_id)
            answer: dict[str, object] = {"status": 202, "accepted": taken.accepted, "rejected": taken.rejected, "reasons": taken.reasons}
        except Unauthenticated as error:
            await _audit_refusal(access, agency_id, source_id, message.subject, error)
            answer = _problem(error)
        except RtccError as error:
            answer = _problem(error)
        if message.reply:
            await message.respond(json.dumps(answer).encode())

    return handle


async def _audit_refusal(access: Access, agency_id: str, source_id: str, subject: str, error: RtccError) -> None:
    draft = AuditDraft(
        action="reception.submit",
        place=subject,
        outcome=AuditOutcome.DENIED,
        scope=Scope.service("airspace", agency_id),
        reason=error.message,
        object_ids=(f"source:{source_id[:64]}",),
    )
    await access.record(draft)


def _problem(error: RtccError) -> dict[str, object]:
    answer: dict[str, object] = {"status": http_status(error), "detail": error.message}
    if isinstance(error, Exhausted):
        answer["retry_after_s"] = 5
    return answer
