"""Wiring of alerting."""

from pathlib import Path

from rtcc.alerting.v1.alerting_pb2_grpc import add_AlertingServiceServicer_to_server
from rtcc.registry.v1.registry_pb2 import Agreement, Camera, Unit, Zone
from rtcc_alerting.app import AlertingApp, HotListApp
from rtcc_alerting.context import ContextBuilder, UnitPositions
from rtcc_alerting.engine import Engine
from rtcc_alerting.events import forget_handled_events, positions_handler, rules_handler, rules_spec
from rtcc_alerting.hot_list_index import HotListIndex
from rtcc_alerting.hot_list_store import HotListStore
from rtcc_alerting.index_keeper import IndexKeeper
from rtcc_alerting.rpc import AlertingServicer
from rtcc_alerting.settings import AlertingSettings
from rtcc_alerting.store import AlertStore
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.settings import read
from rtcc_chassis.streams import POSITIONS

_MIGRATIONS = Path(__file__).parent / "migrations"


async def serve(ctx: ServiceContext) -> None:
    """Runs until the process stops."""
    settings = read(AlertingSettings, "alerting")
    await ctx.database.migrate(_MIGRATIONS)
    outbox = Outbox(ctx.database, ctx.bus)
    alerts, hot_lists = AlertStore(ctx.database, outbox), HotListStore(ctx.database, outbox)
    index, positions = HotListIndex(), UnitPositions()
    keeper = IndexKeeper(hot_lists, index, ctx.clock)
    cameras = ctx.directory.mirror("camera", Camera)
    agreements = ctx.directory.mirror("agreement", Agreement)
    context = ContextBuilder(cameras, ctx.directory.mirror("unit", Unit), ctx.directory.mirror("zone", Zone), positions)
    engine = Engine(alerts, index, context, ctx.clock)
    ctx.rpc.add(
        add_AlertingServiceServicer_to_server,
        AlertingServicer(
            AlertingApp(alerts, ctx.objects, ctx.access, ctx.clock, agreements.values), HotListApp(hot_lists, keeper, ctx.clock)
        ),
    )
    # a read must never be held against lists or cameras that are not loaded yet
    await keeper.load()
    await cameras.ready()
    spawn = ctx.lifecycle.spawn
    spawn(outbox.run(), "alerting outbox")
    spawn(ctx.bus.tail(POSITIONS, ["position.>"], positions_handler(positions), start="last_per_subject").run(), "alerting positions")
    spawn(keeper.run(settings.hot_list_check_s), "alerting hot lists")
    spawn(forget_handled_events(alerts, ctx.clock, settings.handled_event_days), "alerting handled events")
    spawn(ctx.bus.consume(rules_spec(settings.event_batch), rules_handler(engine)), "alerting rules")
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()
