"""Wiring of intake."""

import asyncio
import logging
from pathlib import Path

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.intake.v1.intake_pb2_grpc import add_IntakeServiceServicer_to_server
from rtcc.intake.v1.retention_pb2_grpc import add_RetentionServiceServicer_to_server
from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import RtccError
from rtcc_chassis.settings import InvalidSetting, read
from rtcc_chassis.signed_sources import RegistrySources
from rtcc_intake.app.certificates import Certificates
from rtcc_intake.app.deliveries import IntakeApp
from rtcc_intake.app.feeds import Feeds
from rtcc_intake.app.kit import ConnectorKit
from rtcc_intake.app.retention import Retention
from rtcc_intake.cot_listener import CotListener
from rtcc_intake.events import (
    BusEvents,
    EventLeftovers,
    archive_handler,
    archive_spec,
    device_handler,
    mqtt_handler,
    mqtt_spec,
    quarantine_handler,
    quarantine_spec,
)
from rtcc_intake.feed_fetcher import FeedFetcher
from rtcc_intake.measures import measure_quarantine
from rtcc_intake.retention_rpc import RetentionServicer
from rtcc_intake.retention_store import RetentionStore
from rtcc_intake.rpc import IntakeServicer
from rtcc_intake.settings import IntakeSettings
from rtcc_intake.source_store import SourceStore
from rtcc_intake.store import IntakeStore
from rtcc_intake.vehicles import LocationVehicles

_LOG = logging.getLogger(__name__)
_MIGRATIONS = Path(__file__).parent / "migrations"
_RECORDINGS_EVERY_S = 2.0
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
    store, source_store = IntakeStore(ctx.database), SourceStore(ctx.database)
    plain_hosts = frozenset(settings.feed_hosts)
    kit = ConnectorKit(source_store, sources, ctx.access, ctx.clock)
    feeds = Feeds(source_store, sources, LocationVehicles(ctx.channels, ctx.tokens), ctx.access, ctx.clock, plain_hosts)
    certificates = Certificates(source_store, sources, ctx.access, ctx.clock)
    app = IntakeApp(
        store,
        sources,
        BusEvents(ctx.bus),
        ctx.objects,
        camera_position,
        kit,
        feeds,
        ctx.clock,
        quarantine_limit_per_source=settings.quarantine_limit_per_source,
        call_list_h=settings.call_list_h,
    )
    await sources.ready()
    await kit.refresh()
    ctx.rpc.add(add_IntakeServiceServicer_to_server, _servicer(ctx, settings, app, kit, feeds, certificates))
    ctx.lifecycle.spawn(ctx.objects.check_at_start(), "object store check")
    ctx.lifecycle.spawn(
        ctx.bus.consume(archive_spec(settings.archive_batch), archive_handler(store, settings.archive_pause_s)), "intake archive"
    )
    retention = Retention(RetentionStore(ctx.database), sources, EventLeftovers(ctx.bus, ctx.objects), ctx.access, ctx.clock)
    ctx.rpc.add(add_RetentionServiceServicer_to_server, RetentionServicer(retention))
    ctx.lifecycle.spawn(retention.run(settings.retention_sweep_s), "intake retention")
    ctx.lifecycle.spawn(measure_quarantine(store), "intake quarantine size")
    ctx.lifecycle.spawn(ctx.bus.consume(quarantine_spec(), quarantine_handler(store)), "intake quarantine")
    ctx.lifecycle.spawn(ctx.bus.consume(mqtt_spec(), mqtt_handler(app, ctx.access)), "intake devices")
    ctx.lifecycle.spawn(_follow_recordings(kit), "intake recordings")
    ctx.lifecycle.spawn(FeedFetcher(app, feeds, ctx.clock, plain_hosts).run(), "intake feeds")
    if settings.cot_listen:
        listener = CotListener(
            app,
            source_store,
            ctx.access,
            ctx.clock,
            listen=settings.cot_listen,
            certificate_file=settings.cot_certificate_file or ctx.settings.tls_certificate_file,
            key_file=settings.cot_key_file or ctx.settings.tls_key_file,
            maximum_connections=settings.cot_connections,
        )
        ctx.lifecycle.spawn(listener.run(), "intake cot listener")
    await ctx.bus.subscribe_core(DEVICE_SUBJECT, device_handler(app, ctx.access), queue="intake")
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


def _servicer(
    ctx: ServiceContext, settings: IntakeSettings, app: IntakeApp, kit: ConnectorKit, feeds: Feeds, certificates: Certificates
) -> IntakeServicer:
    authority = settings.cot_authority_file or ctx.settings.tls_authority_file
    return IntakeServicer(
        app,
        kit,
        feeds,
        certificates,
        cot_address=settings.cot_address or settings.cot_listen,
        cot_authority=_authority(authority) if settings.cot_listen and authority else "",
    )


def _authority(path: str) -> str:
    """Raises InvalidSetting."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidSetting("RTCC_INTAKE_COT_AUTHORITY_FILE", f"{path} can't be read ({error.strerror})") from error


async def _follow_recordings(kit: ConnectorKit) -> None:
    """A recording that another instance was asked for begins here within 2 seconds."""
    while True:
        await asyncio.sleep(_RECORDINGS_EVERY_S)
        try:
            await kit.refresh()
        except RtccError as error:
            _LOG.warning("recordings: %s", error.message)
