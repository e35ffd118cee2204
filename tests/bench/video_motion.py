"""How well motion is found in coded pictures without decoding them, and what that costs, beside decoding all and comparing pictures.

Footage with known motion (tests/bench/_motion_footage.py) is coded by x264 as cameras code; both methods see the same access units. A
second counts as found when its score reaches the default threshold; seconds in which motion begins or ends count for nothing. The last two
scenes are those that the method is bad at, and are left out of `motion_recall` and `false_per_hour`: their own figures stand beside them.

`./rtcc bench video-motion [--scenes day,dusk]`
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

from _motion_footage import HEIGHT_PX, PICTURES_PER_S, SCENES, WIDTH_PX, Scene, border_seconds, coded, moving_seconds, walks

from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.searching.domain import DEFAULT_THRESHOLD
from rtcc_video.searching.key_motion_child import KeyPictures, blocks_of
from rtcc_video.searching.motion import Baseline, MotionMeter, Second
from rtcc_video.searching.slices import SliceReader

# encoders that spend their bits on noise or leaves hide what moves
HARD = frozenset({"constant rate", "trees in the wind", "unfiltered noise"})


@dataclass
class Tally:
    """Of one method over some scenes."""

    moving: int = 0
    found: int = 0
    quiet: int = 0
    false: int = 0
    passages: int = 0
    passages_found: int = 0
    cpu_s: float = 0.0
    seconds: int = 0

    def add(self, scene: Scene, loud: set[int], cpu_s: float) -> None:
        moving, border = moving_seconds(scene), border_seconds(scene)
        if scene.turned_at_s is not None:
            border |= {int(scene.turned_at_s) + offset for offset in (-1, 0, 1)}
        if scene.night_from_s is not None and not scene.dusk_s:
            border |= {int(scene.night_from_s) + offset for offset in (-1, 0, 1)}
        quiet = set(range(scene.seconds)) - moving - border
        self.moving += len(moving)
        self.found += len(moving & loud)
        self.quiet += len(quiet)
        self.false += len(quiet & loud)
        for walk in walks(scene):
            self.passages += 1
            self.passages_found += any(second in loud for second in range(int(walk.from_s), int(walk.until_s) + 1))
        self.cpu_s += cpu_s
        self.seconds += scene.seconds

    def figures(self, name: str) -> dict[str, float]:
        return {
            f"{name}_recall": round(self.found / max(1, self.moving), 3),
            f"{name}_precision": round(self.found / max(1, self.found + self.false), 3),
            f"{name}_passages_found": round(self.passages_found / max(1, self.passages), 3),
            f"{name}_false_per_hour": round(self.false * 3600 / max(1, self.quiet), 1),
            f"{name}_cpu_ms_per_camera_s": round(self.cpu_s * 1000 / max(1, self.seconds), 3),
        }


def run(argv: Sequence[str]) -> dict[str, Any]:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="bench video-motion", description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", default="", help="names, separated by commas; all when left out")
    wanted = {name.strip() for name in parser.parse_args(list(argv)).scenes.split(",") if name.strip()}
    usual, hard = tuple(Tally() for _ in METHODS), tuple(Tally() for _ in METHODS)
    for scene in SCENES:
        if wanted and scene.name not in wanted:
            continue
        units = coded(scene)
        kbps = sum(len(nal) for unit in units for nal in unit.nals) * 8 / 1000 / scene.seconds
        here = tuple(Tally() for _ in METHODS)
        for at, method in enumerate(METHODS.values()):
            begun = time.process_time()
            seconds = method(units)
            cpu_s = time.process_time() - begun
            loud = {one.number for one in seconds if one.score is not None and one.score >= DEFAULT_THRESHOLD and not one.scene_change}
            for tally in (here[at], (hard if scene.name in HARD else usual)[at]):
                tally.add(scene, loud, cpu_s)
            if at == 0:
                changed = [one.number for one in seconds if one.scene_change]
        told = " | ".join(
            f"{name}: recall {one.found}/{one.moving}, passages {one.passages_found}/{one.passages}, false {one.false} of {one.quiet} s, "
            f"{one.cpu_s * 1000 / one.seconds:.2f} ms/s"
            for name, one in zip(METHODS, here, strict=True)
        )
        print(f"{scene.name} ({kbps:.0f} kbit/s): {told} | scene changes at {changed}", file=sys.stderr)
    return {
        **usual[0].figures("motion"),
        "false_per_hour": usual[0].figures("motion")["motion_false_per_hour"],
        "cpu_ms_per_camera_s": usual[0].figures("motion")["motion_cpu_ms_per_camera_s"],
        **usual[1].figures("with_key_pictures"),
        **usual[2].figures("decoded"),
        **hard[0].figures("hard_motion"),
        **hard[1].figures("hard_with_key_pictures"),
        **hard[2].figures("hard_decoded"),
        "load": os.getloadavg()[0],
        "conditions": (
            f"{WIDTH_PX}x{HEIGHT_PX}, {PICTURES_PER_S} pictures/s, x264 main profile; {usual[0].seconds} s of footage and "
            f"{hard[0].seconds} s of the hard scenes ({', '.join(sorted(HARD))}); threshold {DEFAULT_THRESHOLD}; one thread; CPU-seconds"
        ),
    }


def from_coded(units: list[AccessUnit]) -> list[Second]:
    """What the recorder does."""
    reader, meter, found = SliceReader(), MotionMeter(), list[Second]()
    for unit in units:
        found += meter.take(reader.read(unit.nals), reader.macroblocks, unit.timestamp * 1_000_000 // 90_000)
    return [*found, *meter.finish()]


def with_key_pictures(units: list[AccessUnit]) -> list[Second]:
    """What `RTCC_VIDEO_MOTION_KEY_PICTURES` adds: each second has the higher score; process and pipes aren't in the price."""
    scores = {second.number: second for second in from_coded(units)}
    pictures, baseline, before_s = KeyPictures(), Baseline(), 0
    for unit in units:
        if not unit.key:
            continue
        value = pictures.take(blocks_of(unit.annex_b()))
        above = baseline.above(value) if value is not None else None
        for number in (before_s - 1, before_s, before_s + 1):
            known = scores.get(number)
            if above is not None and not (known and known.scene_change):
                score = max(0, min(253, round(16 * above)))
                scores[number] = Second(number, max(score, (known.score if known else None) or 0), False)
        before_s = unit.timestamp // 90_000
    return list(scores.values())


def from_decoded(units: list[AccessUnit]) -> list[Second]:
    """Every picture decoded; each half second compared with the one before in blocks of 16x16, against the same kind of baseline."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    baseline, before, found, values = Baseline(), None, list[Second](), list[float]()
    for number, unit in enumerate(units):
        for frame in decoder.decode(av.Packet(unit.annex_b())):
            assert isinstance(frame, av.VideoFrame)
            if number % (PICTURES_PER_S // 3) == 0:
                now = _blocks(frame)
                if before is not None:
                    values.append(float(np.log(np.sort(np.abs(now - before).ravel())[-8:].mean() + 0.1)))
                before = now
        if (number + 1) % PICTURES_PER_S == 0 and values:
            above = baseline.above(max(values))
            score = None if above is None else max(0, min(253, round(16 * above)))
            found.append(Second(number // PICTURES_PER_S, score, False))
            values.clear()
    return found


def _blocks(frame: av.VideoFrame) -> NDArray[np.float32]:
    """Mean brightness of each macroblock."""
    luma = frame.to_ndarray(format="gray").astype(np.float32)
    rows, columns = HEIGHT_PX // 16, WIDTH_PX // 16
    found: NDArray[np.float32] = luma[: rows * 16, : columns * 16].reshape(rows, 16, columns, 16).mean(axis=(1, 3))
    return found


METHODS = {"coded": from_coded, "with key pictures": with_key_pictures, "decoded": from_decoded}
