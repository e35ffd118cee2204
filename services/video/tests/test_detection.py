"""A configured model looks at what was recorded: real onnxruntime in its own process, real S3 and PostgreSQL, a model made here."""

import hashlib
import io
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from proof.tiny_model import DECLARATION, tiny_model
from rtcc_chassis.clock import utc_now
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import InvalidSetting
from rtcc_chassis.testing import TestPlatform
from rtcc_video.engine.h264 import AccessUnit, make_access_unit, split_annex_b
from rtcc_video.recording.domain import Segment
from rtcc_video.recording.segmenter import RawSegment, Segmenter, SegmentLimits
from rtcc_video.recording.service import MIGRATIONS
from rtcc_video.recording.store import FootageStore
from rtcc_video.searching.child import ChildFailed
from rtcc_video.searching.detector_child import Detector, dominant_colour
from rtcc_video.searching.domain import Question
from rtcc_video.searching.examiner import EXAMINED, Examiner, Model
from rtcc_video.searching.model import UnusableDeclaration, parse_declaration
from rtcc_video.searching.service import _model
from rtcc_video.searching.store import SearchStore
from rtcc_video.settings import VideoSettings

EAST, PLATFORM = Scope.service("video", "east"), Scope.platform("video")
NOON = utc_now() - timedelta(minutes=30)


def picture_with(*things: tuple[tuple[int, int, int], int, int]) -> np.ndarray:
    """Grey, 256 x 256, with squares of 64: colour, column, row of the cell."""
    picture = np.full((256, 256, 3), 120, np.uint8)
    for colour, column, row in things:
        picture[row * 64 : row * 64 + 64, column * 64 : column * 64 + 64] = colour
    return picture


RED, BLUE = (230, 20, 20), (20, 20, 230)


def units_of(picture: np.ndarray) -> list[AccessUnit]:
    units: list[AccessUnit] = []
    with av.open(io.BytesIO(), "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = picture.shape[1], picture.shape[0], "yuv420p", Fraction(1, 5)
        stream.codec_context.options = {"profile": "high", "tune": "zerolatency", "crf": "18"}
        for frame in [*[av.VideoFrame.from_ndarray(picture, format="rgb24")] * 5, None]:
            for packet in stream.encode(frame):
                unit = make_access_unit(split_annex_b(bytes(packet)), len(units) * 18_000)
                assert unit is not None
                units.append(unit)
    return units


def cut(units: list[AccessUnit]) -> RawSegment:
    found: list[RawSegment] = []
    segmenter = Segmenter(SegmentLimits(), found.append)
    for unit in units:
        segmenter.take(unit, 1_700_000_000_000_000 + unit.timestamp * 100 // 9, unit.timestamp * 100 // 9)
    segmenter.finish()
    return found[0]


class Archive:
    def __init__(self, context: ServiceContext, model: Model) -> None:
        self.context, self.model = context, model
        self.footage, self.index = FootageStore(context.database), SearchStore(context.database)
        self.examiners: list[Examiner] = []

    async def record(self, picture: np.ndarray, at: int, camera_id: str = "c1", damaged: bool = False) -> Segment:
        raw = cut(units_of(picture))
        data = raw.to_bytes() if not damaged else b"\0" * 100
        begin, name = NOON + timedelta(seconds=4 * at), new_id()
        segment = Segment(
            name, "east", camera_id, begin, begin + timedelta(seconds=1), None, 0, raw.init.init_id, f"footage/{name}",
            hashlib.sha256(data).hexdigest(), len(data), 5, True, True,
        )  # fmt: skip
        await self.context.objects.put(EAST, "east", segment.object_key, data, "video/mp4")
        await self.footage.add_segments(PLATFORM, [segment], [("east", raw.init)])
        return segment

    def examiner(self, backlog: timedelta = timedelta(hours=6), **model: Any) -> Examiner:
        found = Examiner(self.index, self.footage, self.context.objects, replace(self.model, **model), backlog, utc_now)
        self.examiners.append(found)
        return found

    async def found(self, **asked: Any) -> list[tuple[str, str, str]]:
        question = Question(NOON - timedelta(hours=1), NOON + timedelta(hours=1), **asked)
        leads = await self.index.detections(EAST, ["c1", "c2"], question)
        return sorted((lead.camera_id, lead.kind, lead.colour) for lead in leads)


def configured(folder: Path) -> Model:
    model, declaration = folder / "tiny.onnx", folder / "tiny.json"
    model.write_bytes(tiny_model())
    declaration.write_text(json.dumps(DECLARATION))
    sha256 = hashlib.sha256(tiny_model()).hexdigest()
    return Model(model, sha256, declaration, parse_declaration(declaration.read_text()), 1500)


@pytest_asyncio.fixture
async def archive(small_platform: TestPlatform, tmp_path: Path) -> AsyncIterator[Archive]:
    await small_platform.servers.s3_endpoint()
    context = await small_platform.context("video")
    await context.database.migrate(MIGRATIONS)
    found = Archive(context, configured(tmp_path))
    yield found
    for examiner in found.examiners:
        await examiner.stop()
    await small_platform.close()


def children() -> list[psutil.Process]:
    alive = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in alive if "rtcc_video.searching.detector_child" in one.cmdline()]


async def test_what_the_model_sees_is_found_by_kind_and_colour_and_goes_with_the_footage(archive: Archive) -> None:
    first = await archive.record(picture_with((RED, 0, 0), (BLUE, 2, 1)), 0)
    await archive.record(picture_with((BLUE, 3, 3)), 1, "c2")
    await archive.record(picture_with(), 2)
    damaged = await archive.record(picture_with((RED, 1, 1)), 3, damaged=True)
    examiner = archive.examiner()
    assert await examiner.work() is False
    assert await archive.found() == [("c1", "person", "red"), ("c1", "vehicle", "blue"), ("c2", "vehicle", "blue")]
    assert await archive.found(kinds=("person",)) == [("c1", "person", "red")]
    assert await archive.found(colour="blue", kinds=("person",)) == []
    (lead,) = await archive.index.detections(EAST, ["c1"], Question(NOON, NOON + timedelta(hours=1), ("vehicle",)))
    assert lead.box is not None
    assert [round(one, 2) for one in (lead.box.left, lead.box.top, lead.box.width, lead.box.height)] == [0.5, 0.25, 0.25, 0.25]
    assert (lead.at, lead.model) == (first.started_at, archive.model.sha256[:12])
    # what can't be decoded is counted and not tried for ever
    assert await archive.index.examined(EAST, ["c1"], NOON, NOON + timedelta(hours=1)) == (2, 3)
    assert await archive.index.waiting(PLATFORM, NOON - timedelta(hours=1), 9) == []
    async with archive.footage.deleting(EAST) as batch:
        await batch.delete([first, damaged], [], [])
    assert await archive.found() == [("c2", "vehicle", "blue")]  # R22
    # and it is nobody else's
    stranger = Scope.service("video", "west")
    assert await archive.index.detections(stranger, ["c1", "c2"], Question(NOON, NOON + timedelta(hours=1))) == []


async def test_after_a_restart_or_a_killed_process_it_goes_on_where_it_was(archive: Archive) -> None:
    await archive.record(picture_with((RED, 0, 0)), 0)
    examiner = archive.examiner()
    await examiner.work()
    (child,) = children()
    child.send_signal(signal.SIGKILL)
    await archive.record(picture_with((BLUE, 0, 0)), 1)
    await examiner.work()
    assert await archive.found() == [("c1", "person", "red"), ("c1", "vehicle", "blue")]
    await examiner.stop()
    assert not children()
    # a segment that came late, from before what is done already
    await archive.record(picture_with((BLUE, 1, 1)), -3)
    again = archive.examiner()
    await again.work()
    assert len(await archive.found()) == 3


async def test_what_it_can_not_keep_up_with_is_counted(archive: Archive) -> None:
    await archive.record(picture_with((RED, 0, 0)), 0)
    before = EXAMINED.labels("dropped")._value.get()
    examiner = archive.examiner(backlog=timedelta(minutes=10))
    examiner._since = NOON - timedelta(minutes=1)
    assert await examiner.work() is False
    assert EXAMINED.labels("dropped")._value.get() == before + 1
    assert await archive.found() == []
    assert await archive.index.examined(EAST, ["c1"], NOON, NOON + timedelta(hours=1)) == (0, 1)


async def test_a_model_that_can_not_be_loaded_is_told_and_nothing_is_marked_as_seen(archive: Archive) -> None:
    await archive.record(picture_with((RED, 0, 0)), 0)
    for wrong in ({"sha256": "00" * 32}, {"memory_limit_mb": 20}, {"model_file": archive.model.declaration_file}):
        with pytest.raises(ChildFailed):
            await archive.examiner(**wrong).work()
    assert len(await archive.index.waiting(PLATFORM, NOON - timedelta(hours=1), 9)) == 1
    assert not children()


def test_what_is_configured_is_checked_at_the_start(tmp_path: Path) -> None:
    model = configured(tmp_path)
    assert _model(VideoSettings()) is None
    right = VideoSettings(
        detector_model_file=model.model_file, detector_model_sha256=model.sha256.upper(), detector_declaration_file=model.declaration_file
    )
    found = _model(right)
    assert found is not None
    assert found.declaration.kinds == ("person", "vehicle")
    with pytest.raises(InvalidSetting, match=r"MODEL_SHA256.*has the SHA-256"):
        _model(replace(right, detector_model_sha256=""))
    with pytest.raises(InvalidSetting, match="DECLARATION_FILE"):
        _model(replace(right, detector_declaration_file=None))
    with pytest.raises(InvalidSetting, match="MODEL_FILE"):
        _model(replace(right, detector_model_file=tmp_path / "none"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"labels": ["person", "face"]}, "who or of which kind"),
        ({"labels": ["woman"]}, "who or of which kind"),
        ({"labels": ["", ""]}, "at least one"),
        ({"labels": ["motion"]}, "word of the motion index"),
        ({"labels": ["Person"]}, "lower case"),
        ({"input": {"name": "picture", "width_px": 4, "height_px": 64}}, "input.width_px"),
        ({"output": {"name": "places", "format": "other"}}, "output.format"),
        ({"least_score": 0}, "least_score"),
        ({"input": []}, "input"),
    ],
)
def test_a_declaration_that_can_not_be_used_says_why(change: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableDeclaration, match=why):
        parse_declaration(json.dumps(DECLARATION | change))


@settings(max_examples=40)
@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=9), lambda one: st.lists(one) | st.dictionaries(st.text(), one))
)
def test_no_json_breaks_the_declaration(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(DECLARATION | {"input": value}), json.dumps(DECLARATION | {"labels": value})):
        try:
            parse_declaration(text)
        except UnusableDeclaration:
            continue


class Answering:
    """A session that gives one output whatever it is asked."""

    def __init__(self, output: Any) -> None:
        self._output = output

    def run(self, outputs: list[str], inputs: dict[str, Any]) -> list[Any]:
        return [self._output]


KEY = units_of(picture_with((RED, 0, 0)))[0].annex_b()
ROWS = parse_declaration(json.dumps(DECLARATION | {"output": {"name": "o", "format": "rows", "normalised": True}}))


def test_rows_of_a_model_are_read_and_what_overlaps_is_one() -> None:
    rows = [
        [0.1, 0.1, 0.4, 0.4, 0.9, 0],
        [0.11, 0.1, 0.4, 0.4, 0.8, 0],
        [0.11, 0.1, 0.4, 0.4, 0.7, 1],
        [0, 0, 1, 1, 0.1, 0],
        [0, 0, 1, 1, 1, 7],
    ]
    found = Detector(Answering(np.array([rows], np.float32)), ROWS).look(KEY)
    assert [(one[0], one[1]) for one in found] == [("person", 0.9), ("vehicle", 0.7)]


@given(st.lists(st.lists(st.floats(width=32), min_size=6, max_size=6), max_size=20))
def test_no_output_of_a_model_leaves_the_picture(rows: list[list[float]]) -> None:
    for _, score, left, top, width, height, _ in Detector(Answering(np.array(rows, np.float32).reshape(-1, 6)), ROWS).look(KEY):
        assert 0.5 <= float(score) <= 1
        assert min(float(left), float(top), float(width), float(height)) >= 0
        assert float(left) + float(width) <= 1.001
        assert float(top) + float(height) <= 1.001


def test_an_output_of_another_shape_is_refused() -> None:
    for output in (np.zeros((2, 3, 4)), np.zeros(5), np.zeros((1, 7, 6))[:, :, :5]):
        with pytest.raises(ValueError, match="output has"):
            Detector(Answering(output), ROWS).look(KEY)
    with pytest.raises((ValueError, av.error.FFmpegError)):
        Detector(Answering(np.zeros((1, 6))), ROWS).look(os.urandom(200))


@pytest.mark.parametrize(
    ("name", "colour"),
    [
        ("black", (20, 20, 22)), ("white", (240, 240, 236)), ("grey", (120, 124, 122)), ("red", (190, 20, 24)), ("orange", (240, 130, 20)),
        ("yellow", (230, 210, 40)), ("green", (30, 130, 50)), ("blue", (30, 60, 180)), ("purple", (130, 40, 170)), ("brown", (100, 60, 30)),
    ],
)  # fmt: skip
def test_colours_have_the_names_that_people_give_them(name: str, colour: tuple[int, int, int]) -> None:
    assert dominant_colour(np.full((9, 9, 3), colour, np.uint8)) == name
    mixed = np.random.default_rng(3).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    assert dominant_colour(mixed) in ("", "green", "blue", "purple", "red")
    assert dominant_colour(np.zeros((0, 0, 3), np.uint8)) == ""
