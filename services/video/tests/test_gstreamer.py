"""A second WebRTC stack as the viewer: GStreamer's webrtcbin (libnice, OpenSSL DTLS, libsrtp)."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rtcc_video.engine.endpoint import Endpoint, EndpointSettings

from .test_sound_view import Microphone

PLAYER = Path(__file__).with_name("gstreamer_viewer.py")
ELEMENTS = ["webrtcbin", "nicesrc", "rtph264depay", "h264parse", "avdec_h264", "rtpopusdepay", "opusdec", "level"]
NEEDED = f"""
import gi
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst
Gst.init(None)
assert all(map(Gst.ElementFactory.find, {ELEMENTS}))
"""
# The bindings belong to the system's own Python.
PYTHONS = ["/usr/bin/python3", "python3"]


@pytest.fixture(scope="module")
def python() -> str:
    """A Python with GStreamer's bindings; the test is skipped where there is none."""
    for program in filter(shutil.which, PYTHONS):
        if subprocess.run([program, "-c", NEEDED], capture_output=True, check=False).returncode == 0:
            return program
    pytest.skip(
        "no webrtcbin: apt-get install python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice gstreamer1.0-libav and plugins good, bad"
    )


@pytest.mark.parametrize("heard_s", [0, 1])
async def test_webrtcbin_decodes_the_stream_and_its_sound(python: str, player: Any, heard_s: int) -> None:
    microphone = Microphone(player.stream)
    if heard_s:
        microphone.start()
    endpoint = Endpoint(EndpointSettings())
    await endpoint.start()

    async def whep(request: web.Request) -> web.Response:
        viewer, answer = endpoint.open("gstreamer", player.stream, await request.text(), lambda *_: None, may_hear=True)
        assert viewer.set_sound(heard_s > 0)
        return web.Response(text=answer, status=201, content_type="application/sdp")

    application = web.Application()
    application.add_routes([web.post("/whep", whep)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/whep"
    playing = await asyncio.create_subprocess_exec(
        python, str(PLAYER), url, "40", str(heard_s), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output, _ = await playing.communicate()
    print(output.decode(errors="replace")[-2000:])
    assert playing.returncode == 0
    counters = endpoint.viewers[0].counters
    assert counters.packets_sent > 100
    assert bool(heard_s) == (counters.sound_heard_s > 0)
    await microphone.stop()
    await runner.cleanup()
    await endpoint.stop()
