"""What intake publishes and consumes: events out, the archive and the quarantine of the whole platform in, devices over NATS."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg

from rtcc.event.v1 import event_pb2
from rtcc_chassis.access import Access, AuditDraft
from rtcc_chassis.access import Outcome as AuditOutcome
from rtcc_chassis.bus import Bus
from rtcc_chassis.consumer import ConsumerSpec
from rtcc_chassis.consumer import Delivery as Stored
from rtcc_chassis.errors import Exhausted, InvalidInput, RtccError, Unauthenticated, http_status
from rtcc_chassis.identifiers import derived_id
from rtcc_chassis.objects import Objects
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import DEVICES, EVENTS, QUARANTINE, event_subject
from rtcc_intake.app.deliveries import IntakeApp
from rtcc_intake.domain import MAXIMUM_BODY_BYTES, Delivery, QuarantineEntry, SubmitResult
from rtcc_intake.store import IntakeStore

_LOG = logging.getLogger(__name__)
# the platform's quarantine is bounded by its stream; an agency's list takes what comes from there
_NO_LIMIT = 2**31
_AGENCY_UNKNOWN = "platform"


class BusEvents:
    """Implements `app.Events`."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, event: event_pb2.Event) -> bool:
        receipt = await self._bus.publish(
            event_subject(event.agency_id, event.kind),
            event,
            message_id=event.event_id,
            agency_id=event.agency_id,
            headers={"ce-source": f"source/{event.source_id}"},
        )
        return not receipt.duplicate

    async def republish(self, entry: QuarantineEntry) -> None:
        await self._bus.publish(entry.subject, entry.body, message_id=f"{entry.quarantine_id}:{entry.attempts}", agency_id=entry.agency_id)


class EventLeftovers:
    """Implements `app.retention.Leftovers`: the message in the stream and the picture in the object store."""

    def __init__(self, bus: Bus, objects: Objects) -> None:
        self._bus = bus
        self._objects = objects

    async def erase_messages(self, sequences: Collection[int]) -> None:
        await self._bus.erase(EVENTS, sequences)

    async def remove_image(self, scope: Scope, agency_id: str, key: str) -> None:
        await self._objects.delete(scope, agency_id, key)


def archive_spec(batch: int) -> ConsumerSpec:
    return ConsumerSpec(EVENTS, "intake", "intake-archive", ("event.>",), batch=batch)


def archive_handler(store: IntakeStore, pause_s: float) -> Callable[[Sequence[Stored]], Awaitable[None]]:
    """Everything that was accepted is written down, whoever else reads it."""
    scope = Scope.platform("intake")

    async def handle(deliveries: Sequence[Stored]) -> None:
        events = []
        for delivery in deliveries:
            event = delivery.parse(event_pb2.Event)
            if event.agency_id != delivery.agency_id or not event.event_id:
                raise InvalidInput.one("agency_id", f"{event.agency_id!r} in the body, {delivery.agency_id!r} in the subject")
            events.append(event)
        await store.add_events(scope, events, [delivery.sequence for delivery in deliveries])
        await asyncio.sleep(pause_s)

    return handle


def quarantine_spec() -> ConsumerSpec:
    return ConsumerSpec(QUARANTINE, "intake", "intake-quarantine", ("quarantine.>",), batch=50)


def quarantine_handler(store: IntakeStore) -> Callable[[Sequence[Stored]], Awaitable[None]]:
    """Messages that a consumer of any service gave up on join the agency's list."""
    scope = Scope.platform("intake")

    async def handle(deliveries: Sequence[Stored]) -> None:
        for delivery in deliveries:
            await store.add_quarantined(scope, _quarantined(delivery), _NO_LIMIT)

    return handle


def _quarantined(delivery: Stored) -> QuarantineEntry:
    headers = delivery.headers
    attempts = headers.get("rtcc-deliveries", "0")
    return QuarantineEntry(
        quarantine_id=derived_id("quarantine", delivery.message_id or str(delivery.sequence)),
        agency_id=headers.get("rtcc-agency") or _AGENCY_UNKNOWN,
        source_id=_source_of(delivery.data),
        received_at=datetime.fromtimestamp(delivery.stored_at, UTC),
        reason=headers.get("rtcc-reason", ""),
        place=headers.get("rtcc-consumer", ""),
        body=delivery.data,
        service=delivery.subject.removeprefix("quarantine."),
        attempts=int(attempts) if attempts.isdigit() else 0,
        subject=headers.get("rtcc-original-subject", ""),
        headers={"rtcc-original-id": headers.get("rtcc-original-id", "")},
    )


def _source_of(data: bytes) -> str:
    try:
        return event_pb2.Event.FromString(data).source_id[:64]
    except DecodeError:
        return ""


def mqtt_spec() -> ConsumerSpec:
    return ConsumerSpec(DEVICES, "intake", "intake-devices", ("agency.*.source.*.event", "agency.*.source.*.event.>"), batch=100)


def mqtt_handler(app: IntakeApp, access: Access) -> Callable[[Sequence[Stored]], Awaitable[None]]:
    """Messages on agency.<id>.source.<source_id>.event: NATS let only that source's own login publish there (docs/integrators/mqtt.md).

    A message without an id of its own is known by its place in the stream, so that a repeated delivery to us is the same event.
    """

    async def handle(deliveries: Sequence[Stored]) -> None:
        for delivery in deliveries:
            _, agency_id, _, source_id, *_ = delivery.subject.split(".")
            try:
                source = app.source_of(agency_id, source_id)
            except Unauthenticated as error:
                await _audit_refusal(access, agency_id, source_id, delivery.subject, error)
                continue
            received_at = datetime.fromtimestamp(delivery.stored_at, UTC)
            delivery_id = f"mqtt:{delivery.sequence}:{int(delivery.stored_at * 1e6)}"
            try:
                await app.take(source, delivery.data[: MAXIMUM_BODY_BYTES + 1], delivery_id, received_at)
            except Exhausted as error:
                # its quarantine is full: the stream can't wait for somebody to empty it
                _LOG.warning("a message of source %s is lost: %s", source_id, error.message)

    return handle


def device_handler(app: IntakeApp, access: Access) -> Callable[[Msg], Awaitable[None]]:
    """Requests on agency.<id>.source.<source_id>: the agency comes from the account's export, never from the sender."""

    async def handle(message: Msg) -> None:
        _, agency_id, _, source_id = message.subject.split(".", 3)
        if app.is_others(source_id):
            return
        headers = {name.lower(): value for name, value in (message.headers or {}).items()}
        delivery = Delivery(
            source_id,
            headers.get("rtcc-timestamp", ""),
            headers.get("rtcc-delivery", ""),
            headers.get("rtcc-signature", ""),
            message.data,
            source_address=f"nats:{agency_id}",
        )
        try:
            answer = _answer(await app.submit(delivery, agency_id=agency_id))
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
        action="delivery.submit",
        place=subject,
        outcome=AuditOutcome.DENIED,
        scope=Scope.service("intake", agency_id),
        reason=error.message,
        object_ids=(f"source:{source_id[:64]}",),
    )
    await access.record(draft)


def _answer(result: SubmitResult) -> dict[str, object]:
    answer: dict[str, object] = {"status": 202, "outcome": f"DELIVERY_OUTCOME_{result.outcome.upper()}"}
    for name in ("event_id", "quarantine_id", "reason"):
        if value := getattr(result, name):
            answer[name] = value
    return answer


def _problem(error: RtccError) -> dict[str, object]:
    answer: dict[str, object] = {"status": http_status(error), "detail": error.message}
    if isinstance(error, Exhausted):
        answer["retry_after_s"] = 5
    return answer
