"""An Agency resource from nothing to a force that works: record, administrator, devices on the bus, bucket."""

import asyncio
import io

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.testing import person, poll
from rtcc_operator.domain.resources import DELETE_DATA, FINALIZER

from .conftest import Cluster, until


async def _ready(cluster: Cluster, name: str, **spec: object) -> None:
    await cluster.api.apply(cluster.example(name, **spec))
    await cluster.condition("agencies", name, "AsDeclared")


async def _cut_off(client: Client) -> bool:
    return client.is_closed or not client.is_connected


async def test_a_declared_agency_has_record_administrator_account_and_bucket(cluster: Cluster) -> None:
    await cluster.start()
    await _ready(cluster, cluster.harbor)
    agency = await cluster.agency(cluster.harbor)
    assert (agency.name, agency.time_zone, agency.jurisdiction) == ("Harbor City Police", "America/Los_Angeles", "US-CA")
    assert list(agency.barred_receivers) == ["federal", "out_of_state"]  # R19
    assert await cluster.people() == [(cluster.harbor, f"admin@{cluster.harbor}.example", ["administrator"])]
    assert "/enrol#" in cluster.secret(f"{cluster.harbor}-first-administrator")["link"]
    assert (await cluster.minio()).bucket_exists(await cluster.bucket(cluster.harbor))
    resource = cluster.api.get("agencies", cluster.harbor)
    assert resource is not None
    assert resource["metadata"]["finalizers"] == [FINALIZER]
    assert resource["status"]["observedGeneration"] == resource["status"]["appliedGeneration"] == 1
    for type_ in ("Ready", "RegistryReady", "BusReady", "ObjectsReady"):
        assert cluster.api.condition("agencies", cluster.harbor, type_)["status"] == "True", type_
    # this object store has no quotas, and that is said
    quota = cluster.api.condition("agencies", cluster.harbor, "QuotaEnforced")
    assert (quota["status"], quota["reason"]) == ("False", "QuotaUnsupported")

    async def told() -> bool:
        # after the resource's own state
        return [event["reason"] for event in cluster.api.events(cluster.harbor)] == ["AsDeclared"]

    await until(told)


async def test_looking_again_changes_nothing(cluster: Cluster) -> None:
    await cluster.start(resync_s=0.2)
    await _ready(cluster, cluster.harbor)
    version = cluster.api.version
    looked = cluster.api.calls.count(("GET", "agencies"))

    async def looked_again() -> bool:
        return cluster.api.calls.count(("GET", "agencies")) > looked + 6

    await until(looked_again)
    assert [kind for number, kind, _, _ in cluster.api.log if number > version and kind in ("agencies", "secrets")] == []


async def test_a_device_publishes_as_its_agency_and_hears_what_is_shared_with_it(cluster: Cluster) -> None:
    await cluster.start()
    await _ready(cluster, cluster.harbor)
    await _ready(cluster, cluster.island)
    services = cluster.connected(cluster.keys / "registry.creds")
    async with services as platform, cluster.device(cluster.harbor) as device, cluster.device(cluster.island) as neighbour:
        received: list[Msg] = []

        async def answer(message: Msg) -> None:
            received.append(message)
            await message.respond(b"stored")

        await platform.subscribe("agency.>", cb=answer)
        heard, others = await device.subscribe("shared.>"), await neighbour.subscribe("shared.>")
        await asyncio.gather(platform.flush(), device.flush(), neighbour.flush())

        async def answered() -> bool:
            # `flush` is no barrier on imported subjects
            try:
                return (await device.request("source.reader", b"plate", timeout=1)).data == b"stored"
            except nats.errors.Error:
                return False

        await until(answered)
        assert {message.subject for message in received} == {f"agency.{cluster.harbor}.source.reader"}

        async def came() -> bool:
            await platform.publish(f"shared.{cluster.harbor}.alert", b"for harbor")
            try:
                return (await heard.next_msg(timeout=0.2)).data == b"for harbor"
            except nats.errors.TimeoutError:
                return False

        await until(came)
        with pytest.raises(nats.errors.TimeoutError):
            await others.next_msg(timeout=0.3)
        # neither what belongs to the platform nor to others can be said
        count = len(received)
        for subject in (f"agency.{cluster.island}.source.reader", "event.x.plate_read", f"shared.{cluster.island}.alert"):
            await device.publish(subject, b"forged")
        await device.flush()
        assert len(received) == count


async def test_a_suspended_agency_is_cut_off_and_comes_back_with_the_same_credentials(cluster: Cluster) -> None:
    await cluster.start()
    await _ready(cluster, cluster.harbor)
    credentials = cluster.secret(f"{cluster.harbor}-nats-devices")
    async with cluster.device(cluster.harbor) as device:
        await _ready(cluster, cluster.harbor, suspended=True)
        await poll(lambda: _cut_off(device))
    assert not (await cluster.agency(cluster.harbor)).enabled
    with pytest.raises((nats.errors.Error, OSError, asyncio.TimeoutError)):
        async with asyncio.timeout(3), cluster.device(cluster.harbor) as device:
            await device.flush()
    await _ready(cluster, cluster.harbor)
    assert (await cluster.agency(cluster.harbor)).enabled
    async with cluster.device(cluster.harbor) as device:
        await device.flush()
    assert cluster.secret(f"{cluster.harbor}-nats-devices") == credentials


async def test_what_the_agencys_people_changed_since_is_reported_and_stays(cluster: Cluster) -> None:
    await cluster.start()
    await _ready(cluster, cluster.harbor)
    changed = await cluster.agency(cluster.harbor)
    changed.barred_receivers.append("US-TX")
    changed.sound_allowed = True
    administrator = person(cluster.harbor, "administrator", principal_id="somebody")
    await cluster.registry("UpdateAgency", pb.UpdateAgencyRequest(agency=changed), administrator)
    again = cluster.example(cluster.harbor)
    again["metadata"]["annotations"] = {"example.org/look": "again"}
    await cluster.api.apply(again)

    async def drifted() -> bool:
        return cluster.api.condition("agencies", cluster.harbor, "RegistryReady").get("reason") == "Drifted"

    await until(drifted)
    assert "US-TX" in (await cluster.agency(cluster.harbor)).barred_receivers
    # a new generation is a new decision
    await cluster.api.apply(cluster.example(cluster.harbor, name="Harbor Police"))
    await cluster.condition("agencies", cluster.harbor, "AsDeclared")
    assert list((await cluster.agency(cluster.harbor)).barred_receivers) == ["federal", "out_of_state"]
    assert (await cluster.agency(cluster.harbor)).name == "Harbor Police"
    # what the resource doesn't name is the agency's own
    assert (await cluster.agency(cluster.harbor)).sound_allowed
    await cluster.api.apply(cluster.example(cluster.harbor, name="Harbor Police", soundAllowed=False))

    async def silent() -> bool:
        return not (await cluster.agency(cluster.harbor)).sound_allowed

    await until(silent)


async def test_a_deleted_resource_ends_access_and_keeps_data(cluster: Cluster) -> None:
    await cluster.start()
    await _ready(cluster, cluster.harbor)
    bucket, store = await cluster.bucket(cluster.harbor), await cluster.minio()
    store.put_object(bucket, "evidence", io.BytesIO(b"x"), 1)
    async with cluster.device(cluster.harbor) as device:
        await cluster.api.remove("agencies", cluster.harbor)
        await poll(lambda: _cut_off(device))
    await until(lambda: _gone(cluster))
    assert not (await cluster.agency(cluster.harbor)).enabled
    assert [item.object_name for item in store.list_objects(bucket)] == ["evidence"]

    async def taken_away() -> bool:
        return any(event["reason"] == "TakenAway" and "stay" in event["message"] for event in cluster.api.events(cluster.harbor))

    await until(taken_away)
    # declared again it is the same agency, with its data and the same keys
    await _ready(cluster, cluster.harbor)
    assert (await cluster.agency(cluster.harbor)).enabled
    async with cluster.device(cluster.harbor) as device:
        await device.flush()


async def _gone(cluster: Cluster) -> bool:
    return cluster.api.get("agencies", cluster.harbor) is None


async def test_data_is_deleted_only_by_an_annotation_that_names_the_agency(cluster: Cluster) -> None:
    await cluster.start()
    await _ready(cluster, cluster.harbor)
    bucket, store = await cluster.bucket(cluster.harbor), await cluster.minio()
    for number in range(3):
        store.put_object(bucket, f"folder/{number}", io.BytesIO(b"x"), 1)
    wrong = cluster.example(cluster.harbor)
    wrong["metadata"]["annotations"] = {DELETE_DATA: "yes"}
    await cluster.api.apply(wrong)
    await cluster.api.remove("agencies", cluster.harbor)
    await cluster.condition("agencies", cluster.harbor, "Invalid", "TakenAway")
    assert len(list(store.list_objects(bucket, recursive=True))) == 3
    right = cluster.example(cluster.harbor)
    right["metadata"]["annotations"] = {DELETE_DATA: cluster.harbor}
    await cluster.api.apply(right)
    await until(lambda: _gone(cluster))
    assert not store.bucket_exists(bucket)


async def test_a_part_that_is_away_is_named_and_the_others_are_brought_about(cluster: Cluster) -> None:
    await cluster.start()
    # the account's key can't be stored
    cluster.api.failing["POST", "secrets"] = [500] * 1000
    await cluster.api.apply(cluster.example(cluster.harbor))

    async def partly() -> bool:
        bus, objects = (cluster.api.condition("agencies", cluster.harbor, type_) for type_ in ("BusReady", "ObjectsReady"))
        return bus.get("reason") == "Unavailable" and objects.get("status") == "True"

    await until(partly)
    assert cluster.api.condition("agencies", cluster.harbor)["status"] == "False"
    # and it comes back by itself
    cluster.api.failing.clear()
    await cluster.condition("agencies", cluster.harbor, "AsDeclared")


async def test_a_lost_key_closes_the_account_that_it_opened(cluster: Cluster) -> None:
    lifecycle = await cluster.start()
    await _ready(cluster, cluster.harbor)
    async with cluster.device(cluster.harbor) as device:
        await cluster.stop(lifecycle)
        for name in (f"{cluster.harbor}-nats-account", f"{cluster.harbor}-nats-devices"):
            await cluster.api.remove("secrets", name)
        await cluster.start("two")
        await poll(lambda: _cut_off(device))
    await until(lambda: _connects(cluster))


async def _connects(cluster: Cluster) -> bool:
    try:
        async with asyncio.timeout(10), cluster.device(cluster.harbor) as device:
            await device.flush()
    except (AssertionError, nats.errors.Error, OSError, TimeoutError):
        return False
    return True


async def test_what_can_not_be_carried_out_says_why(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.api.apply(cluster.example(cluster.harbor, timeZone="Mars/Base"))
    found = await cluster.condition("agencies", cluster.harbor, "Invalid")
    assert "time_zone" in found["message"]
    await _ready(cluster, cluster.harbor)
    # somebody else's login
    stolen = {"login": f"admin@{cluster.harbor}.example", "displayName": "X"}
    await cluster.api.apply(cluster.example(cluster.island, firstAdministrator=stolen))
    found = await cluster.condition("agencies", cluster.island, "Conflict")
    assert "another agency" in found["message"]
