"""Verification from outside of the service: for `./rtcc ledger verify` and for whoever holds a kept checkpoint.

Needs the database and the checkpoint key; asks the bus for the newest checkpoints when it answers.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

from rtcc.ledger.v1 import ledger_pb2
from rtcc_chassis.bus import Bus, Delivery
from rtcc_chassis.database import Database
from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import ChassisSettings, read
from rtcc_chassis.streams import AUDIT, DIRECTORY, agency_of
from rtcc_ledger.domain import AgencyReport, leaf_of
from rtcc_ledger.events import CHECKPOINT_TYPE, DURABLE
from rtcc_ledger.note import CheckpointText, CheckpointVerifier, MalformedCheckpoint, split_note
from rtcc_ledger.service import checkpoint_signer, checkpoint_verifier
from rtcc_ledger.settings import LedgerSettings
from rtcc_ledger.verification import verify_log

_SCOPE = Scope.platform("ledger")
_BUS_ANSWERS_WITHIN_S = 5.0


async def verify_installation(environment: Mapping[str, str], kept_notes: Sequence[str] = ()) -> list[AgencyReport]:
    """Verify the log of every agency of an installation.

    `environment`: the settings of the ledger's process (RTCC_*). `kept_notes`: signed notes that somebody kept (the console
    and `GetCheckpoint` give them). When the bus answers, its newest checkpoints are compared as well, and every audit entry
    that it still keeps and that was acknowledged by the ledger must stand in a log (R11).
    Raises Unavailable when the database doesn't answer, MalformedCheckpoint for a kept note that can't be believed.
    """
    chassis, settings = read(ChassisSettings, "ledger", environment), read(LedgerSettings, "ledger", environment)
    verifier = checkpoint_verifier(settings, checkpoint_signer(settings, chassis))
    kept = _by_agency([_believed(note, verifier) for note in kept_notes])
    database = await Database.connect(chassis.database_url, "ledger", pool_size=2)
    try:
        async with _bus(chassis) as bus:
            if bus is not None:
                for text in await published_checkpoints(bus, verifier):
                    kept.setdefault(_agency_of(text), []).append(text)
            reports = await verify_database(database, verifier, kept)
            if bus is not None:
                await find_missing(bus, database, reports)
            return reports
    finally:
        await database.close()


async def verify_database(
    database: Database, verifier: CheckpointVerifier, kept: Mapping[str, Sequence[CheckpointText]] | None = None
) -> list[AgencyReport]:
    """Every log of the database, and every log that a kept checkpoint speaks of."""
    kept = kept or {}
    async with database.transaction(_SCOPE) as connection:
        rows = await connection.fetch(
            """select agency_id from ledger_tree union select agency_id from ledger_entry union select agency_id from ledger_checkpoint
               union select agency_id from ledger_object union select agency_id from ledger_node"""
        )
    agencies = sorted({row["agency_id"] for row in rows} | set(kept))
    return [await verify_log(database, _SCOPE, agency_id, verifier, kept.get(agency_id, ())) for agency_id in agencies]


async def published_checkpoints(bus: Bus, verifier: CheckpointVerifier) -> list[CheckpointText]:
    """The newest checkpoint of each log that the bus keeps; one whose signature doesn't hold is MalformedCheckpoint."""
    found: list[CheckpointText] = []

    async def take(deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            message = delivery.parse(ledger_pb2.Checkpoint)
            if not verifier.holds(message.note, message.signature, message.key_id):
                raise MalformedCheckpoint(f"the checkpoint on {delivery.subject} is not signed by this installation")
            found.append(CheckpointText.from_text(message.note))

    await _read_stream(bus, DIRECTORY.name, f"directory.{CHECKPOINT_TYPE}.>", None, take)
    return found


async def find_missing(bus: Bus, database: Database, reports: Sequence[AgencyReport]) -> None:
    """R11, completeness: what the bus still keeps and the ledger acknowledged stands in a log. Adds a problem for what doesn't."""
    by_agency = {report.agency_id: report for report in reports}
    try:
        info = await bus.jetstream.consumer_info(AUDIT.name, DURABLE)
    except Exception:  # no ledger ever consumed here
        return
    acknowledged = info.ack_floor.stream_seq if info.ack_floor else 0

    async def take(deliveries: Sequence[Delivery]) -> None:
        offered: dict[str, dict[str, int]] = {}
        for delivery in deliveries:
            if delivery.sequence <= acknowledged:
                offered.setdefault(agency_of(delivery.subject), {})[leaf_of(delivery.data).entry_id] = delivery.sequence
        for agency_id, entry_ids in offered.items():
            async with database.transaction(_SCOPE) as connection:
                rows = await connection.fetch(
                    "select entry_id from ledger_entry where agency_id = $1 and entry_id = any($2::text[])", agency_id, list(entry_ids)
                )
            for entry_id in entry_ids.keys() - {row["entry_id"] for row in rows}:
                report = by_agency.get(agency_id)
                if report is not None:
                    report.add(report.tree_size, f"entry {entry_id} (message {entry_ids[entry_id]} of the stream) never entered the log")

    if acknowledged:
        await _read_stream(bus, AUDIT.name, "audit.>", acknowledged, take)


async def _read_stream(
    bus: Bus, stream: str, subject: str, last_sequence: int | None, take: Callable[[Sequence[Delivery]], Awaitable[None]]
) -> None:
    """Everything that a stream keeps now, in batches."""
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

    policy = DeliverPolicy.ALL if last_sequence is not None else DeliverPolicy.LAST_PER_SUBJECT
    config = ConsumerConfig(
        deliver_policy=policy, filter_subject=subject, ack_policy=AckPolicy.NONE, inactive_threshold=30.0, mem_storage=True
    )
    subscription = await bus.jetstream.pull_subscribe(subject, stream=stream, config=config)
    try:
        remaining = (await subscription.consumer_info()).num_pending or 0
        while remaining > 0:
            messages = await subscription.fetch(min(500, remaining), timeout=5)
            remaining -= len(messages)
            await take([Delivery.of(message) for message in messages])
    finally:
        await subscription.unsubscribe()


@contextlib.asynccontextmanager
async def _bus(chassis: ChassisSettings) -> AsyncIterator[Bus | None]:
    """The bus, or None when it doesn't answer: then the database is verified alone."""
    try:
        async with asyncio.timeout(_BUS_ANSWERS_WITHIN_S):
            bus = await Bus.connect(chassis, "ledger-verify")
    except (RtccError, TimeoutError):
        yield None
        return
    try:
        yield bus
    finally:
        await bus.drain()


def _believed(note: str, verifier: CheckpointVerifier) -> CheckpointText:
    text, _, signed_with, signature = split_note(note)
    if not verifier.holds(text, signature, signed_with):
        raise MalformedCheckpoint("a kept note is not signed by this installation's checkpoint key")
    return CheckpointText.from_text(text)


def _by_agency(texts: Sequence[CheckpointText]) -> dict[str, list[CheckpointText]]:
    grouped: dict[str, list[CheckpointText]] = {}
    for text in texts:
        grouped.setdefault(_agency_of(text), []).append(text)
    return grouped


def _agency_of(text: CheckpointText) -> str:
    return text.origin.rpartition("/")[2]
