"""Wiring of intake."""

from pathlib import Path

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.intake.v1.intake_pb2_grpc import add_IntakeServiceServicer_to_server
from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.settings import read
from rtcc_chassis.signed_sources import RegistrySources
from rtcc_intake.app import IntakeApp
from rtcc_intake.events import BusEvents, archive_handler, archive_spec, device_handler, quarantine_handler, quarantine_spec
from rtcc_intake.rpc import IntakeServicer
from rtcc_intake.settings import IntakeSettings
from rtcc_intake.store import IntakeStore

_MIGRATIONS = Path(__file__).parent / "migrations"
DEVICE_SUBJECT = "agency.*.source.*"


async def serve(ctx: ServiceContext) -> None:
    """Runs until the process stops."""
    settings = read(IntakeSettings, "intake")
    await ctx.database.migrate(_MIGRATIONS)
    cameras = ctx.directory.mirror("camera", Camera)

    def camera_position(agency_id: str, camera_id: str) -> Coordinate | None:
        camera = cameras.get(camera_id)
        if camera is None or camera.agency_id != agency_id or not camera.HasField("coordinate"):
            return None
        return camera.coordinate

    sources = RegistrySources(ctx.directory, ctx.channels, ctx.tokens, "intake", settings.secret_lifetime_s)
    store = IntakeStore(ctx.database)
    app = IntakeApp(
        store,
        sources,
        BusEvents(ctx.bus),
        ctx.objects,
        camera_position,
        ctx.clock,
        quarantine_limit_per_source=settings.quarantine_limit_per_source,
        call_list_h=settings.call_list_h,
    )
    await sources.ready()
    ctx.rpc.add(add_IntakeServiceServicer_to_server, IntakeServicer(app))
    ctx.lifecycle.spawn(ctx.objects.check_at_start(), "object store check")
    ctx.lifecycle.spawn(
        ctx.bus.consume(archive_spec(settings.archive_batch), archive_handler(store, settings.archive_pause_s)), "intake archive"
    )
    ctx.lifecycle.spawn(ctx.bus.consume(quarantine_spec(), quarantine_handler(store)), "intake quarantine")
    await ctx.bus.subscribe_core(DEVICE_SUBJECT, device_handler(app, ctx.access), queue="intake")
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()
