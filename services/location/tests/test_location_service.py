"""The uplink and its questions over the real API, on real PostgreSQL and NATS."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import grpc
import numpy as np
import pytest
import pytest_asyncio

from rtcc.geo.v1.geo_pb2 import Coordinate, Polygon, Position
from rtcc.ledger.v1.ledger_pb2 import AuditEntry
from rtcc.location.v1 import location_pb2 as pb
from rtcc.location.v1 import location_pb2_grpc
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.clock import utc_now
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import InvalidInput, NotFound, PurposeRequired, Refused, RtccError, Unauthenticated, from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import POSITIONS, QUARANTINE, audit_subject, directory_subject
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_location.app.trail import TrailRecorder, expire
from rtcc_location.app.uplink import Uplink
from rtcc_location.domain.live import LiveState
from rtcc_location.domain.trail import Trail
from rtcc_location.events import TrailFollower
from rtcc_location.service import LastKnownSaver, _recovered, serve
from rtcc_location.store import LocationStore, TrailStore

KEY = "device-key"
EAST = person("east", "operator", name="East Operator")
WEST = person("west", "operator", name="West Operator")
GATEWAY = Scope.platform("gateway")


class Location:
    """Calls the service; writes the directory as the registry would."""

    def __init__(self, platform: TestPlatform, context: ServiceContext) -> None:
        self.platform = platform
        self.context = context
        self.stub = context.channels.stub("location", location_pb2_grpc.LocationServiceStub)

    async def add(self, type_name: str, agency_id: str, identifier: str, message: Any) -> None:
        await self.context.bus.publish(
            directory_subject(type_name, agency_id, identifier), message, message_id=new_id(), agency_id=agency_id
        )
        mirror = self.context.directory.mirror(type_name, type(message))
        await poll(lambda: _holds(lambda: mirror.get(identifier) == message))

    async def add_unit(self, unit_id: str, agency_id: str, **more: Any) -> None:
        unit = registry_pb2.Unit(
            unit_id=unit_id, agency_id=agency_id, call_sign=unit_id.upper(), kind="patrol", device_id=f"tracker-{unit_id}",
            device_key_sha256=hashlib.sha256(KEY.encode()).hexdigest(), enabled=more.pop("enabled", True),
        )  # fmt: skip
        await self.add("unit", agency_id, unit_id, unit)

    async def submit(self, unit_id: str, *fixes: pb.Fix, key: str = KEY, scope: Scope = GATEWAY) -> pb.SubmitFixesResponse:
        request = pb.SubmitFixesRequest(device_id=f"tracker-{unit_id}", device_key=key, fixes=fixes, source_address="10.0.0.7")
        return await self._answer(self.stub.SubmitFixes(request, metadata=self.platform.metadata(scope)))

    async def positions(self, scope: Scope) -> dict[str, pb.UnitPosition]:
        answer = await self._answer(self.stub.ListPositions(pb.ListPositionsRequest(), metadata=self.platform.metadata(scope)))
        return {position.unit_id: position for position in answer.positions}

    async def nearest(self, scope: Scope, **fields: Any) -> list[str]:
        request = pb.FindNearestRequest(coordinate=Coordinate(latitude_deg=60.17, longitude_deg=24.94), **fields)
        answer = await self._answer(self.stub.FindNearest(request, metadata=self.platform.metadata(scope)))
        return [near.unit.unit_id for near in answer.units]

    async def stream(self, metadata: Any, *messages: list[pb.Fix]) -> pb.StreamFixesResponse:
        requests = [pb.StreamFixesRequest(fixes=fixes) for fixes in messages]
        return await self._answer(self.stub.StreamFixes(iter(requests), metadata=metadata))

    async def stored(self, subject: str) -> list[pb.PositionBatch]:
        """Every batch on a subject of POSITIONS."""
        found: list[pb.PositionBatch] = []

        async def take(deliveries: Any) -> None:
            found.extend(delivery.parse(pb.PositionBatch) for delivery in deliveries)

        tail = self.context.bus.tail(POSITIONS, [subject], take, start="all")
        task = self.context.lifecycle.spawn(tail.run(), "test tail")
        await tail.caught_up()
        task.cancel()
        return found

    async def _answer(self, call: Any) -> Any:
        try:
            return await call
        except grpc.RpcError as error:
            raise from_rpc(error) from None


@pytest_asyncio.fixture
async def location(small_platform: TestPlatform) -> AsyncIterator[Location]:
    await small_platform.serve({"location": serve})
    location = Location(small_platform, await small_platform.context("location"))
    await location.add_unit("w1", "west")
    await location.add_unit("w2", "west")
    await location.add_unit("e1", "east")
    yield location


def fix(latitude: float = 60.17, longitude: float = 24.94, at: datetime | None = None, panic: bool = False, **more: Any) -> pb.Fix:
    made = pb.Fix(position=Position(coordinate=Coordinate(latitude_deg=latitude, longitude_deg=longitude), **more), panic=panic)
    made.fixed_at.FromDatetime(at or utc_now())
    return made


async def test_a_fix_is_accepted_durable_and_seen_with_its_age(location: Location) -> None:
    at = utc_now() - timedelta(seconds=5)
    answer = await location.submit("w1", fix(at=at, speed_mps=3.5, heading_deg=90.25, accuracy_m=4))
    assert (answer.accepted, answer.rejected) == (1, 0)
    (batch,) = await location.stored("position.west")
    assert (list(batch.unit_ids), list(batch.heading_cdeg)) == (["w1"], [9025])
    seen = (await location.positions(WEST))["w1"]
    assert 5 <= seen.age_s <= (utc_now() - at).total_seconds()
    assert (seen.call_sign, seen.position.speed_mps, seen.position.heading_deg) == ("W1", 3.5, 90.25)


async def test_a_wrong_key_an_unknown_device_and_a_disabled_unit_are_refused_alike(location: Location) -> None:
    await location.add_unit("w2", "west", enabled=False)
    words = set()
    for unit_id, key in (("w1", "wrong"), ("nobody", KEY), ("w2", KEY), ("w1", "")):
        with pytest.raises(Unauthenticated) as caught:
            await location.submit(unit_id, fix(), key=key)
        words.add(caught.value.message)
    assert len(words) == 1


async def test_only_the_gateway_relays_for_devices(location: Location) -> None:
    for scope in (WEST, Scope.platform("intake")):
        with pytest.raises(Refused):
            await location.submit("w1", fix(), scope=scope)


async def test_a_device_streams_with_its_key_or_with_a_token(location: Location) -> None:
    keyed = (("rtcc-device-id", "tracker-w1"), ("rtcc-device-key", KEY))
    answer = await location.stream(keyed, [fix(), fix(latitude=99)], [fix(at=utc_now() + timedelta(minutes=5))], [fix()])
    assert (answer.accepted, answer.rejected, len(answer.reasons)) == (2, 2, 2)
    token = location.platform.metadata(Scope("west", "tracker-w2", "device", frozenset({"device"})))
    assert (await location.stream(token, [fix()])).accepted == 1
    with pytest.raises(Unauthenticated):
        await location.stream((("rtcc-device-id", "tracker-w1"), ("rtcc-device-key", "wrong")), [fix()])
    stolen = location.platform.metadata(Scope("east", "tracker-w1", "device", frozenset({"device"})))
    with pytest.raises(Unauthenticated):
        await location.stream(stolen, [fix()])
    with pytest.raises(RtccError):
        await location.stream(location.platform.metadata(WEST), [fix()])


async def test_late_fixes_are_kept_as_history_and_never_shown(location: Location) -> None:
    now = utc_now()
    await location.submit("w1", fix(60.17, at=now))
    answer = await location.submit("w1", fix(60.99, at=now - timedelta(minutes=1)))
    assert answer.accepted == 1
    assert (await location.positions(WEST))["w1"].position.coordinate.latitude_deg == 60.17
    (late,) = await location.stored("position.west.late")
    assert list(late.latitude_e7) == [609_900_000]
    assert len(await location.stored("position.west")) == 1
    # the same fix again is known already: accepted, stored once
    assert (await location.submit("w1", fix(60.17, at=now))).accepted == 1
    assert len(await location.stored("position.west")) == 1


async def test_refused_fixes_are_listed_for_operators_once_a_minute(location: Location) -> None:
    for _ in range(3):
        await location.submit("w1", fix(latitude=-91))
    state = await location.context.bus.jetstream.stream_info(QUARANTINE.name)
    assert state.state.messages == 1


class Recording:
    """Stands where batches become durable."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []

    async def publish(self, fresh: dict[str, Any], late: Any) -> None:
        self.published.append(fresh)

    async def refused(self, unit: Any, fixes: Any, reasons: Any) -> None:
        raise AssertionError("nothing is wrong here")


async def test_fixes_of_many_devices_leave_in_one_message() -> None:
    recording = Recording()
    uplink = Uplink(LiveState(), recording, recording, utc_now, batch_s=0.1, waiting_most=100)
    units = [registry_pb2.Unit(unit_id=unit_id, agency_id="west") for unit_id in ("w1", "w2")]
    # over the API a busy machine may let some time pass between two devices
    taking = asyncio.gather(*(uplink.take(unit, [fix()]) for unit in units))
    running = asyncio.create_task(uplink.run())
    await taking
    running.cancel()
    (batch,) = recording.published
    assert sorted(batch["west"].unit_ids) == ["w1", "w2"]


async def test_a_call_for_help_does_not_wait_for_the_batch() -> None:
    recording = Recording()
    uplink = Uplink(LiveState(), recording, recording, utc_now, batch_s=30.0, waiting_most=100)
    running = asyncio.create_task(uplink.run())
    unit = registry_pb2.Unit(unit_id="w1", agency_id="west")
    ordinary = asyncio.create_task(uplink.take(unit, [fix()]))
    await asyncio.sleep(0)
    # half of what the batch would wait
    async with asyncio.timeout(15):
        assert (await uplink.take(unit, [fix(panic=True)])).accepted == 1
        await ordinary
    running.cancel()
    assert len(recording.published[0]["west"]) == 2


async def test_nothing_is_accepted_while_it_cannot_be_stored(location: Location) -> None:
    await location.submit("w1", fix())
    location.platform.nats_process.kill()
    with pytest.raises(RtccError) as caught:
        await location.submit("w1", fix(61.0))
    assert "not available" in caught.value.message
    assert location.context.lifecycle.exit_code == 0


async def test_a_restart_finds_everybody_where_they_were(location: Location) -> None:
    await location.submit("w1", fix(60.11))
    context = location.context
    store = LocationStore(context.database)

    async def saved() -> bool:
        fixes, _, sequence = await store.load(Scope.platform("location"))
        return len(fixes) == 1 and sequence > 0

    await poll(saved)
    await location.submit("w2", fix(60.12, panic=True))
    # what a new process does: the table, then what the stream has beyond it
    live = LiveState()
    tail = await _recovered(context, store, live)
    task = context.lifecycle.spawn(tail.run(), "second tail")
    await tail.caught_up()
    task.cancel()
    assert sorted(live.unit_ids) == ["w1", "w2"]
    assert live.numbers[0, : len(live)].tolist() == [601_100_000, 601_200_000]
    await LastKnownSaver(store, live, tail).save()
    fixes, agencies, _ = await store.load(Scope.platform("location"))
    assert sorted(fixes.unit_ids) == ["w1", "w2"] and set(agencies) == {"west"}


async def test_partners_see_units_only_as_granted_and_where(location: Location) -> None:  # R16
    await location.submit("w1", fix(60.17))
    await location.submit("w2", fix(60.50))
    await location.submit("e1", fix(60.171))
    assert set(await location.positions(EAST)) == {"e1"}
    square = [(60.1, 24.0), (60.1, 25.0), (60.2, 25.0), (60.2, 24.0)]
    agreement = registry_pb2.Agreement(
        agreement_id="a1", grantor_agency_id="west", grantee_agency_id="east", status=registry_pb2.AGREEMENT_STATUS_ACTIVE, units=True,
        area=Polygon(corners=[Coordinate(latitude_deg=latitude, longitude_deg=longitude) for latitude, longitude in square]),
    )  # fmt: skip
    await location.add("agreement", "west", "a1", agreement)
    assert set(await location.positions(EAST)) == {"e1", "w1"}
    assert await location.nearest(EAST) == ["w1", "e1"]
    agreement.purposes.append("pursuit")
    await location.add("agreement", "west", "a1", agreement)
    assert set(await location.positions(EAST)) == {"e1"}
    assert set(await location.positions(person("east", "operator", purpose="pursuit", case_number="1"))) == {"e1", "w1"}
    agreement.status = registry_pb2.AGREEMENT_STATUS_REVOKED
    await location.add("agreement", "west", "a1", agreement)
    assert set(await location.positions(person("east", "operator", purpose="pursuit", case_number="1"))) == {"e1"}
    assert set(await location.positions(WEST)) == {"w1", "w2"}


async def test_the_nearest_are_young_and_enabled(location: Location) -> None:
    await location.submit("w1", fix(60.1701))
    await location.submit("w2", fix(60.1702, at=utc_now() - timedelta(minutes=11)))
    assert await location.nearest(WEST) == ["w1"]
    assert await location.nearest(WEST, max_age_s=3_600) == ["w1", "w2"]
    await location.add_unit("w1", "west", enabled=False)
    assert await location.nearest(WEST, max_age_s=3_600) == ["w2"]


async def _holds(question: Any) -> bool:
    return bool(question())


async def trail(location: Location, scope: Scope, unit_id: str = "w1", **fields: Any) -> pb.GetTrailResponse:
    return await location._answer(
        location.stub.GetTrail(pb.GetTrailRequest(unit_id=unit_id, **fields), metadata=location.platform.metadata(scope))
    )


SEARCHING = person("west", "supervisor", name="West Supervisor", purpose="officer welfare", case_number="26-0007")


async def test_a_trail_tells_where_a_unit_went_and_where_it_is(location: Location) -> None:
    now = utc_now()
    steps = [fix(60.17 + step / 1e4, at=now - timedelta(seconds=90 - step), accuracy_m=6, speed_mps=10) for step in range(0, 90, 10)]
    await location.submit("w1", *steps)
    # a phone without network sends what it saw later: it belongs to the trail, not to the live picture
    await location.submit("w1", fix(60.5, at=now - timedelta(seconds=85)))
    await location.submit("w2", fix(61))

    async def recorded() -> list[pb.GetTrailResponse]:
        found = await trail(location, SEARCHING)
        return [found] if found.stored == 10 else []

    found = (await poll(recorded))[0]
    latitudes = [round(point.position.coordinate.latitude_deg, 4) for point in found.points]
    assert latitudes == [60.17, 60.5, *(round(60.17 + step / 1e4, 4) for step in range(10, 90, 10))]
    assert found.points[0].position.speed_mps == 10 and not found.points[1].position.HasField("speed_mps")
    assert (found.last.unit_id, found.last.position.accuracy_m) == ("w1", 6) and 10 <= found.last.age_s <= (
        utc_now() - now
    ).total_seconds() + 10
    few = await trail(location, SEARCHING, limit=3)
    assert (len(few.points), few.stored) == (3, 10) and few.points[-1] == found.points[-1]


async def test_a_bus_of_a_public_feed_has_a_trail_too(location: Location) -> None:
    bus = [
        pb.Vehicle(vehicle_id="hsl/1207", label="550 1207", fix=fix(60.17 + step / 1e4, at=utc_now() - timedelta(seconds=9 - step)))
        for step in range(3)
    ]
    intake = location.platform.metadata(Scope.service("intake", "west"))
    for vehicle in bus:
        await location._answer(location.stub.SubmitVehicles(pb.SubmitVehiclesRequest(source_id="s1", vehicles=[vehicle]), metadata=intake))

    async def driven() -> bool:
        found = [unit_id for unit_id, position in (await location.positions(WEST)).items() if position.call_sign == "550 1207"]
        return bool(found) and (await trail(location, SEARCHING, found[0])).stored == len(bus)

    await poll(driven)


async def test_a_trail_is_written_once_however_often_the_stream_is_read(location: Location) -> None:
    await location.submit("w1", fix(at=utc_now() - timedelta(seconds=3)), fix(60.18))
    store = TrailStore(location.context.database)
    for _ in range(2):
        recorder = TrailRecorder(store)
        tail = location.context.bus.tail(POSITIONS, ["position.>"], TrailFollower(recorder).on_batch, start="all")
        task = location.context.lifecycle.spawn(tail.run(), "test trail")
        await tail.caught_up()
        task.cancel()
        await recorder.save()
        assert recorder.waiting("west", "w1") == []
    scope = Scope.platform("location")
    now = int(utc_now().timestamp()) // 60
    assert sum(len(minute) for minute in await store.read(scope, "w1", now - 1, now)) == 2
    info = await location.context.bus.jetstream.stream_info(POSITIONS.name)
    assert await store.progress(scope) == info.state.last_seq


async def test_a_trail_needs_purpose_right_and_the_own_agency(location: Location) -> None:  # R18
    await location.submit("w1", fix())
    for scope, error in (
        (person("west", "supervisor"), PurposeRequired),
        (person("west", "officer", purpose="x", case_number="1"), Refused),
        (person("east", "supervisor", purpose="x", case_number="1"), NotFound),
    ):
        with pytest.raises(error):
            await trail(location, scope)
    with pytest.raises(InvalidInput):
        await trail(location, SEARCHING, **{"from": utc_now() - timedelta(hours=25)})
    with pytest.raises(InvalidInput):
        await trail(location, SEARCHING, limit=5_001)


async def test_old_trails_go_and_their_agency_has_the_proof(location: Location) -> None:  # R22
    await location.submit("w1", fix())
    store, scope, now = TrailStore(location.context.database), Scope.platform("location"), int(utc_now().timestamp()) // 60
    await store.merge(scope, {("west", "w1", now - 90_000): Trail(np.zeros((6, 1), np.int64), np.zeros(1, bool))}, 1)
    task = location.context.lifecycle.spawn(expire(store, location.context.access, utc_now, 30), "test expiry")

    async def gone() -> bool:
        return not await store.read(scope, "w1", 0, now - 80_000)

    await poll(gone)

    async def told() -> bool:
        message = await location.context.bus.jetstream.get_last_msg("AUDIT", audit_subject("west"))
        entry = AuditEntry.FromString(message.data or b"")
        return entry.action == "position.trail_expire" and entry.reason.startswith("1 unit-minutes")

    await poll(told)
    task.cancel()
