"""A SharingAgreement resource: granted, narrowed, superseded, ended; the agencies' people have the last word."""

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.testing import person

from .conftest import AGREEMENT, Cluster, until

ACTIVE, REVOKED = pb.AGREEMENT_STATUS_ACTIVE, pb.AGREEMENT_STATUS_REVOKED


async def _granted(cluster: Cluster, **spec: object) -> pb.Agreement:
    for name in (cluster.harbor, cluster.island):
        await cluster.api.apply(cluster.example(name))
    await cluster.api.apply(cluster.example(AGREEMENT, **({"attestationRequired": False} | spec)))
    await cluster.condition("sharingagreements", AGREEMENT, "AsDeclared")
    return (await cluster.agreements())[0]


async def test_an_agreement_waits_for_its_agencies_and_is_granted(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.api.apply(cluster.example(AGREEMENT))
    await cluster.condition("sharingagreements", AGREEMENT, "Invalid")
    for name in (cluster.harbor, cluster.island):
        await cluster.api.apply(cluster.example(name))
    # R20: what is granted waits for the receiver's signature, and says so
    await cluster.condition("sharingagreements", AGREEMENT, "AwaitingAttestation")
    (agreement,) = await cluster.agreements()
    assert (agreement.grantor_agency_id, agreement.grantee_agency_id, agreement.status) == (cluster.harbor, cluster.island, ACTIVE)
    assert agreement.changed_by == "service:operator"  # R31
    island = person(cluster.island, "administrator", principal_id="sheriff")
    await cluster.registry("AttestAgreement", pb.AttestAgreementRequest(agreement_id=agreement.agreement_id, revision=1), island)
    again = cluster.example(AGREEMENT)
    again["metadata"]["annotations"] = {"example.org/look": "again"}
    await cluster.api.apply(again)
    await cluster.condition("sharingagreements", AGREEMENT, "AsDeclared")


async def test_less_is_narrowed_and_more_is_a_new_agreement(cluster: Cluster) -> None:
    await cluster.start()
    first = await _granted(cluster)
    narrower = await _granted(cluster, alertKinds=["gunshot"])
    assert narrower.agreement_id == first.agreement_id
    assert list(narrower.alert_kinds) == ["gunshot"]
    wider = await _granted(cluster, alertKinds=["gunshot", "plate_hit"], units=True)
    assert wider.agreement_id != first.agreement_id
    assert [(found.status, found.units) for found in await cluster.agreements()] == [(ACTIVE, True), (REVOKED, False)]


async def test_what_an_agency_ended_is_not_granted_again_until_the_resource_changes(cluster: Cluster) -> None:
    await cluster.start(resync_s=0.2)
    agreement = await _granted(cluster)
    island = person(cluster.island, "supervisor", principal_id="sheriff")
    await cluster.registry("RevokeAgreement", pb.RevokeAgreementRequest(agreement_id=agreement.agreement_id, reason="no more"), island)
    found = await cluster.condition("sharingagreements", AGREEMENT, "Revoked")
    assert "sheriff" in found["message"]
    assert [one.status for one in await cluster.agreements()] == [REVOKED]
    again = await _granted(cluster, title="Agreed anew")
    assert again.status == ACTIVE
    assert again.agreement_id != agreement.agreement_id


async def test_what_an_agency_narrowed_stays_narrow(cluster: Cluster) -> None:
    await cluster.start(resync_s=0.2)
    agreement = await _granted(cluster)
    del agreement.alert_kinds[:]
    agreement.alert_kinds.append("gunshot")
    harbor = person(cluster.harbor, "administrator", principal_id="chief")
    await cluster.registry("NarrowAgreement", pb.NarrowAgreementRequest(agreement=agreement), harbor)
    found = await cluster.condition("sharingagreements", AGREEMENT, "Narrowed")
    assert "chief" in found["message"]
    assert list((await cluster.agreements())[0].alert_kinds) == ["gunshot"]


async def test_a_barred_receiver_is_refused_with_the_law_s_reason(cluster: Cluster) -> None:  # R19
    await cluster.start()
    for name in (cluster.harbor, cluster.island):
        await cluster.api.apply(cluster.example(name, **({"jurisdiction": "US-NV"} if name == cluster.island else {})))
        await cluster.condition("agencies", name, "AsDeclared")
    await cluster.api.apply(cluster.example(AGREEMENT))
    found = await cluster.condition("sharingagreements", AGREEMENT, "Refused")
    assert "out of US-CA (R19)" in found["message"]
    assert await cluster.agreements() == []


async def test_a_bar_that_comes_later_shows_in_the_resource(cluster: Cluster) -> None:  # R19
    await cluster.start(resync_s=0.2)
    await _granted(cluster)
    await cluster.api.apply(cluster.example(cluster.harbor, barredReceivers=["US-CA"]))
    found = await cluster.condition("sharingagreements", AGREEMENT, "Barred")
    assert found["status"] == "False"


async def test_a_deleted_resource_revokes_its_agreement(cluster: Cluster) -> None:
    await cluster.start()
    agreement = await _granted(cluster)
    await cluster.api.remove("sharingagreements", AGREEMENT)

    async def gone() -> bool:
        return cluster.api.get("sharingagreements", AGREEMENT) is None

    await until(gone)
    (stored,) = await cluster.agreements()
    assert (stored.agreement_id, stored.status) == (agreement.agreement_id, REVOKED)
