"""Cameras, their streams and imports, over the registry's real API, on real PostgreSQL and NATS."""

import hashlib
import time
from pathlib import Path

import pytest

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import InvalidInput, NotFound, Refused
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.sealing import Seal
from rtcc_chassis.testing import person, poll
from rtcc_registry.app.reconciling import seal_plain_secrets
from rtcc_registry.store import RegistryStore

from .conftest import EAST, WEST, Registry, camera, holds, present


async def test_a_stream_address_leaves_to_the_video_service_alone(registry: Registry) -> None:
    url = "rtsp://user:hunter2@10.0.0.5/main"
    made = (await registry.call(WEST, "CreateCamera", camera=camera("Asema", camera_id="c1", stream_url=url))).camera
    assert made.has_stream and not made.stream_url
    cameras = registry.mirror("camera", pb.Camera)
    await poll(lambda: present(cameras, "c1"))
    assert b"hunter2" not in cameras.get("c1").SerializeToString()
    answer = await registry.call(Scope.platform("video"), "GetCameraStream", camera_id="c1")
    assert answer.stream_url == url
    for stranger in (WEST, Scope.platform("intake")):
        with pytest.raises(Refused):
            await registry.call(stranger, "GetCameraStream", camera_id="c1")
    assert not any("hunter2" in str(entry) for entry in await registry.audit("west"))


async def test_addresses_and_signing_keys_are_sealed_in_the_database(registry: Registry) -> None:
    url = "rtsp://user:hunter2@10.0.0.5/main"
    low = pb.CameraStream(stream_id="low", label="Low", role=pb.CAMERA_STREAM_ROLE_LOW, stream_url="rtsp://user:hunter3@10.0.0.5/sub")
    await registry.call(WEST, "CreateCamera", camera=camera("Asema", camera_id="c1", stream_url=url, streams=[low]))
    content = b"camera_id,name,latitude,longitude,stream_url\nc2,B,60.17,24.95,rtsp://user:hunter4@h/b\n"
    await registry.call(WEST, "ImportCameras", format="csv", content=content)
    made = await registry.call(WEST, "CreateSource", source=pb.Source(name="ALPR", adapter="plate_read", source_id="s1"))
    async with registry.context.database.transaction(Scope.platform("registry")) as connection:
        rows = await connection.fetch("select secret, record from camera union all select secret, record from source")
        kept = repr([(row["secret"], row["record"]) for row in rows])
        assert "hunter" not in kept and made.secret not in kept
        # what a version without sealing left is sealed at the next start
        await connection.execute("update camera set secret = 'rtsp://user:hunter5@h/old' where id = 'c2'")
    seal = Seal(Path(registry.context.settings.token_key_file).read_bytes(), "registry secrets")
    store = RegistryStore(registry.context.database, Outbox(registry.context.database, registry.context.bus), seal)
    assert (await seal_plain_secrets(store), await seal_plain_secrets(store)) == (1, 0)
    async with registry.context.database.transaction(Scope.platform("registry")) as connection:
        assert "hunter" not in await connection.fetchval("select secret from camera where id = 'c2'")
    video = Scope.platform("video")
    answer = await registry.call(video, "GetCameraStream", camera_id="c1")
    assert (answer.stream_url, answer.streams[0].stream_url) == (url, low.stream_url)
    assert (await registry.call(video, "GetCameraStream", camera_id="c2")).stream_url == "rtsp://user:hunter5@h/old"


async def test_further_streams_are_kept_by_their_id_and_never_shown(registry: Registry) -> None:
    streams = [
        pb.CameraStream(stream_id="low", label="Low", role=pb.CAMERA_STREAM_ROLE_LOW, stream_url="rtsp://u:hunter2@h/low"),
        pb.CameraStream(stream_id="eyes", role=pb.CAMERA_STREAM_ROLE_ANALYTICS, stream_url="rtsp://u:hunter2@h/eyes"),
    ]
    wanted = camera("Asema", camera_id="c1", stream_url="rtsp://h/1", streams=streams, pull=pb.CAMERA_PULL_ON_DEMAND)
    made = (await registry.call(WEST, "CreateCamera", camera=wanted)).camera
    assert [(stream.stream_id, stream.stream_url) for stream in made.streams] == [("low", ""), ("eyes", "")]
    made.streams[0].label = "Small"
    del made.streams[1]
    await registry.call(WEST, "UpdateCamera", camera=made)
    answer = await registry.call(Scope.platform("video"), "GetCameraStream", camera_id="c1")
    assert [(stream.label, stream.stream_url) for stream in answer.streams] == [("Small", "rtsp://u:hunter2@h/low")]
    content = b"camera_id,name,latitude,longitude,analytics_stream_url,pull\nc1,Asema,60.17,24.94,rtsp://h/new,always\n"
    await registry.call(WEST, "ImportCameras", format="csv", content=content)
    answer = await registry.call(Scope.platform("video"), "GetCameraStream", camera_id="c1")
    assert (answer.stream_url, [stream.stream_id for stream in answer.streams]) == ("rtsp://h/1", ["analytics", "low"])
    (listed,) = (await registry.call(WEST, "ListCameras")).cameras
    assert listed.pull == pb.CAMERA_PULL_ALWAYS
    for bad in ([streams[0], streams[0]], [pb.CameraStream(stream_id="main")], [pb.CameraStream(stream_id=str(n)) for n in range(5)]):
        with pytest.raises(InvalidInput):
            await registry.call(WEST, "CreateCamera", camera=camera("Other", streams=bad))


async def test_a_publish_key_is_shown_once_and_kept_as_its_hash(registry: Registry) -> None:
    await registry.call(WEST, "CreateCamera", camera=camera("Body 7", camera_id="b7", published=True))
    await registry.call(WEST, "CreateCamera", camera=camera("Pulled", camera_id="p1", stream_url="rtsp://h/1"))
    first = (await registry.call(WEST, "SetPublishKey", camera_id="b7")).publish_key
    second = (await registry.call(WEST, "SetPublishKey", camera_id="b7")).publish_key
    assert len(second) == 43 and first != second
    newest = hashlib.sha256(second.encode()).hexdigest()
    video = Scope.platform("video")
    assert (await registry.call(video, "GetCameraStream", camera_id="b7")).publish_key_sha256 == newest
    listed = {camera.camera_id: camera for camera in (await registry.call(WEST, "ListCameras")).cameras}
    assert listed["b7"].HasField("publish_key_set_at") and listed["b7"].has_stream
    # saving the form doesn't lose the key, nor does an import; nothing that leaves holds it or its hash
    await registry.call(WEST, "UpdateCamera", camera=listed["b7"])
    await registry.call(WEST, "ImportCameras", format="csv", content=b"camera_id,name,latitude,longitude\nb7,Body 8,60.17,24.95\n")
    assert (await registry.call(video, "GetCameraStream", camera_id="b7")).publish_key_sha256 == newest
    cameras = registry.mirror("camera", pb.Camera)
    await poll(lambda: holds(lambda: getattr(cameras.get("b7"), "name", "") == "Body 8"))
    assert newest.encode() not in cameras.get("b7").SerializeToString()
    assert not any(key in str(entry) for entry in await registry.audit("west") for key in (first, second, newest))
    assert (await registry.call(WEST, "SetPublishKey", camera_id="b7", remove=True)).publish_key == ""
    assert not (await registry.call(video, "GetCameraStream", camera_id="b7")).publish_key_sha256
    with pytest.raises(InvalidInput):
        await registry.call(WEST, "SetPublishKey", camera_id="p1")
    with pytest.raises(NotFound):
        await registry.call(EAST, "SetPublishKey", camera_id="b7")
    with pytest.raises(Refused):
        await registry.call(person("west", "operator"), "SetPublishKey", camera_id="b7")


async def test_an_update_without_a_stream_keeps_the_stored_one(registry: Registry) -> None:
    await registry.call(WEST, "CreateCamera", camera=camera("Asema", camera_id="c1", stream_url="rtsp://h/1"))
    updated = (await registry.call(WEST, "UpdateCamera", camera=camera("Asema north", camera_id="c1", bearing_deg=10, enabled=True))).camera
    assert (updated.name, updated.has_stream, updated.agency_id) == ("Asema north", True, "west")
    assert (await registry.call(Scope.platform("video"), "GetCameraStream", camera_id="c1")).stream_url == "rtsp://h/1"
    with pytest.raises(NotFound):
        await registry.call(EAST, "UpdateCamera", camera=camera("Mine now", camera_id="c1"))


async def test_importing_a_file_twice_changes_nothing(registry: Registry) -> None:
    content = b"name,latitude,longitude,stream_url\nA,60.17,24.94,rtsp://h/a\nB,60.17,24.95,\nC,60.17,224.95,\n"
    dry = await registry.call(WEST, "ImportCameras", format="csv", content=content, dry_run=True)
    assert (dry.created, len((await registry.call(WEST, "ListCameras")).cameras)) == (2, 0)
    first = await registry.call(WEST, "ImportCameras", format="csv", content=content)
    assert (first.created, first.updated, [problem.row for problem in first.problems]) == (2, 0, [4])
    second = await registry.call(WEST, "ImportCameras", format="csv", content=content)
    assert (second.created, second.updated) == (0, 0)
    moved = await registry.call(WEST, "ImportCameras", format="csv", content=content.replace(b"A,60.17", b"A,60.18"))
    assert (moved.created, moved.updated) == (0, 1)


async def test_an_import_switches_no_sound_on_or_off(registry: Registry) -> None:
    await registry.call(WEST, "CreateCamera", camera=camera("Quiet", camera_id="c1"))
    await registry.call(WEST, "CreateCamera", camera=camera("Loud", camera_id="c2", sound=True))
    content = b"camera_id,name,latitude,longitude,sound\nc1,Quiet too,60.17,24.94,true\nc2,Loud too,60.17,24.94,false\n"
    assert (await registry.call(WEST, "ImportCameras", format="csv", content=content)).updated == 2
    listed = {one.name: one.sound for one in (await registry.call(WEST, "ListCameras")).cameras}
    assert listed == {"Quiet too": False, "Loud too": True}


async def test_a_large_inventory_is_imported_within_a_call(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"Camera {number},60.{number:05},24.9,rtsp://h/{number}\n" for number in range(10_000))
    content = ("name,latitude,longitude,stream_url\n" + rows).encode()
    started = time.monotonic()
    answer = await registry.call(WEST, "ImportCameras", format="csv", content=content)
    first_s, started = time.monotonic() - started, time.monotonic()
    again = await registry.call(WEST, "ImportCameras", format="csv", content=content)
    with capsys.disabled():
        print(f"\n10,000 cameras: imported in {first_s:.1f} s, again in {time.monotonic() - started:.1f} s")
    assert (answer.created, again.created, again.updated) == (10_000, 0, 0)
    cameras = registry.mirror("camera", pb.Camera)
    await poll(lambda: holds(lambda: len(cameras) == 10_000), deadline_s=30)


async def test_an_import_can_neither_take_nor_touch_anothers_camera(registry: Registry) -> None:
    await registry.call(WEST, "CreateCamera", camera=camera("Asema", camera_id="c1"))
    answer = await registry.call(EAST, "ImportCameras", format="csv", content=b"camera_id,name,latitude,longitude\nc1,Mine,60.1,24.9\n")
    assert (answer.created, answer.problems[0].field) == (0, "camera_id")
    assert [c.name for c in (await registry.call(WEST, "ListCameras")).cameras] == ["Asema"]


async def test_where_a_camera_is_moved_is_kept_sealed_and_never_shown(registry: Registry) -> None:
    url = "onvif://mover:hunter2@10.0.0.7/onvif/device_service?profile=Pro%201"
    made = (
        await registry.call(WEST, "CreateCamera", camera=camera("Dome", camera_id="d1", stream_url="rtsp://h/1", control_url=url))
    ).camera
    assert made.movable and not made.control_url
    video = Scope.platform("video")
    assert (await registry.call(video, "GetCameraStream", camera_id="d1")).control_url == url
    # neither the form nor an import takes away what it doesn't mention
    await registry.call(WEST, "UpdateCamera", camera=made)
    await registry.call(WEST, "ImportCameras", format="csv", content=b"camera_id,name,latitude,longitude\nd1,Dome 2,60.17,24.95\n")
    assert (await registry.call(video, "GetCameraStream", camera_id="d1")).control_url == url
    (listed,) = (await registry.call(WEST, "ListCameras")).cameras
    assert (listed.name, listed.movable, listed.control_url) == ("Dome 2", True, "")
    assert not any("hunter2" in str(entry) for entry in await registry.audit("west"))
    listed.control_url = "none"
    assert not (await registry.call(WEST, "UpdateCamera", camera=listed)).camera.movable
    answer = await registry.call(video, "GetCameraStream", camera_id="d1")
    assert (answer.control_url, answer.stream_url) == ("", "rtsp://h/1")
    for bad in ("http://h/onvif", "onvif://h/onvif", "onvif://?profile=1", "onvif://h:x/?profile=1", "onvif://h/?profile=" + "x" * 600):
        with pytest.raises(InvalidInput):
            await registry.call(WEST, "CreateCamera", camera=camera("Other", control_url=bad))
