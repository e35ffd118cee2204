"""Wiring of ONVIF devices inside the video service."""

from nats.aio.msg import Msg

from rtcc.registry.v1.registry_pb2 import Camera, Person
from rtcc.video.v1.onvif_pb2_grpc import add_OnvifServiceServicer_to_server
from rtcc.video.v1.ptz_pb2_grpc import add_PtzServiceServicer_to_server
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.directory import Mirror
from rtcc_video.app import Rights
from rtcc_video.events import SESSION_SUBJECT, ended_session
from rtcc_video.feeds import ReadAddresses
from rtcc_video.onvif.control import Control
from rtcc_video.onvif.lease_store import LeaseStore
from rtcc_video.onvif.rpc import OnvifServicer, PtzServicer
from rtcc_video.settings import VideoSettings


async def serve_devices(
    ctx: ServiceContext,
    settings: VideoSettings,
    rights: Rights,
    addresses: ReadAddresses,
    cameras: Mirror[Camera],
    people: Mirror[Person],
) -> Control:
    """Adds the calls, and ends leases whose camera or person changed. The database is up to date."""
    control = Control(LeaseStore(ctx.database), rights, ctx.access, addresses, settings.reach(), ctx.clock)
    ctx.rpc.add(add_OnvifServiceServicer_to_server, OnvifServicer(settings.reach(), settings.discovery_target(), ctx.clock))
    ctx.rpc.add(add_PtzServiceServicer_to_server, PtzServicer(control))

    def on_camera(camera_id: str, old: Camera | None, new: Camera | None) -> None:
        if (old is not None and old.movable) or (new is not None and new.movable):
            ctx.lifecycle.spawn(control.camera_changed(camera_id, new), f"video-control-{camera_id}")

    def on_person(person_id: str, old: Person | None, new: Person | None) -> None:
        if old is not None and (new is None or not new.enabled or set(old.roles) - set(new.roles)):
            ctx.lifecycle.spawn(control.end_person(person_id), f"video-control-of-{person_id}")

    async def on_session(message: Msg) -> None:
        session_id = ended_session(message.data)
        if session_id is not None:
            await control.end_session(session_id)

    await ctx.bus.subscribe_core(SESSION_SUBJECT, on_session)
    cameras.on_change(on_camera)
    people.on_change(on_person)
    ctx.lifecycle.spawn(control.run(), "video-control")
    return control
