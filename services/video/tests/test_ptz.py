"""Who moves a camera: on the real service, with a device that moves."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rtcc.registry.v1.registry_pb2 import Camera, Person
from rtcc.video.v1 import onvif_pb2, onvif_pb2_grpc, ptz_pb2, ptz_pb2_grpc
from rtcc.video.v1 import video_pb2 as pb
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, PurposeRequired, Refused, Unavailable, from_rpc
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import person, poll
from rtcc_demo.onvif_server import OnvifServer, Picture
from rtcc_video.onvif.lease_store import LeaseStore
from rtcc_video.onvif.leases import LEASE, LONGEST, new_lease

from .center import Center, Registry

FIRST = replace(person("east", "operator", name="First Operator", purpose="search", case_number="E-1"), session_id="first")
SECOND = replace(person("east", "operator", name="Second Operator", purpose="search", case_number="E-2"), session_id="second")
SUPERVISOR = replace(person("east", "supervisor", name="The Supervisor", purpose="search", case_number="E-3"), session_id="third")
STRANGER = person("west", "operator", "supervisor", name="West Operator", purpose="search", case_number="W-1")
PICTURES = [Picture("main", "rtsp://10.1.1.1/main", "H264", 1920, 1080, 4000), Picture("low", "rtsp://10.1.1.1/low", movable=False)]


@dataclass
class Yard:
    """A camera that moves, and the calls about it."""

    center: Center
    device: OnvifServer

    async def ask(self, scope: Scope, method: str, request: Any) -> Any:
        channel = self.center.context.channels.channel("video")
        stub = onvif_pb2_grpc.OnvifServiceStub(channel) if method.endswith("Device") else ptz_pb2_grpc.PtzServiceStub(channel)
        try:
            return await getattr(stub, method)(request, metadata=self.center.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from error

    async def take(self, scope: Scope, *, over: bool = False) -> ptz_pb2.TakeControlResponse:
        if over:
            return await self.ask(scope, "TakeOverControl", ptz_pb2.TakeOverControlRequest(camera_id="yard"))
        return await self.ask(scope, "TakeControl", ptz_pb2.TakeControlRequest(camera_id="yard"))

    async def move(self, scope: Scope, lease_id: str, **movement: Any) -> None:
        movement = movement or {"continuous": ptz_pb2.PtzVector(pan=0.5)}
        await self.ask(scope, "MoveCamera", ptz_pb2.MoveCameraRequest(camera_id="yard", lease_id=lease_id, **movement))

    async def holder(self) -> str:
        answer = await self.center.call(FIRST, "ListCameraHealth", pb.ListCameraHealthRequest())
        return next((health.controlled_by for health in answer.cameras if health.camera_id == "yard"), "")

    async def until_holder(self, name: str) -> None:
        async def ask() -> bool:
            return await self.holder() == name

        await poll(ask)

    async def until_still(self) -> None:
        async def ask() -> bool:
            return not self.device.moving

        await poll(ask, deadline_s=5)


@pytest_asyncio.fixture
async def yard(center: Center) -> AsyncIterator[Yard]:
    async with OnvifServer(PICTURES, "mover", "s&<ret") as device:
        Registry.controls = {"yard": f"onvif://mover:s%26%3Cret@127.0.0.1:{device.port}/onvif/device_service?profile=main"}
        Registry.addresses["yard"] = Registry.addresses["c1"]
        camera = Camera(camera_id="yard", agency_id="east", name="Yard", enabled=True, has_stream=True, movable=True)
        await center.store("camera", "east", "yard", camera)
        found = Yard(center, device)

        async def there() -> bool:
            answer = await center.call(FIRST, "ListCameraHealth", pb.ListCameraHealthRequest())
            return any(health.camera_id == "yard" for health in answer.cameras)

        await poll(there)
        yield found


async def test_one_person_moves_a_camera_and_everybody_sees_who(yard: Yard) -> None:
    taken = await yard.take(FIRST)
    lease_id = taken.control.lease_id
    assert (taken.control.holder_name, [preset.name for preset in taken.presets]) == ("First Operator", ["Gate", "Yard & door"])
    assert 0 < taken.control.until.seconds - taken.control.since.seconds <= LEASE.seconds
    assert taken.control.ends_at.seconds - taken.control.since.seconds == LONGEST.seconds
    await yard.until_holder("First Operator")
    await yard.move(FIRST, lease_id)
    assert yard.device.moving
    await yard.move(FIRST, lease_id, stop=True)
    assert not yard.device.moving
    await yard.move(FIRST, lease_id, absolute=ptz_pb2.PtzVector(pan=-0.5, tilt=0.25, zoom=1.0))
    assert yard.device.place == (-0.5, 0.25, 1.0)
    await yard.move(FIRST, lease_id, preset="2")
    assert yard.device.place[0] == pytest.approx(0.2)
    with pytest.raises(Conflict, match="First Operator moves this camera"):
        await yard.take(SECOND)
    with pytest.raises(Conflict, match="is over"):
        await yard.move(SECOND, lease_id)
    renewed = await yard.ask(FIRST, "RenewControl", ptz_pb2.RenewControlRequest(camera_id="yard", lease_id=lease_id))
    assert renewed.control.until.ToMicroseconds() > taken.control.until.ToMicroseconds()
    await yard.move(FIRST, lease_id)
    await yard.ask(FIRST, "ReleaseControl", ptz_pb2.ReleaseControlRequest(camera_id="yard", lease_id=lease_id))
    assert not yard.device.moving
    await yard.until_holder("")
    # R8, R18: why it was taken, and what was done with it
    taking = await yard.center.audited("camera.take_control", principal_id=FIRST.principal_id)
    assert (taking.purpose, taking.case_number, list(taking.object_ids)) == ("search", "E-1", ["camera:yard"])
    ended = await yard.center.audited("camera.control_ended", principal_id=FIRST.principal_id)
    assert "given back; 4 movements" in ended.reason and (ended.case_number, ended.owner_agency_id) == ("E-1", "east")


async def test_a_supervisor_takes_over_and_what_moved_stands_still(yard: Yard) -> None:
    lease_id = (await yard.take(FIRST)).control.lease_id
    await yard.move(FIRST, lease_id)
    with pytest.raises(Refused):
        await yard.take(SECOND, over=True)
    taken = await yard.take(SUPERVISOR, over=True)
    assert not yard.device.moving
    with pytest.raises(Conflict):
        await yard.move(FIRST, lease_id)
    await yard.move(SUPERVISOR, taken.control.lease_id)
    await yard.until_holder("The Supervisor")
    assert "taken over" in (await yard.center.audited("camera.control_ended", principal_id=FIRST.principal_id)).reason


@pytest.mark.parametrize("how", ["session", "person", "camera"])
async def test_who_loses_session_right_or_camera_loses_the_control(yard: Yard, how: str) -> None:  # R3
    lease_id = (await yard.take(FIRST)).control.lease_id
    known = Person(person_id=FIRST.principal_id, agency_id="east", roles=["operator"], enabled=True)
    await yard.center.store("person", "east", FIRST.principal_id, known)
    # one more turn of the directory before the change: a mirror tells changes of what it knows
    await yard.until_holder("First Operator")
    # longer than the device's own watch, so that it is our stop that is seen
    await yard.move(FIRST, lease_id, continuous=ptz_pb2.PtzVector(pan=0.5))
    before = yard.device.calls.count("Stop")
    if how == "session":
        await yard.center.context.bus.publish_core("gateway.session", b'{"session_id": "first", "reason": "locked"}')
    elif how == "person":
        known.roles[:] = ["auditor"]
        await yard.center.store("person", "east", FIRST.principal_id, known)
    else:
        await yard.center.store("camera", "east", "yard", Camera(camera_id="yard", agency_id="east", enabled=True, has_stream=True))

    async def stopped() -> bool:
        return yard.device.calls.count("Stop") > before and not yard.device.moving

    await poll(stopped, deadline_s=5)
    ended = await yard.center.audited("camera.control_ended", principal_id=FIRST.principal_id)
    reason = {"session": "the session ended", "person": "the rights changed", "camera": "the camera was changed"}[how]
    assert ended.reason.startswith(reason)


async def test_a_lost_connection_stops_the_camera(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("leases", "lease_store"):
        monkeypatch.setattr(f"rtcc_video.onvif.{module}.LEASE", timedelta(seconds=1))
    lease_id = (await yard.take(FIRST)).control.lease_id
    await yard.move(FIRST, lease_id)
    # nothing more is heard of the console: the device's own watch ends the movement, the sweep the lease
    await yard.until_still()
    await yard.center.audited("camera.control_ended", principal_id=FIRST.principal_id)
    await yard.until_holder("")
    with pytest.raises(Conflict, match="is over"):
        await yard.move(FIRST, lease_id)


async def test_who_may_not_and_what_cannot(yard: Yard) -> None:
    with pytest.raises(PurposeRequired):
        await yard.take(replace(FIRST, purpose="", case_number=""))
    for scope in (STRANGER, person("east", "auditor", purpose="search", case_number="1")):
        with pytest.raises(Refused):
            await yard.take(scope)
    with pytest.raises(InvalidInput, match="can't be moved"):
        await yard.ask(FIRST, "TakeControl", ptz_pb2.TakeControlRequest(camera_id="c1"))
    with pytest.raises(NotFound):
        await yard.ask(FIRST, "TakeControl", ptz_pb2.TakeControlRequest(camera_id="nowhere"))
    lease_id = (await yard.take(FIRST)).control.lease_id
    for movement in ({"continuous": ptz_pb2.PtzVector(pan=1.5)}, {"absolute": ptz_pb2.PtzVector(zoom=-0.1)}, {"preset": ""}):
        with pytest.raises(InvalidInput):
            await yard.move(FIRST, lease_id, **movement)
    with pytest.raises(InvalidInput, match="is needed"):
        await yard.ask(FIRST, "MoveCamera", ptz_pb2.MoveCameraRequest(camera_id="yard", lease_id=lease_id))
    with pytest.raises(Conflict, match="no such preset"):
        await yard.move(FIRST, lease_id, preset="99")
    Registry.controls["yard"] = "onvif://mover:wrong@127.0.0.1:9/onvif/device_service?profile=main"
    await yard.center.store(
        "camera", "east", "yard", Camera(camera_id="yard", agency_id="east", enabled=True, has_stream=True, movable=True, name="Moved")
    )

    async def away() -> bool:
        try:
            await yard.take(FIRST)
        except Unavailable as error:
            assert "wrong" not in error.message
            return True
        return False

    await poll(away)
    # nobody holds what can't be moved
    await yard.until_holder("")


async def test_two_who_take_at_once_get_one_lease(yard: Yard) -> None:
    taken = await asyncio.gather(*(yard.take(scope) for scope in (FIRST, SECOND, FIRST, SECOND)), return_exceptions=True)
    names = {answer.control.holder_name for answer in taken if not isinstance(answer, BaseException)}
    assert len(names) == 1
    assert any(isinstance(answer, Conflict) for answer in taken)


async def test_a_lease_never_lasts_longer_than_ten_minutes(yard: Yard) -> None:
    store, now = LeaseStore(yard.center.context.database), yard.center.context.clock()
    lease = new_lease(FIRST, "other", "east", "l1", now - LONGEST + timedelta(seconds=5))
    await store.take(FIRST, replace(lease, until=now + timedelta(seconds=2)), take_over=False)
    extended = await store.extend(FIRST, "other", "l1", now, movements=0)
    assert extended is not None and extended.until == lease.ends_at
    assert await store.extend(SECOND, "other", "l1", now, movements=0) is None
    assert await store.extend(STRANGER, "other", "l1", now, movements=0) is None


async def test_an_administrator_reads_a_device_and_nobody_else(yard: Yard) -> None:
    administrator = person("east", "administrator", name="Administrator")
    request = onvif_pb2.ReadDeviceRequest(address=f"127.0.0.1:{yard.device.port}", username="mover", password="s&<ret")
    told = await yard.ask(administrator, "ReadDevice", request)
    assert (told.manufacturer, told.model) == ("Invented & Sons", "RT-1")
    assert [(profile.token, profile.width_px, profile.stream_url, bool(profile.control_url)) for profile in told.profiles] == [
        ("main", 1920, "rtsp://127.0.0.1/main", True), ("low", 1280, "rtsp://127.0.0.1/low", False),
    ]  # fmt: skip
    entry = await yard.center.audited("camera.read_device", principal_id=administrator.principal_id)
    assert list(entry.object_ids) == [f"device:127.0.0.1:{yard.device.port}"]
    assert "ret" not in str(entry)
    with pytest.raises(Refused):
        await yard.ask(FIRST, "ReadDevice", request)
    with pytest.raises(InvalidInput):
        await yard.ask(administrator, "ReadDevice", onvif_pb2.ReadDeviceRequest(address="http://"))
    with pytest.raises(InvalidInput, match="password: The device refuses user name or password"):
        await yard.ask(administrator, "ReadDevice", onvif_pb2.ReadDeviceRequest(address=f"127.0.0.1:{yard.device.port}"))
