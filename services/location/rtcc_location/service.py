"""Wires the location service together."""

import asyncio
import logging
from pathlib import Path

from rtcc.location.v1 import location_pb2_grpc
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import read
from rtcc_chassis.streams import POSITIONS
from rtcc_chassis.tail import Start, StreamTail
from rtcc_location.app.devices import Devices
from rtcc_location.app.names import Names
from rtcc_location.app.trail import TrailRecorder, Trails, expire
from rtcc_location.app.uplink import Uplink
from rtcc_location.app.vehicles import Vehicles
from rtcc_location.app.whereabouts import Whereabouts
from rtcc_location.domain.live import LiveState
from rtcc_location.events import (
    ALL_SUBJECTS,
    LIVE_SUBJECTS,
    VEHICLE,
    BusDirectory,
    BusPublisher,
    BusQuarantine,
    LiveFollower,
    TrailFollower,
)
from rtcc_location.rpc import LocationServicer
from rtcc_location.settings import LocationSettings
from rtcc_location.store import LocationStore, TrailStore

_LOG = logging.getLogger(__name__)


async def serve(ctx: ServiceContext) -> None:
    """Until the process drains. Ready once the live state is what it was before the last stop."""
    settings = read(LocationSettings, ctx.name)
    await ctx.database.migrate(Path(__file__).parent / "migrations")
    store, live = LocationStore(ctx.database), LiveState()
    tail = await _recovered(ctx, store, live)
    units = ctx.directory.mirror("unit", registry_pb2.Unit)
    agreements = ctx.directory.mirror("agreement", registry_pb2.Agreement)
    devices = Devices(units)
    uplink = Uplink(
        live,
        BusPublisher(ctx.bus),
        BusQuarantine(ctx.bus, ctx.clock),
        ctx.clock,
        batch_s=settings.batch_s,
        waiting_most=settings.waiting_most,
    )
    vehicle_names = ctx.directory.mirror(VEHICLE, registry_pb2.Unit)
    vehicles = Vehicles(vehicle_names, live, uplink, BusDirectory(ctx.bus), ctx.clock)
    names = Names(units, vehicle_names)
    whereabouts = Whereabouts(live, names, agreements, ctx.access, ctx.clock)
    trail_store = TrailStore(ctx.database)
    recorder = TrailRecorder(trail_store)
    trails = Trails(trail_store, recorder, whereabouts, names, ctx.access, ctx.clock)
    trail_tail = ctx.bus.tail(
        POSITIONS,
        ALL_SUBJECTS,
        TrailFollower(recorder).on_batch,
        start=await _place_in_stream(ctx, await trail_store.progress(_scope(ctx))),
    )
    ctx.rpc.authenticate_devices(devices.by_metadata)
    ctx.rpc.add(
        location_pb2_grpc.add_LocationServiceServicer_to_server,
        LocationServicer(devices, uplink, vehicles, whereabouts, trails, settings.stream_window),
    )
    saver = LastKnownSaver(store, live, tail)
    ctx.lifecycle.on_drain(saver.save)
    ctx.lifecycle.on_drain(uplink.drain)
    ctx.lifecycle.spawn(tail.run(), "location tail")
    ctx.lifecycle.spawn(uplink.run(), "location uplink")
    ctx.lifecycle.spawn(saver.run(settings.save_s), "location last known")
    ctx.lifecycle.on_drain(recorder.save)
    ctx.lifecycle.spawn(trail_tail.run(), "location trail tail")
    ctx.lifecycle.spawn(recorder.run(settings.trail_save_s), "location trails")
    ctx.lifecycle.spawn(expire(trail_store, ctx.access, ctx.clock, settings.trail_days), "location old trails")
    await tail.caught_up()
    await units.ready()
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


async def _recovered(ctx: ServiceContext, store: LocationStore, live: LiveState) -> StreamTail:
    fixes, agency_ids, sequence = await store.load(_scope(ctx))
    live.apply(fixes, live.rows_of(fixes.unit_ids, agency_ids))
    live.take_changed()
    return ctx.bus.tail(POSITIONS, LIVE_SUBJECTS, LiveFollower(live).on_batch, start=await _place_in_stream(ctx, sequence))


async def _place_in_stream(ctx: ServiceContext, sequence: int) -> Start:
    """Where to read on after `sequence`. A stream that is shorter than our progress is another stream: restored, or made anew."""
    state = (await ctx.bus.jetstream.stream_info(POSITIONS.name)).state
    return sequence + 1 if 0 < sequence <= state.last_seq else "all"


def _scope(ctx: ServiceContext) -> Scope:
    return Scope.platform(ctx.name)


class LastKnownSaver:
    """Writes what changed, with the place in the stream from which a restart must read on."""

    def __init__(self, store: LocationStore, live: LiveState, tail: StreamTail) -> None:
        self._store = store
        self._live = live
        self._tail = tail

    async def run(self, every_s: float) -> None:
        """For ever. A save that fails is repeated with all that changed since."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.save()
            except RtccError as error:
                _LOG.warning("last known positions: %s", error.message)

    async def save(self) -> None:
        """One save; nothing is written when nothing changed."""
        sequence = self._tail.last_sequence
        rows = self._live.take_changed()
        if not len(rows):
            return
        agency_ids = [self._live.agency_of(row) for row in rows.tolist()]
        try:
            await self._store.save(Scope.platform("location"), self._live.fixes_of(rows), agency_ids, sequence)
        except BaseException:
            self._live.give_back_changed(rows)
            raise
