"""Who moves a camera: on the real service, with a device that moves."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rtcc.ledger.v1.ledger_pb2 import OUTCOME_ALLOWED
from rtcc.registry.v1.registry_pb2 import Agreement, Camera, Person
from rtcc.video.v1 import onvif_pb2, onvif_pb2_grpc, ptz_pb2, ptz_pb2_grpc
from rtcc.video.v1 import video_pb2 as pb
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, PurposeRequired, Refused, Unavailable, from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import Servers, person, poll, test_platform
from rtcc_demo.onvif_server import OnvifServer, Picture
from rtcc_video.app import Rights
from rtcc_video.domain import StreamAddresses
from rtcc_video.onvif.control import Control
from rtcc_video.onvif.device import Reach
from rtcc_video.onvif.lease_store import LeaseStore
from rtcc_video.onvif.leases import LEASE, LONGEST, new_lease
from rtcc_video.onvif.rpc import OnvifServicer

from .center import Center, Registry, serving

STRANGER = person("west", "operator", "supervisor", name="West Operator", purpose="search", case_number="W-1")
PICTURES = [Picture("main", "rtsp://10.1.1.1/main", "H264", 1920, 1080, 4000), Picture("low", "rtsp://10.1.1.1/low", movable=False)]


def somebody(role: str, name: str, case_number: str) -> Scope:
    """A person of the owner that nobody heard of before, in a session of its own."""
    known = person("east", role, name=name, purpose="search", case_number=case_number)
    return replace(known, principal_id=new_id(), session_id=new_id())


@dataclass
class Yard:
    """A camera that moves, and the calls about it."""

    center: Center
    device: OnvifServer
    first: Scope
    second: Scope
    supervisor: Scope

    async def set_up(self, name: str) -> None:
        """The camera can be moved; known to the service when it returns."""
        camera = Camera(camera_id="yard", agency_id="east", name=name, enabled=True, has_stream=True, movable=True)
        await self.center.store("camera", "east", "yard", camera)
        mirror = self.center.context.directory.mirror("camera", Camera)

        async def there() -> bool:
            known = mirror.get("yard")
            health = (await self.center.call(self.first, "ListCameraHealth", pb.ListCameraHealthRequest())).cameras
            return known is not None and known.name == name and any(one.camera_id == "yard" for one in health)

        await poll(there)

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
        answer = await self.center.call(self.first, "ListCameraHealth", pb.ListCameraHealthRequest())
        return next((health.controlled_by for health in answer.cameras if health.camera_id == "yard"), "")

    async def until_holder(self, name: str) -> None:
        async def ask() -> bool:
            return await self.holder() == name

        await poll(ask)

    async def until_still(self) -> None:
        async def ask() -> bool:
            return not self.device.moving

        await poll(ask)


@pytest_asyncio.fixture(scope="module")
async def running(servers: Servers, make_clip: Any) -> AsyncIterator[tuple[Center, OnvifServer]]:
    """One platform and one device for all tests here."""
    async with test_platform(servers) as platform, OnvifServer(PICTURES, "mover", "s&<ret") as device:
        with pytest.MonkeyPatch.context() as monkeypatch:
            async with serving(platform, make_clip, monkeypatch) as center:
                yield center, device


@pytest_asyncio.fixture
async def yard(running: tuple[Center, OnvifServer]) -> AsyncIterator[Yard]:
    """The camera as it was set up, people that no other test knows, and nobody who moves anything."""
    center, device = running
    Registry.controls = {"yard": f"onvif://mover:s%26%3Cret@127.0.0.1:{device.port}/onvif/device_service?profile=main"}
    Registry.addresses["yard"] = Registry.addresses["c1"]
    found = Yard(
        center,
        device,
        somebody("operator", "First Operator", "E-1"),
        somebody("operator", "Second Operator", "E-2"),
        somebody("supervisor", "The Supervisor", "E-3"),
    )
    await found.set_up("Yard " + new_id())
    yield found
    await LeaseStore(center.context.database).end(Scope.platform("video"), camera_id="yard")


async def test_one_person_moves_a_camera_and_everybody_sees_who(yard: Yard) -> None:
    taken = await yard.take(yard.first)
    lease_id = taken.control.lease_id
    assert (taken.control.holder_name, [preset.name for preset in taken.presets]) == ("First Operator", ["Gate", "Yard & door"])
    assert 0 < taken.control.until.seconds - taken.control.since.seconds <= LEASE.seconds
    assert taken.control.ends_at.seconds - taken.control.since.seconds == LONGEST.seconds
    await yard.until_holder("First Operator")
    await yard.move(yard.first, lease_id)
    assert yard.device.moving
    await yard.move(yard.first, lease_id, stop=True)
    assert not yard.device.moving
    await yard.move(yard.first, lease_id, absolute=ptz_pb2.PtzVector(pan=-0.5, tilt=0.25, zoom=1.0))
    assert yard.device.place == (-0.5, 0.25, 1.0)
    await yard.move(yard.first, lease_id, preset="2")
    assert yard.device.place[0] == pytest.approx(0.2)
    with pytest.raises(Conflict, match="First Operator moves this camera"):
        await yard.take(yard.second)
    with pytest.raises(Conflict, match="is over"):
        await yard.move(yard.second, lease_id)
    renewed = await yard.ask(yard.first, "RenewControl", ptz_pb2.RenewControlRequest(camera_id="yard", lease_id=lease_id))
    assert renewed.control.until.ToMicroseconds() > taken.control.until.ToMicroseconds()
    await yard.move(yard.first, lease_id)
    await yard.ask(yard.first, "ReleaseControl", ptz_pb2.ReleaseControlRequest(camera_id="yard", lease_id=lease_id))
    assert not yard.device.moving
    await yard.until_holder("")
    # R8, R18: why it was taken, and what was done with it
    taking = await yard.center.audited("camera.take_control", principal_id=yard.first.principal_id)
    assert (taking.purpose, taking.case_number, list(taking.object_ids)) == ("search", "E-1", ["camera:yard"])
    ended = await yard.center.audited("camera.control_ended", principal_id=yard.first.principal_id)
    assert "given back; 4 movements" in ended.reason and (ended.case_number, ended.owner_agency_id) == ("E-1", "east")


async def test_who_moves_a_camera_stores_a_place_and_takes_one_away(yard: Yard) -> None:
    def storing(lease_id: str, name: str, token: str = "") -> ptz_pb2.SetPresetRequest:
        return ptz_pb2.SetPresetRequest(camera_id="yard", lease_id=lease_id, name=name, token=token)

    lease_id = (await yard.take(yard.first)).control.lease_id
    await yard.move(yard.first, lease_id, absolute=ptz_pb2.PtzVector(pan=0.4, tilt=0.3))
    stored = await yard.ask(yard.first, "SetPreset", storing(lease_id, " Bay 4 "))
    assert [preset.name for preset in stored.presets] == ["Gate", "Yard & door", "Bay 4"]
    await yard.move(yard.first, lease_id, absolute=ptz_pb2.PtzVector())
    await yard.move(yard.first, lease_id, preset=stored.token)
    assert yard.device.place[:2] == pytest.approx((0.4, 0.3))
    renamed = await yard.ask(yard.first, "SetPreset", storing(lease_id, "Bay 5", stored.token))
    assert [preset.name for preset in renamed.presets] == ["Gate", "Yard & door", "Bay 5"]
    # nobody else while the lease lasts, and nobody without the right
    removing = ptz_pb2.RemovePresetRequest(camera_id="yard", lease_id=lease_id, token=stored.token)
    for method, request in (("SetPreset", storing(lease_id, "Mine")), ("RemovePreset", removing)):
        with pytest.raises(Conflict, match="is over"):
            await yard.ask(yard.second, method, request)
        for stranger in (STRANGER, person("east", "auditor", purpose="search", case_number="1")):
            with pytest.raises(Refused):
                await yard.ask(stranger, method, request)
    for name, token, error in (
        ("", "", InvalidInput), ("x" * 65, "", InvalidInput), ("a\nb", "", InvalidInput), ("New", "77", Conflict), ("Gate", "", Conflict),
    ):  # fmt: skip
        with pytest.raises(error):
            await yard.ask(yard.first, "SetPreset", storing(lease_id, name, token))
    left = await yard.ask(yard.first, "RemovePreset", removing)
    assert [preset.name for preset in left.presets] == ["Gate", "Yard & door"]
    with pytest.raises(Conflict, match="no such preset"):
        await yard.ask(yard.first, "RemovePreset", removing)
    # R8: what the device remembers is changed for everybody, and the log says by whom and what

    def told(action: str) -> list[tuple[Any, ...]]:
        entries = [entry for entry in yard.center.audit if (entry.action, entry.principal_id) == (action, yard.first.principal_id)]
        changes = [entry for entry in entries if entry.outcome == OUTCOME_ALLOWED]
        assert all(list(entry.object_ids) == ["camera:yard"] for entry in changes)
        return [tuple(json.loads(value)["preset"] for value in (entry.old_value, entry.new_value)) for entry in changes]

    async def all_told() -> bool:
        return (told("camera.set_preset"), told("camera.remove_preset")) == ([("", "Bay 4"), ("Bay 4", "Bay 5")], [("Bay 5", "")])

    await poll(all_told)


async def test_a_supervisor_takes_over_and_what_moved_stands_still(yard: Yard) -> None:
    lease_id = (await yard.take(yard.first)).control.lease_id
    await yard.move(yard.first, lease_id)
    with pytest.raises(Refused):
        await yard.take(yard.second, over=True)
    taken = await yard.take(yard.supervisor, over=True)
    assert not yard.device.moving
    with pytest.raises(Conflict):
        await yard.move(yard.first, lease_id)
    await yard.move(yard.supervisor, taken.control.lease_id)
    await yard.until_holder("The Supervisor")
    assert "taken over" in (await yard.center.audited("camera.control_ended", principal_id=yard.first.principal_id)).reason


@pytest.mark.parametrize("how", ["session", "person", "camera"])
async def test_who_loses_session_right_or_camera_loses_the_control(yard: Yard, how: str) -> None:  # R3
    lease_id = (await yard.take(yard.first)).control.lease_id
    known = Person(person_id=yard.first.principal_id, agency_id="east", roles=["operator"], enabled=True)
    await yard.center.store("person", "east", yard.first.principal_id, known)
    # one more turn of the directory before the change: a mirror tells changes of what it knows
    await yard.until_holder("First Operator")
    # longer than the device's own watch, so that it is our stop that is seen
    await yard.move(yard.first, lease_id, continuous=ptz_pb2.PtzVector(pan=0.5))
    before = yard.device.calls.count("Stop")
    if how == "session":
        await yard.center.context.bus.publish_core(
            "gateway.session", json.dumps({"session_id": yard.first.session_id, "reason": "locked"}).encode()
        )
    elif how == "person":
        known.roles[:] = ["auditor"]
        await yard.center.store("person", "east", yard.first.principal_id, known)
    else:
        await yard.center.store("camera", "east", "yard", Camera(camera_id="yard", agency_id="east", enabled=True, has_stream=True))

    async def stopped() -> bool:
        return yard.device.calls.count("Stop") > before and not yard.device.moving

    await poll(stopped)
    ended = await yard.center.audited("camera.control_ended", principal_id=yard.first.principal_id)
    reason = {"session": "the session ended", "person": "the rights changed", "camera": "the camera was changed"}[how]
    assert ended.reason.startswith(reason)


async def test_a_lost_connection_stops_the_camera(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    lease_id = (await yard.take(yard.first)).control.lease_id
    # the movement is what extends it last
    for module in ("leases", "lease_store"):
        monkeypatch.setattr(f"rtcc_video.onvif.{module}.LEASE", timedelta(seconds=1))
    await yard.move(yard.first, lease_id)
    # nothing more is heard of the console: the device's own watch ends the movement, the sweep the lease
    await yard.until_still()
    await yard.center.audited("camera.control_ended", principal_id=yard.first.principal_id)
    await yard.until_holder("")
    with pytest.raises(Conflict, match="is over"):
        await yard.move(yard.first, lease_id)


async def test_who_may_not_and_what_cannot(yard: Yard) -> None:
    with pytest.raises(PurposeRequired):
        await yard.take(replace(yard.first, purpose="", case_number=""))
    for scope in (STRANGER, person("east", "auditor", purpose="search", case_number="1")):
        with pytest.raises(Refused):
            await yard.take(scope)
    with pytest.raises(InvalidInput, match="can't be moved"):
        await yard.ask(yard.first, "TakeControl", ptz_pb2.TakeControlRequest(camera_id="c1"))
    with pytest.raises(NotFound):
        await yard.ask(yard.first, "TakeControl", ptz_pb2.TakeControlRequest(camera_id="nowhere"))
    lease_id = (await yard.take(yard.first)).control.lease_id
    for movement in ({"continuous": ptz_pb2.PtzVector(pan=1.5)}, {"absolute": ptz_pb2.PtzVector(zoom=-0.1)}, {"preset": ""}):
        with pytest.raises(InvalidInput):
            await yard.move(yard.first, lease_id, **movement)
    with pytest.raises(InvalidInput, match="is needed"):
        await yard.ask(yard.first, "MoveCamera", ptz_pb2.MoveCameraRequest(camera_id="yard", lease_id=lease_id))
    with pytest.raises(Conflict, match="no such preset"):
        await yard.move(yard.first, lease_id, preset="99")
    Registry.controls["yard"] = "onvif://mover:wrong@127.0.0.1:9/onvif/device_service?profile=main"
    await yard.center.store(
        "camera", "east", "yard", Camera(camera_id="yard", agency_id="east", enabled=True, has_stream=True, movable=True, name="Moved")
    )

    async def away() -> bool:
        try:
            await yard.take(yard.first)
        except Unavailable as error:
            assert "wrong" not in error.message
            return True
        return False

    await poll(away)
    # nobody holds what can't be moved
    await yard.until_holder("")


async def test_two_who_take_at_once_get_one_lease(yard: Yard) -> None:
    taken = await asyncio.gather(
        *(yard.take(scope) for scope in (yard.first, yard.second, yard.first, yard.second)), return_exceptions=True
    )
    names = {answer.control.holder_name for answer in taken if not isinstance(answer, BaseException)}
    assert len(names) == 1
    assert any(isinstance(answer, Conflict) for answer in taken)


async def test_another_process_of_the_service_takes_over_too(yard: Yard) -> None:
    lease_id = (await yard.take(yard.first)).control.lease_id
    await yard.move(yard.first, lease_id)
    context = yard.center.context

    async def addresses(agency_id: str, camera_id: str) -> StreamAddresses:
        return StreamAddresses(control=Registry.controls[camera_id])

    cameras, agreements = context.directory.mirror("camera", Camera), context.directory.mirror("agreement", Agreement)
    rights = Rights(context.access, cameras, agreements, context.directory.mirror("person", Person), context.clock)
    other = Control(LeaseStore(context.database), rights, context.access, addresses, Reach(), context.clock)
    with pytest.raises(Conflict, match="First Operator moves this camera"):
        await other.take(yard.second, "yard", take_over=False)
    lease, _ = await other.take(yard.supervisor, "yard", take_over=True)
    assert not yard.device.moving
    with pytest.raises(Conflict, match="is over"):
        await yard.move(yard.first, lease_id)
    await yard.until_holder("The Supervisor")
    await other.release(yard.supervisor, "yard", lease.lease_id)


async def test_what_answers_to_a_probe_is_told(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtcc_video.onvif.rpc._DISCOVERY_S", 0.4)
    servicer = OnvifServicer(Reach(), ("127.0.0.1", yard.device.discovery_port), yard.center.context.clock)

    async def found() -> list[Any]:
        return list((await servicer.DiscoverDevices(onvif_pb2.DiscoverDevicesRequest(), None)).devices)

    (device,) = await poll(found)
    assert (device.address, device.name, device.hardware, device.location) == (yard.device.address, "Yard camera", "RT-1", "Harbour")


async def test_a_partner_sees_that_a_camera_moves_but_not_by_whom(yard: Yard) -> None:
    agreement = await yard.center.grant()
    agreement.camera_ids[:] = ["yard"]
    await yard.center.store("agreement", "east", "a1", agreement)
    await yard.take(yard.first)
    await yard.until_holder("First Operator")

    def shared(answer: pb.ListCameraHealthResponse) -> bool:
        return any(health.camera_id == "yard" and not health.controlled_by for health in answer.cameras)

    await yard.center.until(STRANGER, "ListCameraHealth", pb.ListCameraHealthRequest(), shared)
    # nor may it be moved under any agreement
    with pytest.raises(Refused):
        await yard.take(STRANGER)


async def test_a_lease_never_lasts_longer_than_ten_minutes(yard: Yard) -> None:
    store, now = LeaseStore(yard.center.context.database), yard.center.context.clock()
    lease = new_lease(yard.first, "other", "east", "l1", now - LONGEST + timedelta(seconds=5))
    await store.take(yard.first, replace(lease, until=now + timedelta(seconds=2)), take_over=False)
    extended = await store.extend(yard.first, "other", "l1", now, movements=0)
    assert extended is not None and extended.until == lease.ends_at
    assert await store.extend(yard.second, "other", "l1", now, movements=0) is None
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
        await yard.ask(yard.first, "ReadDevice", request)
    with pytest.raises(InvalidInput):
        await yard.ask(administrator, "ReadDevice", onvif_pb2.ReadDeviceRequest(address="http://"))
    with pytest.raises(InvalidInput, match="password: The device refuses user name or password"):
        await yard.ask(administrator, "ReadDevice", onvif_pb2.ReadDeviceRequest(address=f"127.0.0.1:{yard.device.port}"))
