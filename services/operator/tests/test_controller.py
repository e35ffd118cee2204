"""How the controller lives with the API server, with another one of its kind, and with being killed."""

import os
import signal

from .conftest import SHORT_LEASE, Cluster, until


def _lists(cluster: Cluster) -> int:
    """Lists and watches of agencies, less the watches."""
    all_calls = [call for call in cluster.api.calls if call == ("GET", "agencies")]
    return len(all_calls) - sum(watch.startswith("agencies@") for watch in cluster.api.watches)


async def _watching(cluster: Cluster) -> bool:
    return len(cluster.api.watch_connections) == 2


async def test_a_cut_watch_goes_on_at_its_place(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.api.apply(cluster.example(cluster.harbor))
    await cluster.condition("agencies", cluster.harbor, "AsDeclared")
    before, place = cluster.api.watches[-1], cluster.api.version
    lists = [call for call in cluster.api.calls if call == ("GET", "agencies")]
    cluster.api.cut_watches()
    await until(lambda: _watching(cluster))
    await cluster.api.apply(cluster.example(cluster.island))
    await cluster.condition("agencies", cluster.island, "AsDeclared")
    resumed = [int(watch.split("@")[1]) for watch in cluster.api.watches if watch.startswith("agencies@")]
    assert len(resumed) == 2, (before, lists)
    assert resumed[0] < resumed[1] <= place


async def test_an_expired_place_lists_again(cluster: Cluster) -> None:
    await cluster.start()
    await cluster.api.apply(cluster.example(cluster.harbor))
    await cluster.condition("agencies", cluster.harbor, "AsDeclared")
    cluster.api.failing["GET", "agencies"] = [500] * 2
    cluster.api.cut_watches()
    # what happens while nobody watches, and is forgotten before anybody could
    await cluster.api.apply(cluster.example(cluster.island))
    await cluster.api.compact()
    await cluster.condition("agencies", cluster.island, "AsDeclared")
    newest = [int(watch.split("@")[1]) for watch in cluster.api.watches if watch.startswith("agencies@")][-1]
    assert newest >= cluster.api.compacted


async def test_conflicts_and_errors_of_the_api_are_waited_out(cluster: Cluster) -> None:
    cluster.api.failing["PUT", "agencies"] = [409, 500, 409, 503]
    cluster.api.failing["POST", "events"] = [500] * 3
    await cluster.start()
    await cluster.api.apply(cluster.example(cluster.harbor))
    await cluster.condition("agencies", cluster.harbor, "AsDeclared")
    assert not cluster.api.failing["PUT", "agencies"]


def _holder(cluster: Cluster) -> str:
    lease = cluster.api.get("leases", "rtcc-operator") or {"spec": {}}
    return str(lease["spec"].get("holderIdentity") or "")


async def test_one_leads_and_another_takes_over_when_it_goes(cluster: Cluster) -> None:
    first = await cluster.start("one")

    async def led_by(name: str) -> bool:
        return _holder(cluster) == name

    await until(lambda: led_by("one"))
    await cluster.start("two")
    await cluster.api.apply(cluster.example(cluster.harbor))
    await cluster.condition("agencies", cluster.harbor, "AsDeclared")
    # a follower neither lists nor watches
    assert len(cluster.api.watch_connections) == 2
    assert _holder(cluster) == "one"
    before = cluster.api.version
    await cluster.stop(first)
    await until(lambda: led_by("two"))
    # given back, so nobody waited for its end
    leases = [item["spec"] for number, plural, _, item in cluster.api.log if number > before and plural == "leases"]
    assert "" in [spec.get("holderIdentity") or "" for spec in leases]
    await cluster.api.apply(cluster.example(cluster.island))
    await cluster.condition("agencies", cluster.island, "AsDeclared")
    assert (cluster.api.get("leases", "rtcc-operator") or {})["spec"]["leaseTransitions"] == 1


async def test_a_leader_that_can_not_renew_stops_before_another_may_start(cluster: Cluster) -> None:
    await cluster.start("one", **SHORT_LEASE)

    async def led_by(name: str) -> bool:
        return _holder(cluster) == name

    await until(lambda: led_by("one"))
    await until(lambda: _watching(cluster))
    cluster.api.failing["PUT", "leases"] = [500] * 30

    async def idle() -> bool:
        return not cluster.api.watch_connections

    await until(idle)
    # the lease still stands: between the leader's own deadline and the end of the lease nobody works
    assert _holder(cluster) == "one"
    cluster.api.failing.clear()
    await until(lambda: _watching(cluster))


async def test_killed_in_the_middle_the_next_one_ends_what_it_began(cluster: Cluster) -> None:
    process = await cluster.start_process("killed")

    async def began() -> bool:
        return cluster.api.get("secrets", f"{cluster.harbor}-nats-account") is not None

    await cluster.api.apply(cluster.example(cluster.harbor))
    await until(
        began,
    )
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    await cluster.start("next", **SHORT_LEASE)
    await cluster.condition("agencies", cluster.harbor, "AsDeclared")
    assert len(await cluster.people()) == 1
    async with cluster.device(cluster.harbor) as device:
        await device.flush()
