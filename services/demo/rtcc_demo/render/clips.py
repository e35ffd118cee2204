"""Draws the scenes frame by frame and encodes them once as the cameras' clips (H.264 constrained baseline, a key frame every 2 s)."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rtcc_demo.render.bodies import Pose, draw_mesh, draw_vehicle, light_points, tram_mesh
from rtcc_demo.render.glow import add_glow
from rtcc_demo.render.lens import Lens
from rtcc_demo.render.scenes import (
    FAR_Y_M,
    FRAMES_PER_SECOND,
    NEAR_Y_M,
    SCENE_S,
    TRAM_FAR_Y_M,
    TRAM_NEAR_Y_M,
    Scene,
    Walk,
    make_scene,
    scene_names,
)
from rtcc_demo.render.street_scene import LAMP_COLOUR, LAMP_HEIGHT_M, paint_street
from rtcc_demo.world.vehicles import Colour

CLIPS_VERSION = 1
"""Rises when the drawing changes: older clips are drawn anew."""
KEY_INTERVAL_S = 2
TRAM_SPEED_MPS = (TRAM_FAR_Y_M - TRAM_NEAR_Y_M) / SCENE_S


WORKERS = 2


class ClipsNotDrawn(RuntimeError):
    """A worker that draws a clip failed."""

    def __init__(self, name: str, said: str) -> None:
        super().__init__(f"the camera clip {name} could not be drawn: {said[-600:]}. Check free disk space and start the demo again.")
        self.name = name


def clip_path(folder: Path, name: str, seed: int = 1) -> Path:
    """Where a scene's clip is kept."""
    return folder / f"{name}.v{CLIPS_VERSION}.seed{seed}.mp4"


async def ensure_clips(folder: Path, told: Callable[[int, int], None], seed: int = 1) -> dict[str, Path]:
    """Draws the clips that are missing, two at a time, and returns all by scene. `told(done, of)` hears of the progress.

    Raises ClipsNotDrawn. Each worker is a process of its own, so that drawing neither holds up this one nor needs its memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips = {name: clip_path(folder, name, seed) for name in scene_names()}
    missing = [name for name, path in clips.items() if not path.exists()]
    if missing:
        left, done = iter(missing), 0
        told(done, len(missing))

        async def work() -> None:
            nonlocal done
            for name in left:
                await _draw_elsewhere(name, clips[name], seed)
                done += 1
                told(done, len(missing))

        workers = [asyncio.create_task(work()) for _ in range(WORKERS)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    return clips


async def _draw_elsewhere(name: str, path: Path, seed: int) -> None:
    command = (sys.executable, "-m", "rtcc_demo.render", name, str(path), str(seed))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise ClipsNotDrawn(name, said.decode(errors="replace").strip())


def draw_clip(name: str, path: Path, seed: int = 1) -> None:
    """Draws and encodes one scene. The file appears whole or not at all."""
    partial = path.with_suffix(".partial.mp4")
    with av.open(str(partial), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        scene = make_scene(name, seed)
        stream.width, stream.height, stream.pix_fmt = scene.lens.width, scene.lens.height, "yuv420p"
        stream.codec_context.gop_size = KEY_INTERVAL_S * FRAMES_PER_SECOND
        stream.codec_context.max_b_frames = 0
        stream.codec_context.thread_count = 1
        stream.options = {
            "preset": "superfast",
            "profile": "baseline",
            "crf": "29",
            "maxrate": "320k",
            "bufsize": "480k",
            "x264-params": f"keyint={KEY_INTERVAL_S * FRAMES_PER_SECOND}:min-keyint={KEY_INTERVAL_S * FRAMES_PER_SECOND}:scenecut=0",
        }
        for picture in draw_frames(scene):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    partial.replace(path)


def draw_frames(scene: Scene) -> Iterator[NDArray[np.uint8]]:
    """All pictures of a scene, RGB."""
    twice = scene.lens.scaled(2)
    empty = _furnish(scene, twice)
    for index in range(SCENE_S * FRAMES_PER_SECOND):
        now_s = index / FRAMES_PER_SECOND
        image = empty.copy()
        lights = _draw_moving(image, twice, scene, now_s)
        picture = np.array(image.reduce(2))
        for x, y, depth, colour, strength in lights:
            if (radius := min(60.0, strength * 420 / depth)) > 3 and _shines(image, x, y, colour):
                add_glow(picture, x / 2, y / 2, radius, colour, 0.55)
        _sign(picture)
        yield picture


def _shines(image: Image.Image, x: float, y: float, colour: Colour) -> bool:
    """Whether a light is in sight: its own colour is what was drawn last there."""
    if not (0 <= x < image.width and 0 <= y < image.height):
        return True
    return image.getpixel((int(x), int(y))) == colour


def _furnish(scene: Scene, lens: Lens) -> Image.Image:
    """The street with everything that stands still."""
    image = Image.fromarray(paint_street(scene.street, lens))
    things: list[tuple[float, Callable[[], None]]] = []
    things += [(y, partial(_lamp, image, lens, x, y)) for x, y in scene.street.lamps]
    things += [(y, partial(_tree, image, lens, x, y, height)) for x, y, height in scene.trees]
    things += [(pose.y, partial(draw_vehicle, image, lens, vehicle, pose)) for vehicle, pose in scene.parked]
    for _, draw in sorted(things, key=lambda thing: -thing[0]):
        draw()
    picture = np.array(image)
    for x, y in scene.street.lamps:
        at_x, at_y, depth = lens.project(np.array([[x * 0.86, y, LAMP_HEIGHT_M - 0.1]]))[0]
        if depth > 2:
            add_glow(picture, at_x, at_y, 1040 / depth, LAMP_COLOUR, 0.75)
    return Image.fromarray(picture)


def _draw_moving(image: Image.Image, lens: Lens, scene: Scene, now_s: float) -> list[tuple[float, float, float, Colour, float]]:
    """Draws what moves, far to near; returns the lights to let glow: x, y, depth, colour, strength."""
    things: list[tuple[float, Callable[[], None]]] = []
    lights: list[tuple[float, float, float, Colour, float]] = []
    for drive in scene.drives:
        run_m = ((now_s - drive.starts_s) % SCENE_S) * drive.speed_mps
        y = FAR_Y_M - run_m if drive.oncoming else NEAR_Y_M + run_m
        if not NEAR_Y_M < y < FAR_Y_M:
            continue
        pose = Pose(drive.x, y, drive.oncoming)
        things.append((y, partial(draw_vehicle, image, lens, drive.vehicle, pose)))
        for point, colour in light_points(drive.vehicle, pose):
            x, row, depth = lens.project(point[None, :])[0]
            if depth > 3:
                lights.append((x, row, depth, colour, 1.2 if drive.oncoming else 0.6))
    if scene.tram_starts_s is not None:
        y = TRAM_FAR_Y_M - ((now_s - scene.tram_starts_s) % SCENE_S) * TRAM_SPEED_MPS
        things.append((y - 13.0, partial(draw_mesh, image, lens, tram_mesh(), Pose(-0.8, y, oncoming=True))))
    for walk in scene.walks:
        things.append((_walked(walk, now_s), partial(_walker, image, lens, walk, now_s)))
    for _, draw in sorted(things, key=lambda thing: -thing[0]):
        draw()
    return lights


def _walked(walk: Walk, now_s: float) -> float:
    """To and fro: at the end of the round everybody is back where it began."""
    turn_s = SCENE_S / 2
    return walk.y + walk.speed_mps * (turn_s - abs((now_s + walk.phase * SCENE_S) % SCENE_S - turn_s))


def _walker(image: Image.Image, lens: Lens, walk: Walk, now_s: float) -> None:
    y = _walked(walk, now_s)
    foot, head = lens.project(np.array(((walk.x, y, 0.0), (walk.x, y, 1.72))))
    if foot[2] < 3:
        return
    draw = ImageDraw.Draw(image, "RGBA")
    height = foot[1] - head[1]
    x, base, unit = float(foot[0]), float(foot[1]), float(height) / 1.72
    swing = math.sin(now_s * 7.0 + walk.phase * 6.3) * 0.22 * unit
    dim = tuple(int(part * 0.62) for part in walk.coat)
    draw.ellipse((x - 0.35 * unit, base - 0.06 * unit, x + 0.35 * unit, base + 0.08 * unit), fill=(4, 6, 9, 110))
    for step in (swing, -swing):
        draw.line((x, base - 0.85 * unit, x + step, base), fill=(24, 26, 32), width=max(1, round(0.14 * unit)))
    draw.rounded_rectangle((x - 0.22 * unit, base - 1.48 * unit, x + 0.22 * unit, base - 0.7 * unit), 0.12 * unit, fill=dim)
    draw.ellipse((x - 0.12 * unit, base - 1.74 * unit, x + 0.12 * unit, base - 1.48 * unit), fill=(132, 104, 88))


def _lamp(image: Image.Image, lens: Lens, x: float, y: float) -> None:
    points = lens.project(np.array(((x, y, 0.0), (x, y, LAMP_HEIGHT_M), (x * 0.84, y, LAMP_HEIGHT_M + 0.25))))
    if points[:, 2].min() < 2:
        return
    draw = ImageDraw.Draw(image)
    outline = [(px, py) for px, py, _ in points.tolist()]
    draw.line(outline, fill=(26, 29, 34), width=max(1, round(0.13 * lens.focal_px / points[0, 2])), joint="curve")
    size = max(1.5, 0.2 * lens.focal_px / points[2, 2])
    tip_x, tip_y = outline[2]
    draw.ellipse((tip_x - size, tip_y - size * 0.4, tip_x + size, tip_y + size * 0.4), fill=(255, 238, 204))


def _tree(image: Image.Image, lens: Lens, x: float, y: float, height: float) -> None:
    """A bare-crowned lime: trunk and a cloud of leaves."""
    foot, top = lens.project(np.array(((x, y, 0.0), (x, y, height))))
    if foot[2] < 4:
        return
    draw = ImageDraw.Draw(image, "RGBA")
    unit = float(foot[1] - top[1]) / height
    draw.line((float(foot[0]), float(foot[1]), float(top[0]), float(top[1])), fill=(30, 28, 28), width=max(1, round(0.28 * unit)))
    leaves = np.random.default_rng(abs(round(x * 100 + y * 10)))
    for u, v, r in zip(
        leaves.normal(0, 0.9, 90).clip(-1.4, 1.4), leaves.normal(0, 1.0, 90).clip(-1.6, 1.6), leaves.uniform(0.25, 0.65, 90), strict=True
    ):
        cx, cy, radius = float(top[0]) + u * unit, float(top[1]) + (1.9 + v) * unit, r * unit
        shade = 26 + int(16 * (1 - (v + 2) / 4))
        draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=(shade - 6, shade + 8, shade - 2, 150))


def _sign(picture: NDArray[np.uint8]) -> None:
    """Says in the picture that it is drawn."""
    mark = _mark()
    part = picture[-mark.shape[0] - 6 : -6, 8 : 8 + mark.shape[1]]
    np.maximum(part, mark, out=part)


@cache
def _mark() -> NDArray[np.uint8]:
    image = Image.new("RGB", (150, 14))
    ImageDraw.Draw(image).text((0, 0), "DEMO · RENDERED SCENE", fill=(150, 158, 168), font=ImageFont.load_default(10))
    return np.array(image)
