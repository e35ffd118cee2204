"""Agreements and who learns of them, over the registry's real API, on real PostgreSQL and NATS."""

import json

import pytest

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.ledger.v1 import ledger_pb2
from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, Refused
from rtcc_chassis.testing import person, poll

from .conftest import EAST, OWNER, WEST, Registry, camera, equals, holds


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
    await poll(lambda: holds(lambda: (agreements.get(granted.agreement_id) or pb.Agreement()).status == pb.AGREEMENT_STATUS_REVOKED))


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
    await poll(lambda: holds(lambda: (agreements.get(granted.agreement_id) or pb.Agreement()).status == pb.AGREEMENT_STATUS_REVOKED))


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

    await poll(lambda: equals(seen, [("e1", "")]))
    terms = pb.Agreement(grantee_agency_id="east", camera_ids=["w1"], cameras_live=True)
    agreement_id = (await registry.call(WEST, "CreateAgreement", agreement=terms)).agreement.agreement_id
    await poll(lambda: equals(seen, [("e1", ""), ("w1", agreement_id)]))
    await registry.call(WEST, "RevokeAgreement", agreement_id=agreement_id)
    await poll(lambda: equals(seen, [("e1", "")]))
    assert any(entry.principal_agency_id == "east" and "camera:w1" in entry.object_ids for entry in await registry.audit("west"))
