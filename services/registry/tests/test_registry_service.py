"""The registry over its real API, on real PostgreSQL and NATS."""

import hashlib
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.ledger.v1 import ledger_pb2
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc.registry.v1 import registry_pb2_grpc
from rtcc_chassis.clock import utc_now
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.directory import Mirror
from rtcc_chassis.errors import Conflict, FreshSignInRequired, InvalidInput, NotFound, Refused, RtccError, from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.sealing import Seal
from rtcc_chassis.streams import AUDIT, directory_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_registry.app.people import People
from rtcc_registry.app.reconciling import reconcile, seal_plain_secrets
from rtcc_registry.app.records import EVERY_KIND
from rtcc_registry.service import serve
from rtcc_registry.store import RegistryStore

OWNER = Scope.platform("standalone")
WEST = person("west", "administrator", name="West Admin", principal_id="west-admin")
EAST = person("east", "administrator", name="East Admin", principal_id="east-admin")


class Registry:
    """Calls the service as somebody; failures come back as our errors."""

    def __init__(self, platform: TestPlatform, context: ServiceContext) -> None:
        self.platform = platform
        self.context = context
        self._stub = context.channels.stub("registry", registry_pb2_grpc.RegistryServiceStub)

    async def call(self, scope: Scope, method: str, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        try:
            return await getattr(self._stub, method)(request, metadata=self.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    def mirror(self, type_name: str, message_type: Any) -> Mirror[Any]:
        return self.context.directory.mirror(type_name, message_type)

    async def audit(self, agency_id: str) -> list[ledger_pb2.AuditEntry]:
        """What stands in an agency's log stream."""
        entries: list[ledger_pb2.AuditEntry] = []

        async def take(deliveries: Any) -> None:
            entries.extend(delivery.parse(ledger_pb2.AuditEntry) for delivery in deliveries if isinstance(delivery, Delivery))

        tail = self.context.bus.tail(AUDIT, [f"audit.{agency_id}"], take, start="all")
        task = self.context.lifecycle.spawn(tail.run(), "test tail")
        await tail.caught_up()
        task.cancel()
        return entries


@pytest_asyncio.fixture
async def registry(small_platform: TestPlatform) -> AsyncIterator[Registry]:
    await small_platform.serve({"registry": serve})
    registry = Registry(small_platform, await small_platform.context("registry"))
    for agency_id in ("west", "east"):
        await registry.call(OWNER, "CreateAgency", agency_id=agency_id, name=agency_id.title(), time_zone="Europe/Helsinki")
    yield registry


def camera(name: str, **more: Any) -> pb.Camera:
    place = Coordinate(latitude_deg=60.17, longitude_deg=24.94)
    return pb.Camera(name=name, kind=pb.CAMERA_KIND_STREET, coordinate=place, field_of_view_deg=90, range_m=80, **more)


async def test_an_agency_is_made_once_and_reaches_every_mirror(registry: Registry) -> None:
    await registry.call(OWNER, "CreateAgency", agency_id="west", name="West", time_zone="Europe/Helsinki")
    with pytest.raises(Conflict):
        await registry.call(OWNER, "CreateAgency", agency_id="west", name="Another")
    agencies = registry.mirror("agency", pb.Agency)
    await poll(lambda: _present(agencies, "west"))
    assert agencies.get("west").time_zone == "Europe/Helsinki"


async def test_every_wrong_field_of_an_agency_is_named(registry: Registry) -> None:
    with pytest.raises(InvalidInput) as caught:
        await registry.call(OWNER, "CreateAgency", agency_id="We.st", name="\x07", time_zone="Mars/Base")
    assert {violation.field for violation in caught.value.violations} == {"agency_id", "name", "time_zone"}


async def test_an_administrator_makes_people_of_the_own_agency_only(registry: Registry) -> None:
    made = (await registry.call(WEST, "CreatePerson", person=pb.Person(login="Aino.West", display_name="Aino", roles=["operator"]))).person
    assert (made.agency_id, made.login, made.enabled) == ("west", "aino.west", True)
    with pytest.raises(Refused):
        await registry.call(WEST, "CreatePerson", person=pb.Person(login="spy", display_name="S", roles=["operator"], agency_id="east"))
    with pytest.raises(Refused):
        await registry.call(WEST, "CreatePerson", person=pb.Person(login="boss", display_name="B", roles=["platform_operator"]))
    with pytest.raises(Conflict):
        await registry.call(EAST, "CreatePerson", person=pb.Person(login="aino.west", display_name="Aino", roles=["operator"]))
    assert not (await registry.call(EAST, "ListPeople")).people


async def test_a_platform_operator_makes_the_first_administrator_of_any_agency(registry: Registry) -> None:
    operator = person("west", "platform_operator", principal_id="op")
    made = await registry.call(
        operator, "CreatePerson", person=pb.Person(login="first.east", display_name="E", roles=["administrator"], agency_id="east")
    )
    assert made.person.agency_id == "east"
    assert [entry.action for entry in await registry.audit("east")][-1] == "person.create"
    # and nobody else: an operator of his own making would show him what he may not see
    for roles in (["administrator"], ["operator"], ["operator", "administrator"]):
        with pytest.raises(Refused):
            await registry.call(
                operator, "CreatePerson", person=pb.Person(login="second.east", display_name="E", roles=roles, agency_id="east")
            )


async def test_nobody_changes_the_own_rights_nor_another_agencys(registry: Registry) -> None:
    made = (await registry.call(WEST, "CreatePerson", person=pb.Person(login="aino", display_name="A", roles=["administrator"]))).person
    herself = person("west", "administrator", principal_id=made.person_id)
    with pytest.raises(Conflict):
        await registry.call(herself, "SetPersonEnabled", person_id=made.person_id, enabled=False)
    with pytest.raises(NotFound):
        await registry.call(EAST, "SetPersonRoles", person_id=made.person_id, roles=["auditor"])
    changed = (await registry.call(WEST, "SetPersonRoles", person_id=made.person_id, roles=["auditor", "auditor"])).person
    assert list(changed.roles) == ["auditor"]
    people = registry.mirror("person", pb.Person)
    await poll(lambda: _holds(lambda: list((people.get(made.person_id) or pb.Person()).roles) == ["auditor"]))


async def test_an_old_sign_in_changes_no_roles(registry: Registry) -> None:  # R4
    stale = person("west", "administrator")
    stale = type(stale)(**{f: getattr(stale, f) for f in stale.__dataclass_fields__} | {"signed_in_at": utc_now() - timedelta(minutes=11)})
    with pytest.raises(FreshSignInRequired):
        await registry.call(stale, "SetPersonRoles", person_id="x", roles=["auditor"])


async def test_a_temporary_account_ends_by_itself(registry: Registry) -> None:  # R7
    visitor = pb.Person(login="visitor", display_name="V", roles=["operator"])
    visitor.ends_at.FromDatetime(utc_now() + timedelta(hours=73))
    with pytest.raises(InvalidInput):
        await registry.call(WEST, "CreatePerson", person=visitor)
    visitor.ends_at.FromDatetime(utc_now() + timedelta(seconds=0.7))
    made = (await registry.call(WEST, "CreatePerson", person=visitor)).person
    sweep = People(
        RegistryStore(registry.context.database, Outbox(registry.context.database, registry.context.bus), Seal(b"x" * 32, "test")),
        registry.context.access,
        utc_now,
    )
    await poll(sweep.end_temporary_accounts)
    (listed,) = (await registry.call(WEST, "ListPeople")).people
    assert not listed.enabled
    with pytest.raises(Conflict):
        await registry.call(WEST, "SetPersonEnabled", person_id=made.person_id, enabled=True)
    ended = [entry for entry in await registry.audit("west") if "R7" in entry.reason and entry.principal_id == "service:registry"]
    assert [list(entry.object_ids) for entry in ended] == [[f"person:{made.person_id}"]]


async def test_a_stream_address_leaves_to_the_video_service_alone(registry: Registry) -> None:
    url = "rtsp://user:hunter2@10.0.0.5/main"
    made = (await registry.call(WEST, "CreateCamera", camera=camera("Asema", camera_id="c1", stream_url=url))).camera
    assert made.has_stream and not made.stream_url
    cameras = registry.mirror("camera", pb.Camera)
    await poll(lambda: _present(cameras, "c1"))
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
    await poll(lambda: _holds(lambda: getattr(cameras.get("b7"), "name", "") == "Body 8"))
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
    await poll(lambda: _holds(lambda: len(cameras) == 10_000), deadline_s=30)


async def test_an_import_can_neither_take_nor_touch_anothers_camera(registry: Registry) -> None:
    await registry.call(WEST, "CreateCamera", camera=camera("Asema", camera_id="c1"))
    answer = await registry.call(EAST, "ImportCameras", format="csv", content=b"camera_id,name,latitude,longitude\nc1,Mine,60.1,24.9\n")
    assert (answer.created, answer.problems[0].field) == (0, "camera_id")
    assert [c.name for c in (await registry.call(WEST, "ListCameras")).cameras] == ["Asema"]


async def test_an_idempotency_key_creates_once(registry: Registry) -> None:
    retrying = person("west", "administrator", idempotency_key="k1")
    made = [(await registry.call(retrying, "CreateCamera", camera=camera("Asema"))).camera.camera_id for _ in range(2)]
    assert made[0] == made[1]
    secrets = [
        (await registry.call(retrying, "CreateSource", source=pb.Source(name="ALPR", adapter="plate_read"))).secret for _ in range(2)
    ]
    assert secrets[0] == secrets[1] and len(secrets[0]) == 43
    unit = pb.Unit(call_sign="W1", kind="patrol", device_id="tracker-1")
    answers = [await registry.call(retrying, "CreateUnit", unit=unit) for _ in range(2)]
    assert answers[0].unit == answers[1].unit
    # the first answer was lost: its key is void, the second one opens
    assert answers[0].device_key != answers[1].device_key
    units = registry.mirror("unit", pb.Unit)
    newest = hashlib.sha256(answers[1].device_key.encode()).hexdigest()
    await poll(lambda: _holds(lambda: [unit.device_key_sha256 for unit in units.values()] == [newest]))


async def test_a_source_secret_goes_to_intake_alone(registry: Registry) -> None:
    made = await registry.call(WEST, "CreateSource", source=pb.Source(name="ALPR", adapter="plate_read", source_id="s1"))
    answer = await registry.call(Scope.platform("intake"), "GetSourceSecret", source_id="s1")
    assert answer.secret == made.secret
    with pytest.raises(Conflict):
        await registry.call(WEST, "CreateSource", source=pb.Source(name="ALPR", adapter="plate_read", source_id="s1"))
    with pytest.raises(Refused):
        await registry.call(Scope.platform("video"), "GetSourceSecret", source_id="s1")
    off = (await registry.call(WEST, "SetSourceEnabled", source_id="s1", enabled=False)).source
    assert not off.enabled
    assert not any(made.secret in str(entry) for entry in await registry.audit("west"))


async def test_a_device_key_is_shown_once_and_kept_as_its_hash(registry: Registry) -> None:
    made = await registry.call(WEST, "CreateUnit", unit=pb.Unit(unit_id="u1", call_sign="W11", kind="patrol", device_id="tracker-1"))
    units = registry.mirror("unit", pb.Unit)
    await poll(lambda: _present(units, "u1"))
    assert units.get("u1").device_key_sha256 == hashlib.sha256(made.device_key.encode()).hexdigest()
    assert not (await registry.call(WEST, "ListUnits")).units[0].device_key_sha256
    with pytest.raises(Conflict):
        await registry.call(EAST, "CreateUnit", unit=pb.Unit(call_sign="E1", kind="patrol", device_id="tracker-1"))


async def test_a_grant_is_told_to_both_sides_with_old_and_new_value(registry: Registry) -> None:  # R16 R31
    await registry.call(WEST, "CreateCamera", camera=camera("Asema", camera_id="c1"))
    terms = pb.Agreement(grantee_agency_id="east", title="Border", alert_kinds=["plate_hit"], camera_ids=["c1"], cameras_live=True)
    with pytest.raises(InvalidInput):
        await registry.call(EAST, "CreateAgreement", agreement=pb.Agreement(grantee_agency_id="west", camera_ids=["c1"]))
    granted = (await registry.call(WEST, "CreateAgreement", agreement=terms)).agreement
    narrower = pb.Agreement()
    narrower.CopyFrom(granted)
    del narrower.alert_kinds[:]
    with pytest.raises(Refused):
        await registry.call(EAST, "NarrowAgreement", agreement=narrower)
    await registry.call(WEST, "NarrowAgreement", agreement=narrower)
    with pytest.raises(InvalidInput):
        terms.agreement_id = granted.agreement_id
        await registry.call(WEST, "NarrowAgreement", agreement=terms)
    for _ in range(2):
        revoked = (await registry.call(WEST, "RevokeAgreement", agreement_id=granted.agreement_id, reason="over")).agreement
        assert (revoked.status, revoked.revision) == (pb.AGREEMENT_STATUS_REVOKED, 3)
    for side in (WEST, EAST):
        (listed,) = (await registry.call(side, "ListAgreements", include_changes=True)).agreements
        assert [(change.revision, change.changed_by) for change in listed.changes] == [
            (1, "west-admin"),
            (2, "west-admin"),
            (3, "west-admin"),
        ]
        assert list(listed.changes[1].old_value.alert_kinds) == ["plate_hit"]
        entries = [
            e for e in await registry.audit(side.agency_id) if e.action == "agreement.narrow" and e.outcome == ledger_pb2.OUTCOME_ALLOWED
        ]
        (entry,) = entries
        assert json.loads(entry.old_value)["alert_kinds"] == ["plate_hit"]
        assert "alert_kinds" not in json.loads(entry.new_value)
    agreements = registry.mirror("agreement", pb.Agreement)
    await poll(lambda: _holds(lambda: (agreements.get(granted.agreement_id) or pb.Agreement()).status == pb.AGREEMENT_STATUS_REVOKED))


async def test_an_attestation_is_the_grantees_own_and_for_the_terms_it_read(registry: Registry) -> None:  # R20
    terms = pb.Agreement(grantee_agency_id="east", units=True, attestation_required=True)
    terms.attested_at.FromDatetime(utc_now())
    granted = (await registry.call(WEST, "CreateAgreement", agreement=terms)).agreement
    assert not granted.HasField("attested_at")
    with pytest.raises(Refused):
        await registry.call(WEST, "AttestAgreement", agreement_id=granted.agreement_id, revision=1)
    with pytest.raises(Conflict):
        await registry.call(EAST, "AttestAgreement", agreement_id=granted.agreement_id, revision=7)
    signed = (await registry.call(EAST, "AttestAgreement", agreement_id=granted.agreement_id, revision=1)).agreement
    assert signed.HasField("attested_at") and (signed.revision, signed.changed_by) == (2, "east-admin")
    again = (await registry.call(EAST, "AttestAgreement", agreement_id=granted.agreement_id, revision=1)).agreement
    assert again == signed
    for side in (WEST, EAST):
        assert [entry.principal_id for entry in await registry.audit(side.agency_id) if entry.action == "agreement.attest"][
            -1
        ] == "east-admin"


async def test_a_grantee_may_end_what_it_was_granted(registry: Registry) -> None:
    granted = (await registry.call(WEST, "CreateAgreement", agreement=pb.Agreement(grantee_agency_id="east", units=True))).agreement
    ended = (await registry.call(EAST, "RevokeAgreement", agreement_id=granted.agreement_id)).agreement
    assert (ended.status, ended.changed_by) == (pb.AGREEMENT_STATUS_REVOKED, "east-admin")
    agreements = registry.mirror("agreement", pb.Agreement)
    await poll(lambda: _holds(lambda: (agreements.get(granted.agreement_id) or pb.Agreement()).status == pb.AGREEMENT_STATUS_REVOKED))


async def test_a_third_agency_sees_nothing_of_an_agreement(registry: Registry) -> None:
    await registry.call(OWNER, "CreateAgency", agency_id="north", name="North")
    north = person("north", "administrator", name="North Admin")
    granted = (await registry.call(WEST, "CreateAgreement", agreement=pb.Agreement(grantee_agency_id="east", units=True))).agreement
    assert not (await registry.call(north, "ListAgreements", include_changes=True)).agreements
    with pytest.raises(NotFound):
        await registry.call(north, "RevokeAgreement", agreement_id=granted.agreement_id)


async def test_a_deleted_camera_leaves_every_agreement(registry: Registry) -> None:
    await registry.call(WEST, "CreateCamera", camera=camera("Asema", camera_id="c1"))
    terms = pb.Agreement(grantee_agency_id="east", camera_ids=["c1"], cameras_live=True)
    await registry.call(WEST, "CreateAgreement", agreement=terms)
    await registry.call(WEST, "DeleteCamera", camera_id="c1")
    (listed,) = (await registry.call(EAST, "ListAgreements", include_changes=True)).agreements
    assert (list(listed.agreement.camera_ids), len(listed.changes)) == ([], 2)


async def test_ranking_holds_a_partners_camera_only_while_it_is_granted(registry: Registry) -> None:  # R16
    await registry.call(WEST, "CreateCamera", camera=camera("West", camera_id="w1"))
    await registry.call(EAST, "CreateCamera", camera=camera("East", camera_id="e1"))
    east_operator = person("east", "operator", name="East Operator")
    place = Coordinate(latitude_deg=60.1701, longitude_deg=24.94)

    async def seen() -> list[tuple[str, str]]:
        answer = await registry.call(east_operator, "RankCameras", coordinate=place)
        return sorted((choice.camera.camera_id, choice.agreement_id) for choice in answer.cameras)

    await poll(lambda: _equals(seen, [("e1", "")]))
    terms = pb.Agreement(grantee_agency_id="east", camera_ids=["w1"], cameras_live=True)
    agreement_id = (await registry.call(WEST, "CreateAgreement", agreement=terms)).agreement.agreement_id
    await poll(lambda: _equals(seen, [("e1", ""), ("w1", agreement_id)]))
    await registry.call(WEST, "RevokeAgreement", agreement_id=agreement_id)
    await poll(lambda: _equals(seen, [("e1", "")]))
    assert any(entry.principal_agency_id == "east" and "camera:w1" in entry.object_ids for entry in await registry.audit("west"))


async def test_a_directory_that_lost_its_memory_is_brought_in_line(registry: Registry) -> None:
    await registry.call(WEST, "CreateCamera", camera=camera("Asema", camera_id="c1"))
    context = registry.context
    mirrors = {kind.name: context.directory.mirror(kind.name, kind.message_type) for kind in EVERY_KIND}
    await poll(lambda: _present(mirrors["camera"], "c1"))
    store = RegistryStore(context.database, Outbox(context.database, context.bus), Seal(b"x" * 32, "test"))
    assert await reconcile(store, mirrors) == 0
    lost, ghost = directory_subject("camera", "west", "c1"), directory_subject("unit", "west", "ghost")
    await context.bus.publish(lost, b"", message_id=new_id(), agency_id="west")
    await context.bus.publish(ghost, pb.Unit(unit_id="ghost", agency_id="west"), message_id=new_id(), agency_id="west")
    await poll(lambda: _holds(lambda: mirrors["camera"].get("c1") is None and mirrors["unit"].get("ghost") is not None))
    assert await reconcile(store, mirrors) == 2
    await poll(lambda: _holds(lambda: mirrors["camera"].get("c1") is not None and mirrors["unit"].get("ghost") is None))


async def test_agencies_are_shown_as_far_as_they_concern_the_caller(registry: Registry) -> None:
    operator = person("west", "operator", name="West Operator")
    assert [agency.agency_id for agency in (await registry.call(operator, "ListAgencies")).agencies] == ["west"]
    assert [agency.agency_id for agency in (await registry.call(WEST, "ListAgencies")).agencies] == ["east", "west"]


async def test_unexpected_input_is_an_error_that_says_what_to_do(registry: Registry) -> None:
    for method, fields in (
        ("CreateCamera", {"camera": pb.Camera(bearing_deg=float("nan"))}),
        ("RankCameras", {"coordinate": Coordinate(latitude_deg=91)}),
        ("CreateZone", {"zone": pb.Zone(name="Z", kind="district")}),
        ("CreateAgreement", {"agreement": pb.Agreement(grantee_agency_id="nowhere", units=True)}),
        ("ImportCameras", {"format": "csv", "content": b"\xff"}),
    ):
        scope = person("west", "operator", name="O") if method == "RankCameras" else WEST
        with pytest.raises(RtccError) as caught:
            await registry.call(scope, method, **fields)
        assert isinstance(caught.value, InvalidInput)


async def _present(mirror: Mirror[Any], identifier: str) -> bool:
    return mirror.get(identifier) is not None


async def _holds(question: Any) -> bool:
    return bool(question())


async def _equals(question: Any, expected: object) -> bool:
    return bool(await question() == expected)
