"""Agencies, people and sources, over the registry's real API, on real PostgreSQL and NATS."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import Conflict, FreshSignInRequired, InvalidInput, NotFound, Refused, RtccError
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.sealing import Seal
from rtcc_chassis.streams import directory_subject
from rtcc_chassis.testing import person, poll
from rtcc_registry.app.people import People
from rtcc_registry.app.reconciling import reconcile
from rtcc_registry.app.records import EVERY_KIND
from rtcc_registry.store import RegistryStore

from .conftest import EAST, OWNER, WEST, Registry, camera, holds, present


async def test_an_agency_is_made_once_and_reaches_every_mirror(registry: Registry) -> None:
    await registry.call(OWNER, "CreateAgency", agency_id="west", name="West", time_zone="Europe/Helsinki")
    with pytest.raises(Conflict):
        await registry.call(OWNER, "CreateAgency", agency_id="west", name="Another")
    agencies = registry.mirror("agency", pb.Agency)
    await poll(lambda: present(agencies, "west"))
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


async def test_sound_is_off_until_an_administrator_who_signed_in_anew_allows_it(registry: Registry) -> None:
    agencies = registry.mirror("agency", pb.Agency)
    west = pb.Agency(agency_id="west", name="West", time_zone="Europe/Helsinki", enabled=True, sound_allowed=True)
    assert not (await registry.call(WEST, "ListAgencies")).agencies[0].sound_allowed
    old = replace(WEST, signed_in_at=utc_now() - timedelta(minutes=11))
    for nobody, error in ((person("west", "supervisor"), Refused), (EAST, Refused), (old, FreshSignInRequired)):
        with pytest.raises(error):
            await registry.call(nobody, "UpdateAgency", agency=west)
    assert (await registry.call(WEST, "UpdateAgency", agency=west)).agency.sound_allowed
    await poll(lambda: holds(lambda: agencies.get("west").sound_allowed))
    entry = [entry for entry in await registry.audit("west") if entry.action == "agency.update" and entry.new_value][-1]
    assert "sound_allowed" not in entry.old_value and '"sound_allowed":true' in entry.new_value.replace(" ", "")


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
    await poll(lambda: holds(lambda: list((people.get(made.person_id) or pb.Person()).roles) == ["auditor"]))


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
    visitor.ends_at.FromDatetime(utc_now() + timedelta(hours=1))
    made = (await registry.call(WEST, "CreatePerson", person=visitor)).person
    sweep = People(
        RegistryStore(registry.context.database, Outbox(registry.context.database, registry.context.bus), Seal(b"x" * 32, "test")),
        registry.context.access,
        lambda: utc_now() + timedelta(hours=1),
    )
    assert await sweep.end_temporary_accounts() == 1
    (listed,) = (await registry.call(WEST, "ListPeople")).people
    assert not listed.enabled
    with pytest.raises(Conflict):
        await sweep.set_enabled(WEST, made.person_id, True)
    ended = [entry for entry in await registry.audit("west") if "R7" in entry.reason and entry.principal_id == "service:registry"]
    assert [list(entry.object_ids) for entry in ended] == [[f"person:{made.person_id}"]]


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
    await poll(lambda: holds(lambda: [unit.device_key_sha256 for unit in units.values()] == [newest]))


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
    await poll(lambda: present(units, "u1"))
    assert units.get("u1").device_key_sha256 == hashlib.sha256(made.device_key.encode()).hexdigest()
    assert not (await registry.call(WEST, "ListUnits")).units[0].device_key_sha256
    with pytest.raises(Conflict):
        await registry.call(EAST, "CreateUnit", unit=pb.Unit(call_sign="E1", kind="patrol", device_id="tracker-1"))


async def test_a_directory_that_lost_its_memory_is_brought_in_line(registry: Registry) -> None:
    await registry.call(WEST, "CreateCamera", camera=camera("Asema", camera_id="c1"))
    context = registry.context
    mirrors = {kind.name: context.directory.mirror(kind.name, kind.message_type) for kind in EVERY_KIND}
    await poll(lambda: present(mirrors["camera"], "c1"))
    store = RegistryStore(context.database, Outbox(context.database, context.bus), Seal(b"x" * 32, "test"))
    assert await reconcile(store, mirrors) == 0
    lost, ghost = directory_subject("camera", "west", "c1"), directory_subject("unit", "west", "ghost")
    await context.bus.publish(lost, b"", message_id=new_id(), agency_id="west")
    await context.bus.publish(ghost, pb.Unit(unit_id="ghost", agency_id="west"), message_id=new_id(), agency_id="west")
    await poll(lambda: holds(lambda: mirrors["camera"].get("c1") is None and mirrors["unit"].get("ghost") is not None))
    assert await reconcile(store, mirrors) == 2
    await poll(lambda: holds(lambda: mirrors["camera"].get("c1") is not None and mirrors["unit"].get("ghost") is None))


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
