"""Wiring of the ledger."""

import base64
from pathlib import Path

from rtcc.ledger.v1 import ledger_pb2_grpc, review_pb2_grpc
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.settings import ChassisSettings, read
from rtcc_ledger.app import LedgerApp
from rtcc_ledger.events import AuditConsumer, consumer_spec, watch_waiting
from rtcc_ledger.note import CheckpointSigner, CheckpointVerifier
from rtcc_ledger.review_app import Reviews
from rtcc_ledger.review_rpc import ReviewServicer
from rtcc_ledger.review_store import ReviewStore
from rtcc_ledger.rpc import LedgerServicer
from rtcc_ledger.settings import LedgerSettings
from rtcc_ledger.store import PostgresLogStore

MIGRATIONS = Path(__file__).parent / "migrations"


async def serve(ctx: ServiceContext) -> None:
    """Take entries in as long as the process lives."""
    settings = read(LedgerSettings, ctx.name)
    await ctx.database.migrate(MIGRATIONS)
    signer = checkpoint_signer(settings, ctx.settings)
    store = PostgresLogStore(ctx.database, checkpoint_verifier(settings, signer))
    app = LedgerApp(store, signer, ctx.clock)
    consumer = AuditConsumer(app, ctx.bus)
    await consumer.publish(await store.newest_checkpoints())
    ctx.rpc.add(ledger_pb2_grpc.add_LedgerServiceServicer_to_server, LedgerServicer(app))
    ctx.lifecycle.spawn(ctx.bus.consume(consumer_spec(settings.batch_entries), consumer.take), "ledger entries")
    reviews = Reviews(ReviewStore(ctx.database), ctx.clock)
    ctx.rpc.add(review_pb2_grpc.add_ReviewServiceServicer_to_server, ReviewServicer(reviews, ctx.clock))
    ctx.lifecycle.spawn(reviews.run(), "ledger reviews")
    ctx.lifecycle.spawn(watch_waiting(ctx.bus), "ledger lag")
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


def checkpoint_signer(settings: LedgerSettings, chassis: ChassisSettings) -> CheckpointSigner:
    """The installation's checkpoint key."""
    if settings.checkpoint_key_file is not None:
        return CheckpointSigner.from_file(settings.origin, settings.checkpoint_key_file)
    return CheckpointSigner.derived(settings.origin, chassis.token_key_file)


def checkpoint_verifier(settings: LedgerSettings, signer: CheckpointSigner) -> CheckpointVerifier:
    """Believes the present key and the former ones."""
    former = [base64.b64decode(text, validate=True) for text in settings.former_public_keys]
    return CheckpointVerifier(settings.origin, [signer.public_key, *former])
