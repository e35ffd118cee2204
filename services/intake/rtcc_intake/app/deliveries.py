"""What intake does: verify, parse, publish or quarantine; replay and discard; search."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from prometheus_client import Counter

from rtcc.event.v1 import event_pb2
from rtcc_chassis import signature
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from rtcc_chassis.identifiers import derived_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.signed_sources import RegisteredSource
from rtcc_intake.adapters import adapter_for, is_ours
from rtcc_intake.app.feeds import Feeds
from rtcc_intake.app.kit import ConnectorKit
from rtcc_intake.app.ports import CameraPosition, Events, Images, Sources, Store
from rtcc_intake.domain import (
    GTFS_REALTIME,
    LATE_AFTER,
    MAPPED,
    MAXIMUM_BODY_BYTES,
    THING_KINDS,
    Delivery,
    EntryStatus,
    NotUnderstood,
    Outcome,
    ParsedEvent,
    QuarantineEntry,
    SubmitResult,
    normalise_plate_pattern,
    valid_delivery_id,
    valid_source_id,
)
from rtcc_intake.measures import LAST_DELIVERY, note_delay

_LOG = logging.getLogger(__name__)
_DELIVERIES = Counter("rtcc_intake_deliveries_total", "Deliveries by what became of them.", ["adapter", "outcome"])
_REFUSED = Counter("rtcc_intake_refused_total", "Deliveries that could not prove where they come from.", ["reason"])

# JetStream recognises a repeated id for 10 minutes. An event can be at most 5 minutes ahead of its receipt, so a repeat
# that the stream has forgotten lies at least this far back: only then the archive is asked.
_ASK_ARCHIVE_AFTER = timedelta(minutes=5)
_MAXIMUM_REASON_CHARACTERS = 1_000
_MAXIMUM_ROWS = 500
# what an unknown source is compared with, so that it takes as long as a wrong signature
_NO_SECRET = "0" * 43


class IntakeApp:
    """`camera_position(agency_id, camera_id)`: where a camera of that agency stands."""

    def __init__(
        self,
        store: Store,
        sources: Sources,
        events: Events,
        images: Images,
        camera_position: CameraPosition,
        kit: ConnectorKit,
        feeds: Feeds,
        clock: Clock,
        *,
        quarantine_limit_per_source: int,
        call_list_h: float,
    ) -> None:
        self._store = store
        self._sources = sources
        self._events = events
        self._images = images
        self._camera_position = camera_position
        self._kit = kit
        self._feeds = feeds
        self._clock = clock
        self._quarantine_limit = quarantine_limit_per_source
        self._call_list = timedelta(hours=call_list_h)

    async def submit(self, delivery: Delivery, *, agency_id: str = "") -> SubmitResult:
        """Take one delivery; when it returns, the event or its quarantine entry is durable.

        `agency_id`: the agency whose account it came in by, where the transport knows it. Raises InvalidInput (nothing to
        quarantine: it may be anybody's), Unauthenticated, Exhausted, Unavailable; then nothing was stored.
        """
        now = self._clock()
        _check_shape(delivery)
        source = await self._authenticate(delivery, now, agency_id)
        return await self.take(source, delivery.body, delivery.delivery_id, now)

    async def take(self, source: RegisteredSource, body: bytes, delivery_id: str, received_at: datetime) -> SubmitResult:
        """What a source sent whose identity the transport has proved already; raises Exhausted, Unavailable."""
        await self._kit.note(source, body, delivery_id, received_at)
        try:
            event_id, published = await self._publish_all(source, body, delivery_id, received_at, received_at)
        except NotUnderstood as error:
            return await self._quarantine(source, body, delivery_id, error, received_at)
        outcome = Outcome.ACCEPTED if published else Outcome.DUPLICATE
        _DELIVERIES.labels(source.adapter, outcome).inc()
        LAST_DELIVERY.labels(source.agency_id, source.adapter).set(received_at.timestamp())
        return SubmitResult(outcome, event_id=event_id)

    async def take_feed(self, source: RegisteredSource, body: bytes, received_at: datetime) -> tuple[int, str]:
        """(vehicles stored, what was wrong) of a fetched feed. One that is none waits in the quarantine, one entry an hour."""
        try:
            return await self._feeds.take(source, body, received_at)
        except NotUnderstood as error:
            result = await self._quarantine(source, body, f"feed:{received_at:%Y%m%dT%H}", error, received_at)
            return 0, result.reason

    def is_others(self, source_id: str) -> bool:
        """Whether another service takes what this source says: on NATS both hear it, and one answers."""
        source = self._sources.get(source_id)
        return source is not None and not is_ours(source.adapter)

    def source_of(self, agency_id: str, source_id: str) -> RegisteredSource:
        """An enabled source of that agency, for transports that prove identity themselves. Raises Unauthenticated."""
        source = self._sources.get(source_id)
        if source is None or not source.enabled or source.agency_id != agency_id:
            _REFUSED.labels("source").inc()
            raise Unauthenticated(f"The source {source_id[:64]} is unknown or disabled.")
        return source

    async def _authenticate(self, delivery: Delivery, now: datetime, agency_id: str) -> RegisteredSource:
        source = self._sources.get(delivery.source_id)
        usable = source is not None and source.enabled and agency_id in ("", source.agency_id)
        try:
            signature.check_age(delivery.timestamp, now)
        except Unauthenticated:
            self._refuse(delivery, source, "timestamp")
            raise
        if source is not None and usable:
            for newest in (False, True):
                secret = await self._sources.secret(source, newest=newest)
                if secret and signature.matches(secret, delivery.timestamp, delivery.delivery_id, delivery.body, delivery.signature):
                    return source
        else:
            signature.matches(_NO_SECRET, delivery.timestamp, delivery.delivery_id, delivery.body, delivery.signature)
        self._refuse(delivery, source, "signature" if usable else "source")
        raise Unauthenticated(
            "The source is unknown or disabled, or Rtcc-Signature doesn't fit timestamp, delivery and body: "
            'sign "<timestamp>.<delivery>.<body>" with HMAC-SHA256 and the secret shown when the source was created.'
        )

    def _refuse(self, delivery: Delivery, source: RegisteredSource | None, reason: str) -> None:
        _REFUSED.labels(reason).inc()
        if source is not None:
            touched(f"source:{source.source_id}", owner_agency_id=source.agency_id)
        _LOG.info("delivery for source %s refused: %s", delivery.source_id[:64], reason)

    async def _publish_all(
        self, source: RegisteredSource, body: bytes, delivery_id: str, received_at: datetime, read_at: datetime
    ) -> tuple[str, bool]:
        """(the first event's id, whether anything was new). All events of a delivery are understood before one is published.

        `read_at` is now: what lay in the future when it was received may lie in the past when it is replayed.
        """
        if source.adapter == GTFS_REALTIME:
            await self._feeds.take(source, body, read_at)
            return "", True
        if source.adapter == MAPPED:
            found = await self._kit.read(source, body, read_at)
        else:
            found = adapter_for(source.adapter).parse(body, read_at)
        for parsed in found:
            self._complete_position(source, parsed.event)
        ids, new = [], not found
        for index, parsed in enumerate(found):
            own_id = f"own:{parsed.own_id}" if parsed.own_id else delivery_id if index == 0 else f"{delivery_id}:{index}"
            ids.append(derived_id("event", source.source_id, own_id))
            new |= await self._publish(source, parsed, ids[-1], received_at)
        return (ids[0] if ids else ""), new

    def _complete_position(self, source: RegisteredSource, event: event_pb2.Event) -> None:
        if event.HasField("plate_read") and not event.position.HasField("coordinate"):
            coordinate = self._camera_position(source.agency_id, event.plate_read.camera_id)
            if coordinate is None:
                raise NotUnderstood(
                    "lat", f"is missing, and the registry has no camera {event.plate_read.camera_id!r} to take the position from"
                )
            event.position.coordinate.CopyFrom(coordinate)

    async def _publish(self, source: RegisteredSource, parsed: ParsedEvent, event_id: str, received_at: datetime) -> bool:
        event = parsed.event
        event.event_id, event.agency_id, event.source_id = event_id, source.agency_id, source.source_id
        event.received_at.FromDatetime(received_at)
        event.late = received_at - event.occurred_at.ToDatetime(UTC) > LATE_AFTER
        scope = Scope.service("intake", source.agency_id)
        if event.HasField("warning") and event.warning.references:
            known = [f"{reference.sender},{reference.identifier}" for reference in event.warning.references]
            event.warning.warning_id = await self._store.warning_of(scope, known) or event.warning.warning_id
        if self._clock() - event.occurred_at.ToDatetime(received_at.tzinfo) > _ASK_ARCHIVE_AFTER and await self._store.has_event(
            scope, event_id
        ):
            return False
        if parsed.image_jpeg:
            folder = "tips-received" if event.HasField("tip") else "plate-reads"
            key = f"{folder}/{hashlib.sha256(parsed.image_jpeg).hexdigest()}.jpg"
            await self._images.put(scope, source.agency_id, key, parsed.image_jpeg, "image/jpeg")
            if event.HasField("tip"):
                event.tip.photo_object = key
            else:
                event.plate_read.image_object = key
        note_delay(source.adapter, event.occurred_at.ToDatetime(UTC), received_at)
        return await self._events.publish(event)

    async def _quarantine(
        self, source: RegisteredSource, body: bytes, delivery_id: str, error: NotUnderstood, now: datetime
    ) -> SubmitResult:
        entry = QuarantineEntry(
            quarantine_id=derived_id("quarantine", source.source_id, delivery_id),
            agency_id=source.agency_id,
            source_id=source.source_id,
            received_at=now,
            reason=error.reason[:_MAXIMUM_REASON_CHARACTERS],
            place=error.place[:256],
            body=body,
            delivery_id=delivery_id,
        )
        await self._store.add_quarantined(Scope.service("intake", source.agency_id), entry, self._quarantine_limit)
        _DELIVERIES.labels(source.adapter, Outcome.QUARANTINED).inc()
        return SubmitResult(Outcome.QUARANTINED, quarantine_id=entry.quarantine_id, reason=error.message[:_MAXIMUM_REASON_CHARACTERS])

    async def list_quarantine(self, scope: Scope, status: EntryStatus, limit: int) -> list[QuarantineEntry]:
        """Newest first."""
        entries = await self._store.list_quarantined(scope, status, _rows(limit, 100))
        touched(*(f"quarantine:{entry.quarantine_id}" for entry in entries))
        return entries

    async def replay(self, scope: Scope, quarantine_id: str) -> tuple[QuarantineEntry, str]:
        """Parse a delivery again (with the adapter of today), or send a consumer's message to its subject again.

        Still not understood: the entry is answered as waiting, with the new reason and without an event id.
        Raises NotFound, Conflict.
        """
        entry = await self._waiting(scope, quarantine_id)
        now = self._clock()
        event_id = ""
        if entry.subject:
            await self._events.republish(entry)
            decided = replace(entry, status=EntryStatus.REPLAYED, attempts=entry.attempts + 1)
        else:
            source = self._sources.get(entry.source_id)
            if source is None or source.agency_id != entry.agency_id:
                raise Conflict(f"The source {entry.source_id} is not in the registry any more: discard the entry.")
            try:
                event_id, _ = await self._publish_all(source, entry.body, entry.delivery_id, entry.received_at, now)
            except NotUnderstood as error:
                decided = replace(
                    entry, attempts=entry.attempts + 1, reason=error.reason[:_MAXIMUM_REASON_CHARACTERS], place=error.place[:256]
                )
            else:
                decided = replace(entry, status=EntryStatus.REPLAYED, attempts=entry.attempts + 1)
        await self._decide(scope, decided, now, event_id, "")
        return decided, event_id

    async def discard(self, scope: Scope, quarantine_id: str, reason: str) -> QuarantineEntry:
        """Close an entry without an event; the input stays stored with who and why."""
        reason = reason.strip()
        if not reason or len(reason) > _MAXIMUM_REASON_CHARACTERS or "\0" in reason:
            raise InvalidInput.one("reason", f"say in 1 to {_MAXIMUM_REASON_CHARACTERS} characters why it is not needed")
        entry = replace(await self._waiting(scope, quarantine_id), status=EntryStatus.DISCARDED)
        await self._decide(scope, entry, self._clock(), "", reason)
        touched(f"quarantine:{quarantine_id}", new_value=reason)
        return entry

    async def _waiting(self, scope: Scope, quarantine_id: str) -> QuarantineEntry:
        entry = await self._store.get_quarantined(scope, quarantine_id)
        if entry is None:
            raise NotFound("quarantine entry", quarantine_id)
        if entry.status is not EntryStatus.WAITING:
            raise Conflict(f"The quarantine entry was {entry.status} already.")
        return entry

    async def _decide(self, scope: Scope, entry: QuarantineEntry, decided_at: datetime, event_id: str, reason: str) -> None:
        if not await self._store.decide_quarantined(scope, entry, decided_at, event_id, reason):
            raise Conflict("Somebody else decided about the quarantine entry at the same moment: read it again.")

    async def search_plate_reads(
        self, scope: Scope, plate: str, since: datetime | None, until: datetime | None, limit: int
    ) -> Sequence[event_pb2.Event]:
        """Stored reads, newest first; "?" is any one character. The audit entry holds the plate searched and what was found (R18)."""
        try:
            pattern = normalise_plate_pattern(plate)
        except NotUnderstood as error:
            raise InvalidInput.one("plate", error.reason) from error
        if since is not None and until is not None and since >= until:
            raise InvalidInput.one("until", "must be later than from")
        touched(f"plate:{pattern}")
        reads = await self._store.search_plates(scope, pattern, since, until, _rows(limit, 200))
        touched(*(f"event:{read.event_id}" for read in reads), *(f"plate:{read.plate_read.plate}" for read in reads))
        return reads

    async def list_newest(self, scope: Scope, kinds: Sequence[str], limit: int) -> Sequence[event_pb2.Event]:
        """The newest state of each alarm, warning, marker and sensor that had news in the last day and isn't over, newest first."""
        for index, kind in enumerate(kinds):
            if kind not in THING_KINDS:
                raise InvalidInput.one(f"kinds[{index}]", f"{kind[:40]!r} is not one of {', '.join(THING_KINDS)}")
        now = self._clock()
        events = await self._store.newest_things(scope, kinds or THING_KINDS, now - self._call_list, now, _rows(limit, 200))
        touched(*(f"event:{event.event_id}" for event in events))
        return events

    async def list_calls(self, scope: Scope, limit: int) -> Sequence[event_pb2.Event]:
        """The newest state of each call that had news in the last day, newest first."""
        calls = await self._store.newest_calls(scope, self._clock() - self._call_list, _rows(limit, 100))
        touched(*(f"call:{call.call_for_service.call_id}" for call in calls))
        return calls


def _check_shape(delivery: Delivery) -> None:
    if not valid_source_id(delivery.source_id):
        raise InvalidInput.one("source_id", "is not the id of a source: take it from the registry")
    if not valid_delivery_id(delivery.delivery_id):
        raise InvalidInput.one("Rtcc-Delivery", "must be 1 to 128 of letters, digits, '-', '_' and ':'")
    if len(delivery.body) > MAXIMUM_BODY_BYTES:
        raise InvalidInput.one("body", f"has {len(delivery.body)} bytes, at most {MAXIMUM_BODY_BYTES} are taken")


def _rows(limit: int, default: int) -> int:
    return min(limit or default, _MAXIMUM_ROWS)
