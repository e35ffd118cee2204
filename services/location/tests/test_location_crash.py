"""`kill -9` of the location service under load: what was accepted is found, and everybody is where they were last."""

import asyncio
import contextlib
import hashlib
from datetime import timedelta
from typing import Any

import grpc

from rtcc.geo.v1.geo_pb2 import Coordinate, Position
from rtcc.location.v1 import location_pb2 as pb
from rtcc.location.v1 import location_pb2_grpc
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.clock import utc_now
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import POSITIONS, directory_subject
from rtcc_chassis.testing import TestPlatform, free_port, person, poll

KEY = "device-key"
UNITS = 10
KILLS = 2


class Tracker:
    """A device that sends one fix after the other and notes which were accepted. Latitudes count up, so each fix is told apart."""

    def __init__(self, number: int) -> None:
        self.unit_id = f"w{number}"
        self.sent = 0
        self.accepted: list[int] = []

    async def run(self, stub: Any, metadata: Any) -> None:
        while True:
            self.sent += 1
            fix = pb.Fix(position=Position(coordinate=Coordinate(latitude_deg=self.sent / 1e4, longitude_deg=24.94)))
            fix.fixed_at.FromDatetime(utc_now())
            request = pb.SubmitFixesRequest(device_id=f"tracker-{self.unit_id}", device_key=KEY, fixes=[fix])
            with contextlib.suppress(grpc.RpcError):
                answer = await stub.SubmitFixes(request, metadata=metadata, timeout=15)
                self.accepted += [self.sent] * answer.accepted


async def test_accepted_fixes_survive_kill_9_and_live_state_comes_back(small_platform: TestPlatform) -> None:
    context = await small_platform.context("gateway")
    for number in range(UNITS):
        unit = registry_pb2.Unit(
            unit_id=f"w{number}", agency_id="west", call_sign=f"W{number}", kind="patrol", device_id=f"tracker-w{number}",
            device_key_sha256=hashlib.sha256(KEY.encode()).hexdigest(), enabled=True,
        )  # fmt: skip
        subject = directory_subject("unit", "west", unit.unit_id)
        await context.bus.publish(subject, unit, message_id=new_id(), agency_id="west")
    port = free_port()
    trackers = [Tracker(number) for number in range(UNITS)]
    relay = small_platform.metadata(Scope.platform("gateway"))
    process = await small_platform.start_process("location", port)
    options = [("grpc.max_reconnect_backoff_ms", 200), ("grpc.initial_reconnect_backoff_ms", 50)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        stub = location_pb2_grpc.LocationServiceStub(channel)
        sending = [asyncio.create_task(tracker.run(stub, relay)) for tracker in trackers]
        for _ in range(KILLS):
            reached = [len(tracker.accepted) + 5 for tracker in trackers]
            await poll(lambda wanted=reached: _all_reached(trackers, wanted), deadline_s=60)  # type: ignore[misc] # bound per round
            process.kill()
            process.wait()
            process = await small_platform.start_process("location", port)
        reached = [len(tracker.accepted) + 1 for tracker in trackers]
        await poll(lambda: _all_reached(trackers, reached), deadline_s=60)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        process.kill()
        process.wait()
        process = await small_platform.start_process("location", port)
        answer = await stub.ListPositions(
            pb.ListPositionsRequest(), metadata=small_platform.metadata(person("west", "operator")), wait_for_ready=True
        )
    stored = await _stored(context)
    for tracker in trackers:
        missing = set(tracker.accepted) - stored[tracker.unit_id]
        assert not missing, f"{tracker.unit_id}: accepted and not found: {sorted(missing)}"
    assert {position.unit_id for position in answer.positions} == {tracker.unit_id for tracker in trackers}
    for position in answer.positions:
        newest = max(stored[position.unit_id])
        assert round(position.position.coordinate.latitude_deg * 1e4) == newest
        assert position.age_s < timedelta(minutes=2).total_seconds()


async def _all_reached(trackers: list[Tracker], wanted: list[int]) -> bool:
    return all(len(tracker.accepted) >= count for tracker, count in zip(trackers, wanted, strict=True))


async def _stored(context: Any) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}

    async def take(deliveries: Any) -> None:
        for delivery in deliveries:
            batch = delivery.parse(pb.PositionBatch)
            for unit_id, latitude_e7 in zip(batch.unit_ids, batch.latitude_e7, strict=True):
                found.setdefault(unit_id, set()).add(round(latitude_e7 / 1e3))

    tail = context.bus.tail(POSITIONS, ["position.*"], take, start="all")
    task = context.lifecycle.spawn(tail.run(), "test tail")
    await tail.caught_up()
    task.cancel()
    return found
