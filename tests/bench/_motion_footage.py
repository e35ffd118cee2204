"""Footage whose motion is known: things that move over a textured place, with a sensor's noise, coded by x264 as cameras code."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from rtcc_video.engine.h264 import AccessUnit, make_access_unit, split_annex_b

WIDTH_PX, HEIGHT_PX, PICTURES_PER_S = 640, 360, 15
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Scene:
    """`noise`: standard deviation in grey levels of what the camera's own temporal filter leaves of its sensor's noise.

    `filtered`: how much of a picture's noise stays in the next (that filter is recursive); 0: a camera without one.
    `night_from_s`: darker and noisier from then on, at once or within `dusk_s`.
    """

    name: str
    noise: float
    seconds: int
    kilobits_per_s: int = 0
    night_from_s: float | None = None
    dusk_s: float = 0.0
    foliage: bool = False
    turned_at_s: float | None = None
    key_every_s: float = 2.0
    filtered: float = 0.8
    seed: int = 1
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Walk:
    """Something moves: size in pixels, from when to when, along which line, how much it stands out in grey levels."""

    from_s: float
    until_s: float
    width_px: int
    height_px: int
    start: tuple[float, float]
    pixels_per_s: tuple[float, float]
    contrast: int


SCENES = (
    Scene("day", noise=1.5, seconds=200, seed=3),
    Scene("filtered night", noise=2.5, seconds=200, key_every_s=4.0, filtered=0.9, seed=7),
    Scene("dusk", noise=1.2, seconds=300, night_from_s=40, dusk_s=240, seed=11),
    Scene("lights out", noise=1.2, seconds=200, night_from_s=101.3, seed=13),
    Scene("turned camera", noise=1.5, seconds=160, turned_at_s=81.3, seed=19),
    Scene("constant rate", noise=1.5, seconds=200, kilobits_per_s=150, seed=5),
    Scene("trees in the wind", noise=1.5, seconds=200, foliage=True, seed=17),
    Scene("unfiltered noise", noise=4.0, seconds=160, kilobits_per_s=500, filtered=0.0, seed=23),
)


def walks(scene: Scene) -> list[Walk]:
    """People and cars, far and near: a fifth of the time, each for 4 to 9 seconds."""
    chance = np.random.default_rng(scene.seed + 100)
    found, at = [], 25.0
    while at < scene.seconds - 12:
        length = float(chance.uniform(4, 9))
        car = chance.random() < 0.4
        scale = float(chance.uniform(0.5, 1.6))
        width, height = (int(70 * scale), int(30 * scale)) if car else (int(15 * scale), int(42 * scale))
        speed = float(chance.uniform(60, 130) if car else chance.uniform(18, 45)) * scale
        leftwards = chance.random() < 0.5
        way = (-speed if leftwards else speed, float(chance.uniform(-4, 4)))
        start = (WIDTH_PX * (0.85 if leftwards else 0.1), float(chance.uniform(0.35, 0.85)) * HEIGHT_PX)
        contrast = int(chance.choice([-1, 1])) * int(chance.integers(25, 80))
        # until it has left the picture
        length = min(length, (start[0] + width / 2 if leftwards else WIDTH_PX - start[0] - width / 2) / speed)
        found.append(Walk(at, at + length, width, height, start, way, contrast))
        at += length + float(chance.uniform(12, 30))
    return found


def moving_seconds(scene: Scene) -> set[int]:
    """Whole seconds in which something moves and can be seen for half of it or more."""
    found = set()
    for second in range(scene.seconds):
        for walk in walks(scene):
            seen = [
                step / 10
                for step in range(second * 10, second * 10 + 10)
                if walk.from_s <= step / 10 < walk.until_s and _inside(walk, step / 10)
            ]
            if len(seen) >= 5:
                found.add(second)
    return found


def border_seconds(scene: Scene) -> set[int]:
    """In which motion begins or ends: neither a hit nor a false alarm."""
    marks = [mark for walk in walks(scene) for mark in (walk.from_s, walk.until_s)]
    return {int(mark) + offset for mark in marks for offset in (-1, 0, 1)} - moving_seconds(scene)


def _inside(walk: Walk, at_s: float) -> bool:
    x = walk.start[0] + walk.pixels_per_s[0] * (at_s - walk.from_s)
    return -walk.width_px / 2 < x < WIDTH_PX - walk.width_px / 2


def pictures(scene: Scene) -> Iterator[Picture]:
    """Luma only, one after the other."""
    chance = np.random.default_rng(scene.seed)
    places = [_place(chance), _place(chance)]
    grain = chance.normal(0, 1, (2 * HEIGHT_PX, 2 * WIDTH_PX)).astype(np.float32)
    leaves = chance.normal(0, 14, (120, 200)).astype(np.float32)
    noise = np.zeros((HEIGHT_PX, WIDTH_PX), np.float32)
    fresh = float(np.sqrt(1 - scene.filtered**2))
    figures = [(walk, chance.normal(0, 12, (walk.height_px, walk.width_px)).astype(np.float32)) for walk in walks(scene)]
    for number in range(scene.seconds * PICTURES_PER_S):
        at_s = number / PICTURES_PER_S
        night = _night(scene, at_s)
        place = places[1 if scene.turned_at_s is not None and at_s >= scene.turned_at_s else 0]
        picture = place.copy()
        if scene.foliage:
            sway = int(3 * np.sin(at_s * 2.1) + 2 * np.sin(at_s * 5.3 + 1))
            picture[10:130, 20:220] += np.roll(leaves, (sway, sway // 2), axis=(0, 1))
        for walk, texture in figures:
            if walk.from_s <= at_s < walk.until_s:
                _draw(picture, walk, texture, at_s)
        picture *= 1 - 0.6 * night
        y, x = int(chance.integers(HEIGHT_PX)), int(chance.integers(WIDTH_PX))
        noise *= scene.filtered
        noise += fresh * grain[y : y + HEIGHT_PX, x : x + WIDTH_PX]
        picture += noise * (scene.noise * (1 + 0.8 * night))
        # lamps on mains flicker a little
        picture += 0.6 * np.sin(at_s * 7.0)
        yield np.clip(picture, 0, 255).astype(np.uint8)


def _place(chance: np.random.Generator) -> NDArray[np.float32]:
    coarse = chance.uniform(60, 190, (10, 16)).astype(np.float32)
    place = np.kron(coarse, np.ones((HEIGHT_PX // 10, WIDTH_PX // 16), np.float32))
    return place + chance.normal(0, 6, place.shape).astype(np.float32)


def _night(scene: Scene, at_s: float) -> float:
    if scene.night_from_s is None or at_s < scene.night_from_s:
        return 0.0
    return 1.0 if scene.dusk_s <= 0 else min(1.0, (at_s - scene.night_from_s) / scene.dusk_s)


def _draw(picture: NDArray[np.float32], walk: Walk, texture: NDArray[np.float32], at_s: float) -> None:
    left = int(walk.start[0] + walk.pixels_per_s[0] * (at_s - walk.from_s))
    top = int(walk.start[1] + walk.pixels_per_s[1] * (at_s - walk.from_s))
    x0, x1, y0, y1 = max(0, left), min(WIDTH_PX, left + walk.width_px), max(0, top), min(HEIGHT_PX, top + walk.height_px)
    if x0 < x1 and y0 < y1:
        part = texture[y0 - top : y1 - top, x0 - left : x1 - left]
        picture[y0:y1, x0:x1] = np.clip(picture[y0:y1, x0:x1].mean() + walk.contrast, 10, 245) + part


def coded(scene: Scene) -> list[AccessUnit]:
    """As a camera would send it; time stamps in ticks of 90 kHz."""
    file = io.BytesIO()
    units: list[AccessUnit] = []
    with av.open(file, "w", format="h264") as container:
        stream = container.add_stream("libx264", rate=PICTURES_PER_S)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = WIDTH_PX, HEIGHT_PX, "yuv420p", Fraction(1, PICTURES_PER_S)
        stream.codec_context.gop_size = int(scene.key_every_s * PICTURES_PER_S)
        options = {"profile": "main", "preset": "veryfast", "tune": "zerolatency", "sc_threshold": "0", "bf": "0"}
        # as the encoders in cameras do: no bits for the look of grain
        options["x264-params"] = "sliced-threads=0:psy=0"
        if scene.kilobits_per_s:
            rate = str(scene.kilobits_per_s * 1000)
            options |= {"b": rate, "maxrate": rate, "bufsize": rate}
        else:
            options["crf"] = "27"
        stream.codec_context.options = options | scene.options
        stream.codec_context.thread_count = 1
        grey = np.full((HEIGHT_PX // 2, WIDTH_PX), 128, np.uint8)
        for number, picture in enumerate((*pictures(scene), None)):
            frame = None
            if picture is not None:
                frame = av.VideoFrame.from_ndarray(np.concatenate([picture, grey.reshape(-1, WIDTH_PX)]), format="yuv420p")
                frame.pts = number
            for packet in stream.encode(frame):
                unit = make_access_unit(split_annex_b(bytes(packet)), len(units) * 90_000 // PICTURES_PER_S)
                assert unit is not None
                units.append(unit)
    return units
