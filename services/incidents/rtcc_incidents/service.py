"""Wiring of incidents."""

from pathlib import Path

from rtcc.incidents.v1.incidents_pb2_grpc import add_IncidentsServiceServicer_to_server
from rtcc.registry.v1.registry_pb2 import Agency, Person, Unit
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.settings import read
from rtcc_incidents.app.acting import Acting, Facts
from rtcc_incidents.app.briefing import BriefingApp
from rtcc_incidents.app.counted import begin_counting
from rtcc_incidents.app.floor_plans import FloorPlansApp
from rtcc_incidents.app.incidents import IncidentsApp
from rtcc_incidents.app.signals import Signals
from rtcc_incidents.app.timeline import TimelineApp
from rtcc_incidents.app.tips import TipsApp
from rtcc_incidents.events import IdentityRecords, alerts_handler, alerts_spec, events_handler, events_spec, forget
from rtcc_incidents.rpc import IncidentsServicer
from rtcc_incidents.settings import IncidentsSettings
from rtcc_incidents.store.floor_plans import FloorPlanStore
from rtcc_incidents.store.incidents import IncidentStore
from rtcc_incidents.store.tips import TipStore

_MIGRATIONS = Path(__file__).parent / "migrations"


async def serve(ctx: ServiceContext) -> None:
    """Runs until the process stops."""
    settings = read(IncidentsSettings, "incidents")
    begin_counting()
    await ctx.database.migrate(_MIGRATIONS)
    outbox = Outbox(ctx.database, ctx.bus)
    store, plans, tip_store = IncidentStore(ctx.database, outbox), FloorPlanStore(ctx.database), TipStore(ctx.database, outbox)
    agencies = ctx.directory.mirror("agency", Agency)
    people, units = ctx.directory.mirror("person", Person), ctx.directory.mirror("unit", Unit)
    acting = Acting(ctx.access, ctx.clock, Facts(agencies.get, people.get, units.get))
    records = IdentityRecords(ctx)
    incidents = IncidentsApp(store, plans, acting)
    signals, tips = Signals(store, acting), TipsApp(tip_store, ctx.objects, acting, settings)
    ctx.rpc.add(
        add_IncidentsServiceServicer_to_server,
        IncidentsServicer(
            incidents,
            TimelineApp(store, plans, ctx.objects, records, acting),
            BriefingApp(incidents, store, records),
            FloorPlansApp(plans, ctx.objects, acting),
            tips,
        ),
    )
    # the year of a number is that of the agency's time zone
    await agencies.ready()
    spawn = ctx.lifecycle.spawn
    spawn(outbox.run(), "incidents outbox")
    spawn(ctx.bus.consume(events_spec(settings.event_batch), events_handler(signals, tips)), "incidents events")
    spawn(ctx.bus.consume(alerts_spec(settings.event_batch), alerts_handler(signals)), "incidents alerts")
    spawn(forget(store, tip_store, ctx.clock, settings.alert_days), "incidents forgets")
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()
