"""`kill -9` of every process under load: what was acknowledged is found, nothing is doubled, and nobody had to help."""

import os
import signal
from collections import Counter
from collections.abc import Iterator

import grpc
import pytest

from proof.load import Load, under_load
from proof.platform import RunningPlatform, rule_named, until
from proof.world import OWNER, World
from rtcc.alerting.v1 import alerting_pb2
from rtcc.event.v1 import event_pb2
from rtcc.intake.v1 import intake_pb2
from rtcc_chassis.objects import Objects
from rtcc_chassis.rpc import CallRule
from rtcc_chassis.scope import Scope
from rtcc_ledger.verify import verify_installation

SOAK = os.environ.get("RTCC_SOAK") == "1"
TARGETS = ("core", "gateway", "video", "location", "nats", "postgres", "objects")
PER_SECOND, SECONDS = (100.0, 30.0) if SOAK else (50.0, 3.0)
ROUNDS = 5 if SOAK else 1
# one delivery in so many is a gunshot: fewer alerts a round than one list holds
GUNSHOT_EVERY = 10 if SOAK else 5
# with the back-off of restarts and of senders; on a busy machine
RECOVERED_WITHIN_S = 60.0
_PLATES: Iterator[str] = iter(f"FLT{number:04}" for number in range(1000))


async def load_of(world: World) -> Load:
    shots = await world.gunshot_source(OWNER)
    key = (OWNER, "plate_read")
    if key not in world.sources:
        world.sources[key] = await world.source(OWNER, "plate_read")
    return Load(world.platform.url, shots, world.sources[key], await world.camera(OWNER), next(_PLATES))


async def reads_of(world: World, load: Load) -> list[event_pb2.Event]:
    """All that is stored of the load's plates."""
    reads: list[event_pb2.Event] = []
    for plate in load.plates:
        request = intake_pb2.SearchPlateReadsRequest(plate=plate, limit=1000)
        reads.extend((await world.platform.ask("SearchPlateReads", world.everything(OWNER), request)).reads)
    return reads


async def alerts_of(world: World, incidents: set[str]) -> Counter[str]:
    request = alerting_pb2.ListAlertsRequest(include_closed=True, limit=1000)
    answer = await world.platform.ask("ListAlerts", world.everything(OWNER), request)
    return Counter(alert.event.gunshot.incident_id for alert in answer.alerts if alert.event.gunshot.incident_id in incidents)


def strike(platform: RunningPlatform, target: str) -> None:
    os.kill(platform.supervisor.supervised[target].facts.process_id, signal.SIGKILL)


async def everything_answers(platform: RunningPlatform, world: World) -> None:
    """A read of each service, over its real transport."""
    for method in (
        "ListCameras",
        "ListAlerts",
        "ListCalls",
        "ListPositions",
        "ListTracks",
        "ListCameraHealth",
        "ListSharedAlerts",
        "ListIncidents",
        "ListEntries",
        "ListSessions",
    ):

        async def answers(rule: CallRule = rule_named(method)) -> bool:  # noqa: B008 # the rule of this round
            answer = await platform.call(rule, rule.request_type(), platform.metadata(world.everything(OWNER)), timeout_s=5)
            return answer.code is grpc.StatusCode.OK

        await until(answers, deadline_s=RECOVERED_WITHIN_S)


@pytest.mark.timeout(1800 if SOAK else 400)
@pytest.mark.parametrize("target", TARGETS)
async def test_nothing_acknowledged_is_lost_and_nothing_doubled(mortal_platform: RunningPlatform, mortal_world: World, target: str) -> None:
    platform, world = mortal_platform, mortal_world
    for _ in range(ROUNDS):
        load = await load_of(world)
        restarts = platform.supervisor.supervised[target].facts.restarts
        await under_load(
            load,
            lambda: strike(platform, target),
            per_second=PER_SECOND,
            seconds=SECONDS,
            deadline_s=RECOVERED_WITHIN_S,
            every=GUNSHOT_EVERY,
        )
        await everything_answers(platform, world)
        assert platform.supervisor.supervised[target].facts.restarts > restarts
        assert len(load.reads) + len(load.gunshots) == int(PER_SECOND * SECONDS)
        await found_and_single(world, load)


async def found_and_single(world: World, load: Load) -> None:
    """Every acknowledged read is stored once, every gunshot raised one alert."""

    async def arrived() -> bool:
        stored, raised = await reads_of(world, load), await alerts_of(world, set(load.gunshots))
        return load.reads.keys() <= {read.event_id for read in stored} and raised.keys() == load.gunshots.keys()

    await until(arrived, deadline_s=RECOVERED_WITHIN_S)
    stored, raised = await reads_of(world, load), await alerts_of(world, set(load.gunshots))
    assert sorted(read.event_id for read in stored) == sorted(load.reads)
    assert set(raised.values()) == {1}, [incident for incident, count in raised.items() if count > 1]


@pytest.mark.timeout(400)
async def test_pictures_of_acknowledged_reads_survive_the_object_store(mortal_platform: RunningPlatform, mortal_world: World) -> None:
    platform, world = mortal_platform, mortal_world
    load = await load_of(world)
    await under_load(load, lambda: strike(platform, "objects"), per_second=20, seconds=2, deadline_s=RECOVERED_WITHIN_S)
    await found_and_single(world, load)
    reads = await reads_of(world, load)
    objects = Objects.connect(platform.settings("intake"))
    try:
        keys = {read.plate_read.image_object for read in reads}
        assert len(keys) == len(reads) and "" not in keys
        for key in keys:
            assert (await objects.get(Scope.service("intake", OWNER), OWNER, key)).startswith(b"\xff\xd8")
    finally:
        objects.close()


@pytest.mark.timeout(400)
async def test_all_at_once_is_survived(mortal_platform: RunningPlatform, mortal_world: World) -> None:
    platform, world = mortal_platform, mortal_world
    load = await load_of(world)

    def strike_all() -> None:
        for target in TARGETS:
            strike(platform, target)

    await under_load(load, strike_all, per_second=PER_SECOND, seconds=SECONDS, deadline_s=2 * RECOVERED_WITHIN_S, every=GUNSHOT_EVERY)
    await everything_answers(platform, world)
    await found_and_single(world, load)


@pytest.mark.timeout(400)
async def test_the_audit_log_is_whole_after_all_that(mortal_platform: RunningPlatform, mortal_world: World) -> None:
    # R11, R12: what JetStream acknowledged stands in the ledger, and the ledger is what it was
    async def whole() -> bool:
        info = await mortal_platform.bus.jetstream.consumer_info("AUDIT", "ledger")
        return info.num_pending == 0 and info.num_ack_pending == 0

    await until(whole, deadline_s=RECOVERED_WITHIN_S)
    reports = await verify_installation(mortal_platform.environment)
    assert {report.agency_id: report.problems for report in reports if not report.intact} == {}
    assert next(report for report in reports if report.agency_id == OWNER).tree_size > 100
