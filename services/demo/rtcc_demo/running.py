"""The demo's devices in one process: cameras with their RTSP server, and the feeders."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from rtcc_demo.feeders import open_feeders
from rtcc_demo.render.clips import ensure_clips
from rtcc_demo.render.scenes import SCENE_S, scene_names
from rtcc_demo.rtsp_server import RtspServer
from rtcc_demo.rtsp_sound import make_sound
from rtcc_demo.settings import FeederSettings
from rtcc_demo.world.city import load_cameras
from rtcc_demo.world.geometry import Metres, distance_m

FAR_APART_M = 420.0
SAME_KIND_M = 120.0
# it has a microphone, which hears a tone: nobody asks for it before the agency allows sound
MICROPHONE_CAMERA = "helsinki-east-cam-01"


def camera_scenes() -> dict[str, str]:
    """Which scene each camera shows, by camera id (which is also its RTSP path).

    One of its own kind of street if possible, and above all not what the cameras around it show: an alert docks four neighbours.
    """
    placed: list[tuple[Metres, str]] = []
    scenes = {}
    for camera in load_cameras():

        def apart_m(scene: str, at: Metres = camera.at, kind: str = camera.scene) -> float:
            nearest_m = min((distance_m(at, other) for other, shown in placed if shown == scene), default=math.inf)
            return min(nearest_m, FAR_APART_M) + (SAME_KIND_M if scene.startswith(kind) else 0.0)

        scenes[camera.camera_id] = max(scene_names(), key=apart_m)
        placed.append((camera.at, scenes[camera.camera_id]))
    return scenes


def camera_offsets_s(scenes: Mapping[str, str]) -> dict[str, float]:
    """Cameras that share a scene show it at different moments, evenly apart over its length."""
    shared = Counter(scenes.values())
    seen: Counter[str] = Counter()
    offsets = {}
    for camera_id, scene in scenes.items():
        offsets[camera_id] = SCENE_S * seen[scene] / shared[scene]
        seen[scene] += 1
    return offsets


async def run_devices(settings: FeederSettings, told: Callable[[str], None]) -> None:
    """Runs until cancelled. Units and events report at once; the cameras answer as soon as their clips are drawn (first start only)."""
    async with open_feeders(settings) as feeders, asyncio.TaskGroup() as tasks:
        tasks.create_task(feeders.run())
        tasks.create_task(_run_cameras(settings, told))


async def _run_cameras(settings: FeederSettings, told: Callable[[str], None]) -> None:
    clips = await ensure_clips(Path(settings.clips_folder), lambda done, of: told(f"drawing street scenes {done}/{of}"), settings.seed)
    scenes = camera_scenes()
    server = settings.camera_server
    files = {camera_id: clips[scene] for camera_id, scene in scenes.items()}
    offsets_s = camera_offsets_s(scenes)
    sounds = {MICROPHONE_CAMERA: make_sound("OPUS")}
    async with RtspServer(files, server.username, server.password, port=server.port, offsets_s=offsets_s, sounds=sounds) as running:
        told(f"{len(files)} cameras on rtsp://127.0.0.1:{running.port}")
        await asyncio.Event().wait()
