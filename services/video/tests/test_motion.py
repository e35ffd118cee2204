"""Motion from coded pictures: headers against what the encoder was told, scores against footage whose motion is known."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_video.engine.h264 import AccessUnit, make_access_unit, split_annex_b
from rtcc_video.searching.motion import Baseline, MotionMeter, Second
from rtcc_video.searching.slices import PictureFacts, SliceReader

_FPS = 12
_WIDTH, _HEIGHT = 320, 240


def code(pictures: list[np.ndarray], **options: str) -> list[AccessUnit]:
    file, units = io.BytesIO(), []
    with av.open(file, "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=_FPS)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = _WIDTH, _HEIGHT, "yuv420p", Fraction(1, _FPS)
        stream.codec_context.gop_size = 2 * _FPS
        stream.codec_context.thread_count = 1
        told = {"profile": "main", "preset": "veryfast", "tune": "zerolatency", "sc_threshold": "0", "bf": "0", "crf": "27"}
        stream.codec_context.options = told | options
        for picture in [*pictures, None]:
            frame = None if picture is None else av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
            for packet in stream.encode(frame):
                unit = make_access_unit(split_annex_b(bytes(packet)), len(units) * 90_000 // _FPS)
                assert unit is not None
                units.append(unit)
    return units


def street(seconds: int, walks: tuple[tuple[int, int], ...] = (), turned_at_s: float = 1e9) -> list[np.ndarray]:
    """A place with a little noise; between the seconds of a walk somebody crosses it; after `turned_at_s` it is another place."""
    chance = np.random.default_rng(5)
    blocks = np.ones((20, 20))
    places = [np.kron(chance.uniform(60, 190, (12, 16)), blocks) + chance.normal(0, grain, (_HEIGHT, _WIDTH)) for grain in (6, 15)]
    texture = chance.normal(0, 14, (60, 24))
    found = []
    for number in range(seconds * _FPS):
        at_s = number / _FPS
        picture = places[at_s >= turned_at_s] + chance.normal(0, 1, (_HEIGHT, _WIDTH))
        for begin, end in walks:
            if begin <= at_s < end:
                left = 20 + int((at_s - begin) * 30)
                picture[100:160, left : left + 24] = 220 + texture
        found.append(np.clip(picture, 0, 255).astype(np.uint8))
    return found


def measure(units: list[AccessUnit]) -> dict[int, Second]:
    reader, meter, seconds = SliceReader(), MotionMeter(), []
    for unit in units:
        seconds += meter.take(reader.read(unit.nals), reader.macroblocks, unit.timestamp * 1_000_000 // 90_000)
    return {second.number: second for second in [*seconds, *meter.finish()]}


@pytest.mark.parametrize(("profile", "extra"), [("baseline", ""), ("main", ""), ("high", ":8x8dct=1"), ("main", ":weightp=2:ref=3")])
def test_the_quantiser_of_every_picture_is_what_the_encoder_was_told(profile: str, extra: str) -> None:
    units = code(street(3), profile=profile, crf="-1", qp="31", **{"x264-params": f"ipratio=1.0:aq-mode=0:sliced-threads=0{extra}"})
    reader = SliceReader()
    facts = [reader.read(unit.nals) for unit in units]
    assert reader.macroblocks == 20 * 15
    assert [one.intra for one in facts if one] == [unit.key for unit in units]
    assert {one.quantiser for one in facts if one} == {31}


def test_someone_who_walks_by_stands_out_and_quiet_seconds_do_not() -> None:
    found = measure(code(street(52, walks=((30, 36), (44, 48)))))
    loud = {number for number, second in found.items() if (second.score or 0) >= 48}
    assert {31, 32, 33, 34, 45, 46} <= loud
    assert loud <= {29, 30, 31, 32, 33, 34, 35, 36, 43, 44, 45, 46, 47, 48}
    assert not any(second.scene_change for second in found.values())
    assert 3 not in found or found[3].score is None
    assert found[25].score is not None


def test_a_camera_that_is_turned_is_a_change_of_scene_once() -> None:
    # the first between two key pictures, the second with one
    for turned_at_s in (21.5, 22.0):
        found = measure(code(street(25, turned_at_s=turned_at_s)))
        assert [number for number, second in found.items() if second.scene_change] == [int(turned_at_s)]


def test_a_key_picture_that_a_viewer_asked_for_is_no_change_of_scene() -> None:
    pictures = street(26)
    units = code(pictures)
    # a joiner at 20.5 s: the encoder begins a new group there
    rest = code(pictures[246:])
    joined = units[:246] + [AccessUnit(one.nals, (246 + at) * 90_000 // _FPS, one.key) for at, one in enumerate(rest)]
    assert not any(second.scene_change for second in measure(joined).values())


def test_what_lasts_becomes_the_usual() -> None:
    baseline = Baseline()
    for number in range(200):
        baseline.above(1.0 + 0.01 * (number % 5))
    above = [baseline.above(2.0 + 0.01 * (number % 5)) for number in range(300)]
    assert above[0] is not None
    assert above[0] > 10
    assert above[-1] is not None
    assert above[-1] < 3


@given(st.lists(st.binary(max_size=80), max_size=30))
def test_no_bytes_break_the_reader(nals: list[bytes]) -> None:
    reader = SliceReader()
    kinds = (0x67, 0x68, 0x65, 0x41, 0x01)
    reader.read([bytes([kinds[at % 5]]) + nal for at, nal in enumerate(nals)])


@given(st.data())
def test_a_stream_damaged_anywhere_breaks_nothing(data: st.DataObject) -> None:
    reader = SliceReader()
    for unit in _SHORT:
        nals = []
        for nal in unit.nals:
            at = data.draw(st.integers(0, min(30, len(nal) - 1)))
            nals.append(nal[:at] + bytes([data.draw(st.integers(0, 255))]) + nal[at + 1 :] if at else nal)
        facts = reader.read(nals)
        assert facts is None or 0 <= facts.quantiser <= 51


_SHORT = code(street(1))[:4]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 60_000), st.integers(0, 51), st.integers(0, 3_000_000)), max_size=200))
def test_each_second_comes_once_and_in_order(pictures: list[tuple[bool, int, int, int]]) -> None:
    meter, at_us, found = MotionMeter(), 1_700_000_000_000_000, []
    for intra, size, quantiser, later_us in pictures:
        at_us += later_us
        found += meter.take(PictureFacts(intra, size, quantiser), 300, at_us)
    found += meter.finish()
    numbers = [second.number for second in found]
    assert numbers == sorted(set(numbers))
    assert all(second.score is None or 0 <= second.score <= 253 for second in found)
