"""Redacted copies (R28): what is hidden is gone from every picture, what isn't stays, and the copy says what it was made from."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import grpc
import numpy as np
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from rtcc.video.v1 import redaction_pb2 as pb
from rtcc.video.v1 import redaction_pb2_grpc
from rtcc.video.v1.evidence_pb2 import EXPORT_STATE_READY, Export
from rtcc_chassis.errors import InvalidInput, NotFound, PurposeRequired, Refused, from_rpc
from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import TestPlatform, person
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.recording.verify_export import verify
from rtcc_video.redaction.domain import Box, Mode, Redaction, Region, Style, check_redaction, redaction_from
from rtcc_video.redaction.obscuring import planes_of, redact

from .export_center import DETECTIVE, NOON, NOON_US, Center, serving_exports

WIDTH, HEIGHT = 320, 240


@st.composite
def boxes(draw: Any, at_us: int = 0) -> Box:
    left, top = draw(st.floats(0, 0.9)), draw(st.floats(0, 0.9))
    return Box(at_us, left, top, draw(st.floats(0.01, 1 - left)), draw(st.floats(0.01, 1 - top)))


def noise() -> Any:
    return np.random.default_rng(1).integers(0, 255, (HEIGHT * 3 // 2, WIDTH), dtype=np.uint8)


@given(box=boxes(), mode=st.sampled_from(Mode), style=st.sampled_from(Style))
def test_every_pixel_that_was_to_be_hidden_is_and_far_ones_stay(box: Box, mode: Mode, style: Style) -> None:
    before, after = noise(), noise()
    redact(after, WIDTH, HEIGHT, Redaction(mode, style, (Region(0, 10, (box,)),)), 5)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    inside = (
        (columns + 1 > box.left * WIDTH)
        & (columns < (box.left + box.width) * WIDTH)
        & (rows + 1 > box.top * HEIGHT)
        & (rows < (box.top + box.height) * HEIGHT)
    )
    near = (
        (columns + 9 > box.left * WIDTH)
        & (columns < (box.left + box.width) * WIDTH + 8)
        & (rows + 9 > box.top * HEIGHT)
        & (rows < (box.top + box.height) * HEIGHT + 8)
    )
    hidden, shown = (inside, ~near) if mode is Mode.INSIDE else (~inside, np.zeros_like(inside))
    old, new = planes_of(before, WIDTH, HEIGHT)[0], planes_of(after, WIDTH, HEIGHT)[0]
    assert (new[shown] == old[shown]).all()
    # noise that is averaged or covered keeps a pixel's value by chance only
    assert (new[hidden] == old[hidden]).mean() < 0.05 if hidden.sum() > 200 else True
    # and a block of it holds one value: what is left is a few numbers
    assert len(np.unique(new[hidden])) <= 256 and np.std(new[hidden].astype(float)) < 60


def test_a_region_moves_in_straight_lines_and_stands_still_at_its_ends() -> None:
    region = Region(0, 100, (Box(20, 0.0, 0.0, 0.2, 0.2), Box(60, 0.4, 0.8, 0.2, 0.1)))
    assert region.box(0) == region.box(20) == (0.0, 0.0, 0.2, 0.2)
    assert region.box(40) == pytest.approx((0.2, 0.4, 0.2, 0.15))
    assert region.box(60) == region.box(100) == pytest.approx((0.4, 0.8, 0.2, 0.1))
    assert region.box(101) is None


@given(
    regions=st.lists(
        st.builds(Region, st.integers(0, 9), st.integers(0, 9), st.lists(boxes(), min_size=1, max_size=3).map(tuple)), max_size=3
    )
)
def test_what_was_stored_is_what_was_asked(regions: list[Region]) -> None:
    asked = Redaction(Mode.INSIDE, Style.COVER, tuple(regions))
    assert redaction_from(json.loads(json.dumps(asked.as_dict()))) == asked


@pytest.mark.parametrize(
    ("region", "field"),
    [
        (Region(NOON_US, NOON_US + 9_000_000, (Box(NOON_US, 0, 0, 0.5, 0.5),)), "regions[0]"),
        (Region(NOON_US + 5, NOON_US + 5, (Box(NOON_US, 0, 0, 0.5, 0.5),)), "regions[0]"),
        (Region(NOON_US, NOON_US + 5, ()), "regions[0].boxes"),
        (Region(NOON_US, NOON_US + 5, (Box(NOON_US, 0.6, 0, 0.5, 0.5),)), "regions[0].boxes[0]"),
        (Region(NOON_US, NOON_US + 5, (Box(NOON_US, 0, float("nan"), 0.5, 0.5),)), "regions[0].boxes[0]"),
        (Region(NOON_US, NOON_US + 5, (Box(NOON_US, 0, 0, 0.5, 0.0),)), "regions[0].boxes[0]"),
        (Region(NOON_US, NOON_US + 5, (Box(9, 0, 0, 1, 1), Box(9, 0, 0, 1, 1))), "regions[0].boxes[1].at"),
    ],
)
def test_what_makes_no_sense_is_named(region: Region, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_redaction(Redaction(Mode.INSIDE, Style.MOSAIC, (region,)), NOON, NOON + timedelta(seconds=2))
    assert [one.field for one in caught.value.violations] == [field]


@pytest_asyncio.fixture
async def center(
    small_platform: TestPlatform, units: list[AccessUnit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Center]:
    async with serving_exports(small_platform, units, Ed25519PrivateKey.generate(), tmp_path, monkeypatch) as found:
        yield found


def stamp(offset_s: float) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(NOON + timedelta(seconds=offset_s))
    return found


def left_half(**fields: Any) -> dict[str, Any]:
    box = pb.RedactionBox(at=stamp(0), left=0, top=0, width=0.5, height=1)
    region = pb.RedactionRegion(starts_at=stamp(0), ends_at=stamp(2), boxes=[box])
    values = {"mode": pb.REDACTION_MODE_INSIDE, "style": pb.REDACTION_STYLE_COVER, "regions": [region], "reason": "a bystander"}
    return values | fields


async def redacted(center: Center, scope: Scope, export_id: str, **fields: Any) -> Export:
    stub = redaction_pb2_grpc.RedactionServiceStub(center.context.channels.channel("video"))
    request = pb.CreateRedactionRequest(export_id=export_id, **left_half(**fields))
    try:
        answer = await stub.CreateRedaction(request, metadata=center.platform.metadata(scope))
    except grpc.RpcError as error:
        raise from_rpc(error) from None
    made: Export = answer.export
    return made


def pictures(data: bytes) -> list[Any]:
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


async def test_a_copy_hides_what_it_says_and_leaves_the_original_as_it_is(center: Center, tmp_path: Path) -> None:
    original = await center.finished(DETECTIVE, (await center.order(with_sound=True)).export_id)
    before = await center.whole(DETECTIVE, original)
    ready = await center.finished(DETECTIVE, (await redacted(center, DETECTIVE, original.export_id)).export_id)
    assert ready.state == EXPORT_STATE_READY, ready.problem
    assert (ready.original_export_id, ready.reason) == (original.export_id, "a bystander")
    copy = await center.whole(DETECTIVE, ready)
    manifest, _ = verify(io.BytesIO(copy))
    told = manifest["redaction"]
    assert (told["original_export_id"], told["original_sha256"], told["mode"]) == (original.export_id, original.sha256, "inside")
    with zipfile.ZipFile(io.BytesIO(copy)) as archive:
        names = archive.namelist()
        seen = pictures(archive.read("redacted.mp4"))
        with av.open(io.BytesIO(archive.read("redacted.mp4"))) as container:
            assert [stream.type for stream in container.streams] == ["video"]
    # the original was exported with its sound, which people are known by too
    assert original.with_sound and not ready.with_sound and manifest["sound"]["included"] is False
    # nothing of the original goes along
    assert not [name for name in names if name.startswith(("segments/", "sound/", "clip-"))]
    with zipfile.ZipFile(io.BytesIO(before)) as archive:
        wanted = pictures(archive.read("clip-1.mp4"))
    assert told["pictures"] == len(seen) and len(seen) in (len(wanted), len(wanted) - 1)
    width = seen[0].shape[1]
    for hidden, shown in zip(seen, wanted, strict=False):
        assert np.std(hidden[:, : width // 2 - 8], axis=(0, 1)).max() < 4
        assert np.abs(hidden[:, width // 2 + 16 :] - shown[:, width // 2 + 16 :]).mean() < 12
    # the original is, to the byte, what it was
    assert await center.whole(DETECTIVE, original) == before
    with pytest.raises(InvalidInput, match="redacted copy itself"):
        await redacted(center, DETECTIVE, ready.export_id)


async def test_who_may_redact_and_what(center: Center) -> None:
    original = await center.finished(DETECTIVE, (await center.order()).export_id)
    with pytest.raises(PurposeRequired):
        await redacted(center, person("east", "investigator"), original.export_id)
    with pytest.raises(Refused):
        await redacted(center, person("east", "operator", purpose="p", case_number="1"), original.export_id)
    with pytest.raises(NotFound):
        await redacted(center, person("west", "investigator", purpose="p", case_number="1"), original.export_id)
    for fields, field in (
        ({"mode": 0}, "mode"),
        ({"style": 0}, "style"),
        ({"reason": " "}, "reason"),
        ({"regions": []}, "regions"),
        ({"regions": [pb.RedactionRegion()]}, "regions[0].starts_at"),
    ):
        with pytest.raises(InvalidInput) as caught:
            await redacted(center, DETECTIVE, original.export_id, **fields)
        assert caught.value.violations[0].field == field


async def test_only_what_is_outside_is_hidden_and_a_repeat_makes_no_second_copy(center: Center) -> None:
    original = await center.finished(DETECTIVE, (await center.order()).export_id)
    scope = person("east", "investigator", name="East Detective", purpose="robbery", case_number="E-1", idempotency_key="once")
    made = [
        await redacted(center, scope, original.export_id, mode=pb.REDACTION_MODE_OUTSIDE, style=pb.REDACTION_STYLE_MOSAIC) for _ in range(2)
    ]
    assert made[0].export_id == made[1].export_id
    ready = await center.finished(DETECTIVE, made[0].export_id)
    with zipfile.ZipFile(io.BytesIO(await center.whole(DETECTIVE, ready))) as archive:
        seen = pictures(archive.read("redacted.mp4"))
    width = seen[0].shape[1]
    sharpness = [np.abs(np.diff(half, axis=1)).mean() for half in (seen[5][:, : width // 2 - 8], seen[5][:, width // 2 + 8 :])]
    assert sharpness[0] > 3 * sharpness[1]
