"""The service runs on uvloop where it is installed; its transports aren't asyncio's own classes."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from rtcc_demo.rtsp_server import RtspServer
from rtcc_demo.rtsp_sound import make_sound
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.sources.rtsp import RtspSettings, RtspSource
from rtcc_video.sources.rtsp_messages import parse_address

from .ears import listening
from .test_sound_in import listened

uvloop = pytest.importorskip("uvloop")


class FirstUnit:
    def __init__(self) -> None:
        self.arrived = asyncio.Event()

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        pass

    def on_unit(self, unit: AccessUnit) -> None:
        self.arrived.set()


async def play_first_unit(clip: Path) -> None:
    async with RtspServer({"north": clip}, "viewer", "secret") as server:
        sink = FirstUnit()
        playing = asyncio.create_task(RtspSource(parse_address(server.url("north")), RtspSettings()).run(sink))
        async with asyncio.timeout(30):
            await sink.arrived.wait()
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)


async def hear_a_converted_tone(clip: Path) -> None:
    sounds = {"north": make_sound("PCMU")}
    async with (
        RtspServer({"north": clip}, "viewer", "secret", sounds=sounds) as server,
        listened({"c1": server.url("north")}) as (_, found),
    ):
        await listening(found["c1"].stream.sound).until(10)


def on_uvloop(proof: Callable[[Path], Coroutine[None, None, None]], clip: Path) -> None:
    uvloop.run(proof(clip))


async def in_a_process(proof: Callable[[Path], Coroutine[None, None, None]], clip: Path) -> None:
    """In one of its own, as the service has: uvloop forks to start a child and runs Python in the fork, which waits for ever when it
    collects a scaler of libav there, whose threads the fork doesn't have. The process of the tests is full of them."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        async with asyncio.timeout(100):
            await asyncio.get_running_loop().run_in_executor(pool, on_uvloop, proof, clip)


async def test_a_camera_is_heard_through_a_converter_on_uvloop(make_clip: Callable[..., Path]) -> None:
    await in_a_process(hear_a_converted_tone, make_clip())


async def test_a_camera_plays_on_uvloop(make_clip: Callable[..., Path]) -> None:
    await in_a_process(play_first_unit, make_clip())
