"""Wires the airspace service together."""

import asyncio
import logging
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from rtcc.airspace.v1 import airspace_pb2_grpc
from rtcc.registry.v1 import registry_pb2
from rtcc_airspace.app.receiving import Receiving
from rtcc_airspace.app.sky import Sky
from rtcc_airspace.app.uplink import Uplink
from rtcc_airspace.app.watch import Watch
from rtcc_airspace.domain.assembly import Assembler
from rtcc_airspace.domain.live import LiveTracks
from rtcc_airspace.domain.models import SerialPrefixes
from rtcc_airspace.domain.observations import Observations, microseconds
from rtcc_airspace.domain.visits import Visits
from rtcc_airspace.domain.zones import AirZone, air_zones
from rtcc_airspace.drone_videos import DRONE_VIDEO_SUBJECT, DroneVideos
from rtcc_airspace.events import (
    LIVE_SUBJECTS,
    RECEIVER_SUBJECT,
    BusPublisher,
    BusQuarantine,
    LiveFollower,
    history_handler,
    history_spec,
    receiver_handler,
)
from rtcc_airspace.rpc import AirspaceServicer
from rtcc_airspace.settings import AirspaceSettings
from rtcc_airspace.store import AirspaceStore
from rtcc_chassis.clock import Clock
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import RtccError
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import InvalidSetting, read
from rtcc_chassis.signed_sources import RegistrySources
from rtcc_chassis.streams import TRACKS
from rtcc_chassis.tail import Start, StreamTail

_LOG = logging.getLogger(__name__)
_FORGET_EVERY_S = 3_600.0
_DAY_US = 86_400 * 1_000_000


async def serve(ctx: ServiceContext) -> None:
    """Until the process drains. Ready once the live state is what it was before the last stop."""
    settings = read(AirspaceSettings, ctx.name)
    prefixes = _prefixes(settings)
    await ctx.database.migrate(Path(__file__).parent / "migrations")
    outbox = Outbox(ctx.database, ctx.bus)
    store, live, visits = AirspaceStore(ctx.database, outbox), LiveTracks(settings.tracks_most), Visits()
    tail = await _recovered(ctx, store, live, visits)
    zones_of = ZoneBook(ctx.directory.mirror("zone", registry_pb2.Zone))
    own_serials = OwnDrones(ctx.directory.mirror("unit", registry_pb2.Unit))
    agreements = ctx.directory.mirror("agreement", registry_pb2.Agreement)
    sources = RegistrySources(ctx.directory, ctx.channels, ctx.tokens, ctx.name, settings.secret_lifetime_s)
    publisher = BusPublisher(ctx.bus)
    uplink = Uplink(live, visits, publisher, zones_of, ctx.clock, batch_s=settings.batch_s, waiting_most=settings.waiting_most)
    receiving = Receiving(sources, Assembler(prefixes), uplink, BusQuarantine(ctx.bus, ctx.clock), own_serials, ctx.clock)
    watch = Watch(
        live, visits, store, publisher, zones_of, ctx.clock,
        drone_silence_s=settings.drone_silence_s, aircraft_silence_s=settings.aircraft_silence_s,
    )  # fmt: skip
    sky = Sky(live, store, agreements, ctx.access, ctx.clock)
    ctx.rpc.add(airspace_pb2_grpc.add_AirspaceServiceServicer_to_server, AirspaceServicer(receiving, sky))
    ctx.lifecycle.on_drain(uplink.flush)
    ctx.lifecycle.spawn(tail.run(), "airspace tail")
    await tail.caught_up()
    await sources.ready()
    ctx.lifecycle.spawn(outbox.run(), "airspace outbox")
    ctx.lifecycle.spawn(uplink.run(), "airspace uplink")
    ctx.lifecycle.spawn(watch.run(settings.watch_s), "airspace watch")
    ctx.lifecycle.spawn(ctx.bus.consume(history_spec(), history_handler(store)), "airspace history")
    ctx.lifecycle.spawn(_forget(store, ctx.clock, settings.history_days), "airspace history's end")
    await ctx.bus.subscribe_core(RECEIVER_SUBJECT, receiver_handler(receiving, ctx.access), queue="airspace")
    drone_videos = DroneVideos(receiving, own_serials)
    await ctx.bus.subscribe_core(DRONE_VIDEO_SUBJECT, drone_videos.on_message, queue="airspace")
    ctx.lifecycle.spawn(drone_videos.run(settings.batch_s), "airspace drone videos")
    # what only some installations use isn't loaded by the others
    if settings.readsb:
        from rtcc_airspace.readsb import ReadsbPolls

        polls = ReadsbPolls(settings.readsb, settings.readsb_poll_s, receiving, sources.get, ctx.clock)
        ctx.lifecycle.spawn(polls.run(), "airspace readsb receivers")
    if settings.mavlink:
        from rtcc_airspace.mavlink import MavlinkLinks

        ctx.lifecycle.spawn(MavlinkLinks(settings.mavlink, receiving, sources.get, ctx.clock).run(), "airspace own drones")
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


def _prefixes(settings: AirspaceSettings) -> SerialPrefixes:
    texts = [(files("rtcc_airspace") / "serial_prefixes.csv").read_text(encoding="utf-8")]
    if settings.serial_prefixes_file:
        try:
            texts.append(Path(settings.serial_prefixes_file).read_text(encoding="utf-8"))
            return SerialPrefixes.read(*texts)
        except (OSError, ValueError) as error:
            raise InvalidSetting("RTCC_AIRSPACE_SERIAL_PREFIXES_FILE", f"{settings.serial_prefixes_file}: {error}") from error
    return SerialPrefixes.read(*texts)


async def _recovered(ctx: ServiceContext, store: AirspaceStore, live: LiveTracks, visits: Visits) -> StreamTail:
    scope = Scope.platform(ctx.name)
    stored, sequence = await store.flying(scope)
    for track in stored:
        head = track.head
        row = live.restore(head.agency_id, head.track_id, head.subject, head.first_observed_us, head.zone_ids)
        if row >= 0:
            live.apply(Observations([head.subject.key], np.array([track.numbers], np.int64).T, {}), np.array([row]))
    for visit in await store.going_on(scope):
        visits.restore(visit)
    state = (await ctx.bus.jetstream.stream_info(TRACKS.name)).state
    # a stream that is shorter than our progress is another stream: restored, or made anew
    start: Start = sequence + 1 if 0 < sequence <= state.last_seq else "all"
    return ctx.bus.tail(TRACKS, LIVE_SUBJECTS, LiveFollower(live).on_batch, start=start)


class ZoneBook:
    """The zones in the air of each agency, worked out anew when one of them changed."""

    def __init__(self, zones: Mirror[registry_pb2.Zone]) -> None:
        self._zones = zones
        self._of_agency: dict[str, tuple[AirZone, ...]] = {}
        zones.on_change(self._on_change)

    def __call__(self, agency_id: str) -> Sequence[AirZone]:
        known = self._of_agency.get(agency_id)
        if known is None:
            known = self._of_agency[agency_id] = air_zones(self._zones.of_agency(agency_id))
        return known

    def _on_change(self, zone_id: str, old: registry_pb2.Zone | None, new: registry_pb2.Zone | None) -> None:
        for zone in (old, new):
            if zone is not None:
                self._of_agency.pop(zone.agency_id, None)


class OwnDrones:
    """Serial numbers of an agency's drones: the device ids of its units of the kind "drone"."""

    def __init__(self, units: Mirror[registry_pb2.Unit]) -> None:
        self._units = units
        self._of_agency: dict[str, frozenset[str]] = {}
        units.on_change(lambda *_: self._of_agency.clear())

    def __call__(self, agency_id: str) -> frozenset[str]:
        known = self._of_agency.get(agency_id)
        if known is None:
            units = self._units.of_agency(agency_id)
            known = self._of_agency[agency_id] = frozenset(unit.device_id for unit in units if unit.kind == "drone" and unit.enabled)
        return known


async def _forget(store: AirspaceStore, clock: Clock, days: int) -> None:
    """For ever: what is older than the history may be goes."""
    while True:
        try:
            gone = await store.forget(Scope.platform("airspace"), microseconds(clock()) - days * _DAY_US)
            if gone:
                _LOG.info("%d points of paths older than %d days were deleted", gone, days)
        except RtccError as error:
            _LOG.warning("old paths stay until the next look: %s", error.message)
        await asyncio.sleep(_FORGET_EVERY_S)
