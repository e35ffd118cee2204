"""Wires the registry together."""

import asyncio
import logging
from pathlib import Path

from rtcc.exchange.v1.exchange_pb2 import SharedAlert
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc.registry.v1 import registry_pb2_grpc
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import RtccError
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.sealing import Seal
from rtcc_chassis.settings import read
from rtcc_registry.app.agencies import Agencies
from rtcc_registry.app.agreements import Agreements
from rtcc_registry.app.cameras import Cameras
from rtcc_registry.app.equipment import Equipment
from rtcc_registry.app.people import People
from rtcc_registry.app.reconciling import reconcile, seal_plain_secrets
from rtcc_registry.app.records import AGREEMENT, CAMERA, EVERY_KIND
from rtcc_registry.measures import measure_records
from rtcc_registry.rpc import RegistryServicer
from rtcc_registry.settings import RegistrySettings
from rtcc_registry.store import RegistryStore

_LOG = logging.getLogger(__name__)


async def serve(ctx: ServiceContext) -> None:
    """Until the process drains."""
    settings = read(RegistrySettings, ctx.name)
    await ctx.database.migrate(Path(__file__).parent / "migrations")
    outbox = Outbox(ctx.database, ctx.bus)
    secret = settings.sealing_secret.encode() if settings.sealing_secret else Path(ctx.settings.token_key_file).read_bytes()
    store = RegistryStore(ctx.database, outbox, Seal(secret, "registry secrets"))
    if sealed := await seal_plain_secrets(store):
        _LOG.info("%d secrets that an earlier version stored in the clear are sealed now", sealed)
    mirrors = {kind.name: ctx.directory.mirror(kind.name, kind.message_type) for kind in EVERY_KIND}
    cameras: Mirror[pb.Camera] = mirrors[CAMERA.name]
    agreements: Mirror[pb.Agreement] = mirrors[AGREEMENT.name]
    shared_alerts = ctx.directory.mirror("shared_alert", SharedAlert)
    people = People(store, ctx.access, ctx.clock)
    servicer = RegistryServicer(
        people,
        Agencies(store, ctx.access, ctx.clock),
        Cameras(store, ctx.access, ctx.clock, settings.cameras_most, cameras, agreements, shared_alerts),
        Equipment(store, ctx.access, settings.equipment_most),
        Agreements(store, ctx.access, ctx.clock),
    )
    ctx.rpc.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, servicer)
    ctx.lifecycle.spawn(outbox.run(), "registry outbox")
    ctx.lifecycle.spawn(measure_records(mirrors), "registry records")
    ctx.lifecycle.spawn(_end_accounts(people, settings.account_sweep_s), "registry temporary accounts")
    await cameras.ready()
    if differing := await reconcile(store, mirrors):
        _LOG.warning("the directory differed from the registry in %d records and was brought in line", differing)
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


async def _end_accounts(people: People, every_s: float) -> None:
    while True:
        try:
            while ended := await people.end_temporary_accounts():
                _LOG.info("%d temporary accounts ended", ended)
        except RtccError as error:
            _LOG.warning("temporary accounts: %s", error.message)
        await asyncio.sleep(every_s)
