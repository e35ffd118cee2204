"""A drawn clip is what cameras send and what the relay can pass on."""

import asyncio
import itertools
from pathlib import Path

import av
import numpy as np
import pytest

from rtcc_demo.clip import load_clip
from rtcc_demo.render import clips
from rtcc_demo.render.clips import ClipsNotDrawn, clip_path, draw_clip, ensure_clips
from rtcc_demo.render.lens import NEAREST_M, Lens, cut_near
from rtcc_demo.render.scenes import FRAMES_PER_SECOND, SCENE_S, make_scene, scene_names


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "street.mp4"
    draw_clip("street-3", path)
    return path


def test_clips_are_baseline_without_b_frames_with_a_key_frame_every_two_seconds(drawn: Path) -> None:
    clip = load_clip(drawn)  # refuses B-frames
    assert clip.sps[1] == 66  # profile_idc: baseline
    assert (clip.width, clip.height) == (640, 360)
    assert clip.ticks == SCENE_S * 90_000
    assert [index for index, frame in enumerate(clip.frames) if frame.key] == list(
        range(0, SCENE_S * FRAMES_PER_SECOND, 2 * FRAMES_PER_SECOND)
    )
    assert drawn.stat().st_size < 1_200_000


def test_pictures_show_a_lit_street_that_moves_and_closes_its_loop(drawn: Path) -> None:
    with av.open(str(drawn)) as container:
        pictures = [frame.to_ndarray(format="gray").astype(np.int16) for frame in container.decode(video=0)]
    assert len(pictures) == SCENE_S * FRAMES_PER_SECOND
    assert pictures[0].std() > 20
    steps = [np.abs(a - b).mean() for a, b in itertools.pairwise(pictures)]
    assert max(steps) > 0.05
    assert np.abs(pictures[-1] - pictures[0]).mean() < 4 * np.percentile(steps, 95) + 1.0


def test_the_seed_decides_the_scene() -> None:
    assert make_scene("avenue-1", 1) == make_scene("avenue-1", 1)
    assert make_scene("avenue-1", 1) != make_scene("avenue-1", 2)


async def test_only_missing_clips_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def note(name: str, path: Path, seed: int) -> None:
        asked.append(name)
        await asyncio.to_thread(path.write_bytes, b"clip")

    monkeypatch.setattr(clips, "_draw_elsewhere", note)
    names = scene_names()
    clip_path(tmp_path, names[0]).write_bytes(b"clip")
    heard: list[tuple[int, int]] = []
    found = await ensure_clips(tmp_path, lambda done, of: heard.append((done, of)))
    assert sorted(asked) == sorted(names[1:])
    assert heard[0] == (0, len(names) - 1)
    assert heard[-1] == (len(names) - 1, len(names) - 1)
    assert await ensure_clips(tmp_path, lambda *_: pytest.fail("nothing is missing")) == found


async def test_a_failing_worker_is_reported_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "clips").write_text("a file where the folder should be")
    with pytest.raises(ClipsNotDrawn, match="boulevard-1"):
        await clips._draw_elsewhere("boulevard-1", tmp_path / "clips" / "boulevard-1.mp4", 1)


def test_faces_are_cut_before_the_lens() -> None:
    behind = np.array(((-1.0, 0.0, -5.0), (1.0, 0.0, -5.0), (1.0, 0.0, 5.0), (-1.0, 0.0, 5.0)))
    cut = cut_near(behind)
    assert len(cut) == 4
    assert cut[:, 2].min() == pytest.approx(NEAREST_M)
    assert len(cut_near(behind - (0, 0, 10))) == 0


def test_the_lens_projects_along_its_own_rays() -> None:
    lens = Lens((1.0, -2.0, 5.0), 12.0, 9.0, 60.0, 64, 36)
    rays = lens.rays()
    x, y, depth = lens.project((np.array(lens.place) + rays[10, 20] * 30)[None, :])[0]
    assert (x, y, depth) == pytest.approx((20.5, 10.5, 30.0))
