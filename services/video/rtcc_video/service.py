"""Wiring of the video service."""

import asyncio
import logging
import time
from collections.abc import Callable

import grpc
from nats.aio.msg import Msg
from prometheus_client import Counter, Gauge

from rtcc.exchange.v1.exchange_pb2 import SharedAlert
from rtcc.registry.v1 import registry_pb2, registry_pb2_grpc
from rtcc.registry.v1.registry_pb2 import Agency, Agreement, Camera, Person
from rtcc.video.v1 import video_pb2_grpc, wall_pb2_grpc
from rtcc.video.v1.video_pb2 import CameraHealth
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import RtccError, from_rpc
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import read
from rtcc_video.app import Rights, VideoApp
from rtcc_video.cascade.service import Cascade
from rtcc_video.domain import CameraState, StreamAddresses, View
from rtcc_video.drone_video import DroneVideos
from rtcc_video.engine.accelerator import Accelerator, HelperUnavailable, load
from rtcc_video.engine.endpoint import Endpoint
from rtcc_video.engine.viewer import CloseReason, ViewerCounters
from rtcc_video.events import SESSION_SUBJECT, EndedViews, ended_session, health_subject, publish_drone_videos, publish_health
from rtcc_video.feeds import Feeds, ReadAddresses
from rtcc_video.hls.service import serve_hls
from rtcc_video.onvif.service import serve_devices
from rtcc_video.publications import Publications
from rtcc_video.recording.service import serve_footage
from rtcc_video.rpc import VideoServicer, read_health, viewer_messages
from rtcc_video.settings import VideoSettings
from rtcc_video.snapshots import Snapshots
from rtcc_video.sound_policy import SoundPolicy
from rtcc_video.sources.source import SourceFailed
from rtcc_video.walls.rpc import WallServicer
from rtcc_video.walls.store import WallStore
from rtcc_video.walls.walls import Walls

_log = logging.getLogger(__name__)

_HEALTH_TICK_S = 1.0
_HEALTH_REPEAT_TICKS = 10
_ADDRESS_CALLS_AT_ONCE = 8

VIEWERS = Gauge("rtcc_video_viewers", "Open live views.")
LIMITED = Gauge("rtcc_video_viewers_limited", "Open live views that get less than the whole stream, for their network carries no more.")
PUBLISHERS = Gauge("rtcc_video_publishers", "Devices and people that send pictures by themselves.")
CONVERTERS = Gauge("rtcc_video_converters", "Streams that are converted to H.264 now.")
CONVERTER_CORES = Gauge("rtcc_video_converter_cores", "Processor cores that their processes use.")
CAMERAS = Gauge("rtcc_video_cameras", "Cameras by state.", ["state"])
SOUND_CAMERAS = Gauge("rtcc_video_sound_cameras", "Cameras whose sound is allowed by their agency.")
SOUND_LISTENERS = Gauge("rtcc_video_sound_listeners", "Who hears cameras: viewers, recorders and other relays.")
DROPPED = Counter("rtcc_video_packets_dropped", "Packets that the network didn't take, counted when a view ends.")
RESENT = Counter("rtcc_video_packets_resent", "Packets resent to viewers who missed them, counted when a view ends.")
LOOP_LAG = Gauge("rtcc_video_loop_lag_seconds", "How late the last tick was: delay that viewers see.")


async def serve(ctx: ServiceContext) -> None:
    """Runs the service for the life of the process."""
    settings = read(VideoSettings, ctx.name)
    cameras = ctx.directory.mirror("camera", Camera)
    agencies = ctx.directory.mirror("agency", Agency)
    agreements = ctx.directory.mirror("agreement", Agreement)
    people = ctx.directory.mirror("person", Person)
    accelerator = await _accelerator(settings)
    endpoint = Endpoint(settings.endpoint(), accelerator=accelerator)
    addresses = _address_reader(ctx)
    cascade = Cascade(ctx, settings, endpoint)
    placement = cascade.placement
    feeds = Feeds(settings, addresses, elsewhere=cascade.elsewhere, accelerator=accelerator)
    feeds.sound_allowed = SoundPolicy(agencies, by_policy=settings.sound_by_policy()).allows
    drone_videos = DroneVideos()
    feeds.on_metadata = lambda agency_id, camera_id, data: drone_videos.take(agency_id, camera_id, data, ctx.clock(), time.monotonic())
    snapshots = Snapshots(settings.snapshot_width_px, settings.snapshot_age_s, time.monotonic)
    # an entry for each open alert that the exchange shares: some agreements grant cameras only then
    shared_alerts = ctx.directory.mirror("shared_alert", SharedAlert)
    ended = EndedViews(ctx.access)
    rights = Rights(ctx.access, cameras, agreements, people, ctx.clock)
    rights.open_shared_agreements = lambda: frozenset(shared.agreement_id for shared in shared_alerts.values())

    def on_ended(view: View, reason: CloseReason, counters: ViewerCounters) -> None:
        DROPPED.inc(counters.packets_dropped)
        RESENT.inc(counters.packets_resent)
        ended.put(view, reason, counters)

    app = VideoApp(settings, rights, feeds, endpoint, snapshots, ctx.clock, on_ended, placement)

    publications = Publications(
        settings.publisher_limit,
        settings.publisher(),
        rights,
        feeds,
        endpoint,
        ctx.clock,
        asyncio.get_running_loop().call_later,
        ended.put_publication,
        placement.relay_id,
    )
    placement.on_claim(lambda camera_ids: publications.end_cameras(camera_ids, CloseReason.REPLACED))

    def recheck(concerned: Callable[[View], bool]) -> None:
        app.end_views_without_right(concerned)

    async def on_session(message: Msg) -> None:
        session_id = ended_session(message.data)
        if session_id is not None:
            app.end_session(session_id)
            publications.end_session(session_id)

    async def leave() -> None:
        def held() -> int:
            # what devices send here is taken by others up to the end
            taken = cascade.origin.taken(besides=publications.camera_ids) if cascade.origin is not None else 0
            return len(app.views) + taken

        await cascade.leave(held, lambda: publications.end_cameras(publications.camera_ids, CloseReason.SHUTDOWN))

    live_hls = serve_hls(ctx, settings, app, rights)

    async def stop() -> None:
        await cascade.stop()
        live_hls.end_all()
        await endpoint.stop()
        await feeds.stop()
        await snapshots.stop()
        await ended.flush()

    await endpoint.start()
    ctx.lifecycle.on_drain(stop)
    ctx.lifecycle.on_departure(leave, settings.drain_s)
    await cascade.settle()
    await agencies.ready()
    await cameras.ready()
    await agreements.ready()
    for camera in cameras.values():
        feeds.apply(camera.camera_id, camera)

    def on_camera(camera_id: str, old: Camera | None, new: Camera | None) -> None:
        if new is None:
            drone_videos.forget(camera_id)
        if new is None or not new.enabled:
            app.forget_health(camera_id)
        feeds.apply(camera_id, new)
        recheck(lambda view: view.camera_id == camera_id)
        ctx.lifecycle.spawn(publications.recheck(camera_id), f"video-recheck-{camera_id}")

    def on_person(person_id: str, old: Person | None, new: Person | None) -> None:
        recheck(lambda view: view.scope.principal_id == person_id)
        publications.end_person(lambda scope: scope.principal_id == person_id)

    async def on_health(message: Msg) -> None:
        told = CameraHealth.FromString(message.data)
        if not feeds.is_here(told.camera_id):
            app.hear_health(read_health(told))

    await ctx.bus.subscribe_core(SESSION_SUBJECT, on_session)
    if not placement.alone:
        await ctx.bus.subscribe_core(health_subject("*"), on_health)
    cameras.on_change(on_camera)
    agencies.on_change(lambda agency_id, old, new: feeds.follow_sound(agency_id))
    agreements.on_change(lambda identifier, old, new: recheck(lambda view: view.scope.agency_id != view.owner_agency_id))
    shared_alerts.on_change(lambda identifier, old, new: recheck(lambda view: view.scope.agency_id != view.owner_agency_id))
    people.on_change(on_person)
    ctx.lifecycle.spawn(ended.run(), "video-ended-views")
    ctx.lifecycle.spawn(_tick_forever(ctx, app, feeds, publications, snapshots), "video-tick")
    ctx.lifecycle.spawn(publish_drone_videos(ctx.bus, drone_videos), "video-drone-videos")
    recordings = await serve_footage(ctx, settings, feeds, rights, snapshots, cascade.elsewhere)
    await cascade.serve(feeds, rights, lambda scope: viewer_messages(app.list_viewers(scope)), recordings)
    if cascade.origin is not None:
        app.watched_elsewhere = cascade.origin.viewers
    control = await serve_devices(ctx, settings, rights, addresses, cameras, people)
    app.controlled_by = control.holder_name
    ctx.rpc.add(video_pb2_grpc.add_VideoServiceServicer_to_server, VideoServicer(app, publications, cascade.elsewhere.describe))
    ctx.rpc.add(wall_pb2_grpc.add_WallServiceServicer_to_server, WallServicer(Walls(WallStore(ctx.database), rights.shows, ctx.clock)))
    ctx.lifecycle.ready()
    await ctx.lifecycle.stopping.wait()


async def _accelerator(settings: VideoSettings) -> Accelerator | None:
    """The C helper, where it is wanted and can be had; building it takes a second, once."""
    if settings.accelerate() == "off":
        return None
    try:
        return await asyncio.to_thread(load)
    except HelperUnavailable as reason:
        _log.info("cameras and viewers are served without the C helper, at about twice the cost: %s", reason)
        return None


def _address_reader(ctx: ServiceContext) -> ReadAddresses:
    at_once = asyncio.Semaphore(_ADDRESS_CALLS_AT_ONCE)

    async def read_addresses(agency_id: str, camera_id: str) -> StreamAddresses:
        request = registry_pb2.GetCameraStreamRequest(camera_id=camera_id)
        async with at_once:
            try:
                stub = ctx.channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)
                metadata = ctx.tokens.metadata(Scope.service(ctx.name, agency_id))
                response = await stub.GetCameraStream(request, metadata=metadata)
            except grpc.RpcError as error:
                raise SourceFailed(f"The registry doesn't give the camera's stream address: {from_rpc(error).message}") from error
            except RtccError as error:
                raise SourceFailed(f"The registry doesn't give the camera's stream address: {error.message}") from error
        further = {stream.stream_id: stream.stream_url for stream in response.streams}
        return StreamAddresses(response.stream_url, further, response.publish_key_sha256, response.control_url)

    return read_addresses


async def _tick_forever(ctx: ServiceContext, app: VideoApp, feeds: Feeds, publications: Publications, snapshots: Snapshots) -> None:
    """Once a second: health and its changes, rights that end by the clock, the idle snapshot child."""
    ticks = 0
    while True:
        due_s = time.monotonic() + _HEALTH_TICK_S
        await asyncio.sleep(_HEALTH_TICK_S)
        LOOP_LAG.set(max(0.0, time.monotonic() - due_s))
        ticks += 1
        changed = app.measure()
        await publish_health(ctx.bus, app.health() if ticks % _HEALTH_REPEAT_TICKS == 0 else changed)
        app.end_views_without_right(lambda view: view.scope.agency_id != view.owner_agency_id)
        await snapshots.end_when_idle()
        VIEWERS.set(len(app.views))
        LIMITED.set(app.limited_views())
        PUBLISHERS.set(len(publications))
        CONVERTERS.set(sum(health.transcoder_cores > 0 for health in app.health()))
        CONVERTER_CORES.set(sum(health.transcoder_cores for health in app.health()))
        SOUND_CAMERAS.set(sum(health.sound_allowed for health in app.health()))
        SOUND_LISTENERS.set(feeds.sound_listeners())
        for state in CameraState:
            CAMERAS.labels(state.value).set(sum(health.state is state for health in app.health()))
