"""Search over recordings with real PostgreSQL and gRPC: what is found, by whom, what the logs say, and that it goes with the footage."""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from rtcc.geo.v1.geo_pb2 import BoundingBox, Coordinate
from rtcc.registry.v1.registry_pb2 import Camera
from rtcc.video.v1 import footage_search_pb2 as pb
from rtcc.video.v1 import footage_search_pb2_grpc
from rtcc_chassis.clock import utc_now
from rtcc_chassis.errors import InvalidInput, NotFound, PurposeRequired, Refused, RtccError, from_rpc
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform, person, poll
from rtcc_video.recording.domain import Segment
from rtcc_video.recording.store import FootageStore
from rtcc_video.searching.domain import MotionMinute, buckets, seconds_of, spans, step_of
from rtcc_video.searching.motion_index import MotionIndex
from rtcc_video.searching.store import SearchStore

from .center import Center, serving

DETECTIVE = person("east", "investigator", name="East Detective", purpose="robbery", case_number="E-1")
PARTNER = person("west", "investigator", name="West Detective", purpose="robbery", case_number="W-1")
PLATFORM = Scope.platform("video")
# a whole minute some time ago
NOON = utc_now().replace(second=0, microsecond=0) - timedelta(hours=3)


class Archive:
    """What is stored, and the calls that look for it."""

    def __init__(self, center: Center) -> None:
        self.center, database = center, center.context.database
        self.footage, self.searching = FootageStore(database), SearchStore(database)
        self.stub = footage_search_pb2_grpc.FootageSearchServiceStub(center.context.channels.channel("video"))

    async def call(self, scope: Scope, method: str, minutes: float = 60, **fields: Any) -> Any:
        request = getattr(pb, f"{method}Request")(**fields)
        request.starts_at.FromDatetime(NOON)
        request.ends_at.FromDatetime(NOON + timedelta(minutes=minutes))
        try:
            return await getattr(self.stub, method)(request, metadata=self.center.platform.metadata(scope))
        except grpc.RpcError as error:
            raise from_rpc(error) from None

    async def minute(self, camera_id: str, offset: int, loud: dict[int, int], agency_id: str = "east") -> Segment:
        """A recorded minute in one segment; `loud`: second -> byte, the others are quiet."""
        begin = NOON + timedelta(minutes=offset)
        segment = Segment(
            new_id(), agency_id, camera_id, begin, begin + timedelta(seconds=59), None, 0, "i", f"k{new_id()}",
            hashlib.sha256(new_id().encode()).hexdigest(), 1000, 25, True, True,
        )  # fmt: skip
        await self.footage.add_segments(PLATFORM, [segment], [])
        scores = bytes(loud.get(second, 5) for second in range(60))
        await self.searching.put_motion(PLATFORM, [(agency_id, MotionMinute(camera_id, begin, scores))])
        return segment


@pytest_asyncio.fixture
async def archive(small_platform: TestPlatform, make_clip: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Archive]:
    await small_platform.servers.s3_endpoint()
    async with serving(small_platform, make_clip, monkeypatch) as center:
        found = Archive(center)

        async def known() -> bool:
            try:
                await found.call(DETECTIVE, "ListMotion", camera_ids=["c1", "c2"])
            except RtccError:
                return False
            return True

        await poll(known, deadline_s=30)
        yield found


async def test_motion_is_listed_and_searched_and_stands_in_the_log(archive: Archive) -> None:
    await archive.minute("c1", 0, {10: 80, 11: 200, 13: 90, 40: 255})
    await archive.minute("c1", 1, {})
    await archive.minute("c2", 5, {30: 120})
    answer = await archive.call(DETECTIVE, "ListMotion", minutes=10, camera_ids=["c1", "c2", "c3"])
    assert (answer.step_s, answer.threshold) == (1, 48)
    first, second, third = answer.cameras
    assert [(span.started_at.seconds, span.ended_at.seconds, span.peak, span.scene_change) for span in first.spans] == [
        (int(NOON.timestamp()) + 10, int(NOON.timestamp()) + 14, 199, False),
        (int(NOON.timestamp()) + 40, int(NOON.timestamp()) + 41, 253, True),
    ]
    assert len(first.scores) == 600
    assert (first.scores[11], first.scores[50], first.scores[300]) == (200, 5, 0)
    assert second.scores[330] == 120
    assert not any(third.scores)
    found = await archive.call(DETECTIVE, "SearchFootage", kinds=["motion"])
    assert [(lead.camera_id, lead.kind, round(lead.score, 2)) for lead in found.leads] == [("c1", "motion", 0.79), ("c2", "motion", 0.47)]
    assert found.leads[0].at.ToDatetime(UTC) == NOON + timedelta(seconds=11)
    assert "not proof" in found.notice
    assert (found.cameras_searched, found.more) == (3, False)
    entry = await archive.center.audited("footage.search", agency_id="east", purpose="robbery", case_number="E-1")  # R8, R18
    assert {"camera:c1", "camera:c2", "camera:c3", "search:motion", f"lead:{found.leads[0].lead_id}"} <= set(entry.object_ids)
    turned = await archive.call(DETECTIVE, "SearchFootage", kinds=["scene_change"], camera_ids=["c1"])
    assert [lead.kind for lead in turned.leads] == ["scene_change"]
    few = await archive.call(DETECTIVE, "SearchFootage", kinds=["motion"], limit=1)
    assert (len(few.leads), few.more) == (1, True)


async def test_an_area_takes_the_cameras_that_stand_in_it(archive: Archive) -> None:
    for camera_id, longitude in (("c1", 24.90), ("c2", 25.10)):
        camera = Camera(camera_id=camera_id, agency_id="east", name=camera_id, enabled=True, has_stream=True)
        camera.coordinate.CopyFrom(Coordinate(latitude_deg=60.17, longitude_deg=longitude))
        await archive.center.store("camera", "east", camera_id, camera)
        await archive.minute(camera_id, 0, {10: 200})
    area = BoundingBox(south_deg=60.1, west_deg=24.8, north_deg=60.2, east_deg=25.0)

    async def one() -> bool:
        found = await archive.call(DETECTIVE, "SearchFootage", kinds=["motion"], area=area)
        return [lead.camera_id for lead in found.leads] == ["c1"]

    await poll(one)


async def test_only_who_may_see_the_recordings_finds_anything(archive: Archive) -> None:
    await archive.minute("c1", 0, {10: 200})
    await archive.minute("c2", 0, {20: 200})
    for method in ("ListMotion", "SearchFootage"):
        with pytest.raises(PurposeRequired):
            await archive.call(person("east", "investigator"), method, camera_ids=["c1"])
        for scope in (PARTNER, person("east", "officer", purpose="p", case_number="c")):
            with pytest.raises(Refused):
                await archive.call(scope, method, camera_ids=["c1"])
        with pytest.raises(NotFound):
            await archive.call(DETECTIVE, method, camera_ids=["nowhere"])
    nothing = await archive.call(PARTNER, "SearchFootage", kinds=["motion"])
    assert (list(nothing.leads), nothing.cameras_searched) == ([], 0)
    await archive.center.grant(cameras_recorded=True)

    async def granted() -> Any:
        found = await archive.call(PARTNER, "SearchFootage", kinds=["motion"])
        return found if found.leads else None

    found = await poll(granted)
    # the agreement names c1 alone
    assert [(lead.camera_id, lead.owner_agency_id) for lead in found.leads] == [("c1", "east")]
    entry = await archive.center.audited("footage.search", agency_id="east", agreement_id="a1", principal_agency_id="west")  # R16
    assert "camera:c1" in entry.object_ids
    assert "camera:c2" not in entry.object_ids
    with pytest.raises(Refused):
        await archive.call(PARTNER, "ListMotion", camera_ids=["c1", "c2"])


async def test_the_index_goes_with_the_footage_and_a_minute_is_written_in_parts(archive: Archive) -> None:
    kept = await archive.minute("c1", 0, {10: 200})
    gone = await archive.minute("c1", 1, {10: 100})
    await archive.searching.put_motion(PLATFORM, [("east", MotionMinute("c1", kept.started_at, bytes([0] * 30 + [90] + [0] * 29)))])
    (first, second), = (await archive.searching.motion(DETECTIVE, ["c1"], NOON, NOON + timedelta(minutes=2))).values()  # fmt: skip
    assert (first.scores[10], first.scores[30], first.scores[59]) == (200, 90, 5)
    assert second.scores[10] == 100
    async with archive.footage.deleting(Scope.service("video", "east")) as batch:
        await batch.delete([gone], [], [])
    (left,) = (await archive.searching.motion(DETECTIVE, ["c1"], NOON, NOON + timedelta(minutes=2))).values()
    assert [one.minute for one in left] == [kept.started_at]  # R22
    # what was measured of a segment that never came into the index
    await archive.searching.put_motion(PLATFORM, [("east", MotionMinute("c9", NOON - timedelta(days=3), bytes([9] * 60)))])
    assert await archive.searching.remove_orphans(PLATFORM, utc_now() - timedelta(days=2)) == 1


async def test_what_can_not_be_asked_is_told(archive: Archive) -> None:
    for fields in (
        {"colour": "mauve"},
        {"least_score": 2.0},
        {"limit": 201},
        {"kinds": ["x" * 61]},
        {"minutes": 8 * 24 * 60},
        {"minutes": -1},
        {"area": BoundingBox(south_deg=5, north_deg=1)},
        {"camera_ids": [str(number) for number in range(201)]},
    ):
        with pytest.raises(InvalidInput):
            await archive.call(DETECTIVE, "SearchFootage", **fields)
    for wrong in ({}, {"camera_ids": ["c1"], "threshold": 254}, {"camera_ids": [str(number) for number in range(17)]}):
        with pytest.raises(InvalidInput):
            await archive.call(DETECTIVE, "ListMotion", **wrong)


async def test_measured_seconds_wait_for_an_index_that_is_away(archive: Archive) -> None:
    class Away:
        async def put_motion(self, scope: Scope, minutes: Any) -> None:
            raise NotFound("index", "away")

        async def remove_orphans(self, scope: Scope, before: datetime) -> int:
            return 0

    from rtcc_video.searching.motion import Second

    index = MotionIndex(Away(), utc_now)
    second = int(NOON.timestamp()) + 7
    index._ready.append(("east", "c1", Second(second, 90, False)))
    with pytest.raises(NotFound):
        await index.write()
    index._store = archive.searching
    await index.write()
    (found,) = (await archive.searching.motion(DETECTIVE, ["c1"], NOON, NOON + timedelta(minutes=1))).values()
    assert found[0].scores[7] == 91


minutes = st.lists(
    st.tuples(st.integers(0, 5), st.binary(min_size=60, max_size=60)), max_size=5, unique_by=lambda one: one[0]
).map(lambda rows: [MotionMinute("c", NOON + timedelta(minutes=at), scores) for at, scores in sorted(rows)])  # fmt: skip


@given(minutes, st.integers(0, 400), st.integers(1, 5000), st.integers(1, 253))
def test_spans_and_buckets_agree_with_every_second(rows: list[MotionMinute], begin: int, length: int, threshold: int) -> None:
    starts_at = NOON + timedelta(seconds=begin)
    ends_at = starts_at + timedelta(seconds=length)
    first = int(starts_at.timestamp())
    window = {second: value for second, value in seconds_of(rows) if first <= second < first + length}
    strip, step = buckets(rows, starts_at, ends_at), step_of(starts_at, ends_at)
    assert len(strip) <= 1440
    for at, value in enumerate(strip):
        assert value == max((window.get(first + at * step + offset, 0) for offset in range(step)), default=0)
    found = spans(rows, starts_at, ends_at, threshold)
    loud = {second for second, value in window.items() if value - 1 >= threshold}
    covered = {second for span in found for second in range(int(span.started_at.timestamp()), int(span.ended_at.timestamp()))}
    assert loud <= covered
    assert {int(span.peak_at.timestamp()) for span in found} <= loud
