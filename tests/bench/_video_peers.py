"""The relays that are measured, ours and others', behind one interface: started, asked for a view, weighed, ended.

Janus and Pion are taken from the machine (Debian: `janus`; `golang-go` and `golang-github-pion-webrtc.v3-dev`). Where one can't be had,
`PeerUnavailable` says why, and the measurement goes on without it.
"""

import asyncio
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from _video_stream import RtpFeeder, own_address, read_units, write_units
from _video_viewers import SETUP_LIMIT_S, Viewer

from rtcc_chassis.testing import free_port

GO_PATH = Path("/usr/share/gocode")
PION = GO_PATH / "src" / "github.com" / "pion" / "webrtc"
JANUS_ROOTS = [Path("/usr/lib") / f"{os.uname().machine}-linux-gnu" / "janus", Path("/usr/lib/janus")]
# Only the streaming plugin and HTTP: what isn't measured needn't run.
JANUS_PLUGINS = "audiobridge duktape echotest lua nosip recordplay sip textroom videocall videoroom voicemail"
JANUS_TRANSPORTS = "mqtt nanomsg pfunix rabbitmq websockets"


class PeerUnavailable(Exception):
    """A relay to compare with that this machine doesn't have; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Relay:
    """A running relay: `connect` opens one viewer of its stream, with the options of `Viewer`; `ask` asks a child of ours."""

    pid: int
    connect: Callable[..., Awaitable[Viewer]]
    ask: Callable[[dict[str, Any]], Awaitable[Any]] | None = None

    def cpu_s(self) -> float:
        """User and system time of all its threads so far, as the scheduler counted it."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


@asynccontextmanager
async def python_relay(kind: str, clip: Path, codec: str = "H264", streams: int = 1) -> AsyncIterator[Relay]:
    """One of `_video_relays.py`; `streams` is for ours."""
    command = [sys.executable, str(Path(__file__).with_name("_video_relays.py")), kind, str(clip), str(streams)]
    async with _asked(command, codec) as relay:
        yield relay


@asynccontextmanager
async def pion_relay(clip: Path) -> AsyncIterator[Relay]:
    """`_pion_relay.go`, built on the spot."""
    go = shutil.which("go")
    if go is None or not PION.is_dir():
        raise PeerUnavailable("no Go or no Pion sources: apt-get install golang-go golang-github-pion-webrtc.v3-dev")
    with tempfile.TemporaryDirectory() as folder:
        program, units = Path(folder) / "pion-relay", Path(folder) / "units"
        # Inside a GOPATH and beside a go.mod: only there does Go read ".../v3" as the folder that Debian has (golang.org/issue/25069).
        source = Path(folder) / "src" / "relay"
        source.mkdir(parents=True)
        (source / "go.mod").write_text("module relay\n")
        (source / "main.go").write_bytes(Path(__file__).with_name("_pion_relay.go").read_bytes())
        environment = {**os.environ, "GO111MODULE": "off", "GOPATH": f"{folder}:{GO_PATH}", "GOFLAGS": ""}
        command = [go, "build", "-o", str(program), "."]
        built = await asyncio.to_thread(subprocess.run, command, cwd=source, env=environment, capture_output=True, text=True, check=False)
        if built.returncode != 0:
            raise PeerUnavailable(f"Pion's relay doesn't build: {built.stderr[:300]}")
        write_units(read_units(clip), units)
        async with _asked([str(program), str(units)], "H264") as relay:
            yield relay


@asynccontextmanager
async def janus_relay(clip: Path) -> AsyncIterator[Relay]:
    """Janus with its streaming plugin, fed with RTP, two event loops, ICE-lite."""
    program = shutil.which("janus")
    root = next(filter(Path.is_dir, JANUS_ROOTS), None)
    if program is None or root is None:
        raise PeerUnavailable("no Janus: apt-get install janus")
    http_port, rtp_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        _write_janus_settings(Path(folder), root, http_port, rtp_port)
        child = await asyncio.create_subprocess_exec(
            program, "-F", folder, "-C", f"{folder}/janus.jcfg", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        feeder: RtpFeeder | None = None
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{http_port}") as http:
                await _janus_answers(http)
                feeder = RtpFeeder(read_units(clip), rtp_port)
                yield Relay(child.pid, lambda: _watch_janus(http))
        finally:
            if feeder is not None:
                feeder.close()
            child.kill()
            await child.wait()


def _write_janus_settings(folder: Path, root: Path, http_port: int, rtp_port: int) -> None:
    disabled = ", ".join(f"libjanus_{name}.so" for name in JANUS_PLUGINS.split())
    transports = ", ".join(f"libjanus_{name}.so" for name in JANUS_TRANSPORTS.split())
    (folder / "janus.jcfg").write_text(
        f"""general: {{ configs_folder = "{folder}" plugins_folder = "{root}/plugins" transports_folder = "{root}/transports"
  events_folder = "{root}/events" loggers_folder = "{root}/loggers" debug_level = 2 session_timeout = 0 event_loops = 2
  admin_secret = "{secrets.token_hex(8)}" }}
media: {{ ipv6 = false }}
nat: {{ ice_lite = true full_trickle = false ice_enforce_list = "{own_address()}" }}
plugins: {{ disable = "{disabled}" }}
transports: {{ disable = "{transports}" }}
"""
    )
    (folder / "janus.transport.http.jcfg").write_text(
        f'general: {{ json = "compact" base_path = "/janus" http = true port = {http_port} ip = "127.0.0.1" https = false }}\n'
        "admin: { admin_http = false admin_https = false }\n"
    )
    (folder / "janus.plugin.streaming.jcfg").write_text(
        f'camera: {{ type = "rtp" id = 1 audio = false video = true videoport = {rtp_port} videopt = 96 videocodec = "h264"\n'
        '  videofmtp = "profile-level-id=42e01f;packetization-mode=1" videobufferkf = true }\n'
    )


async def _janus_answers(http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                async with http.get("/janus/info"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)


async def _watch_janus(http: aiohttp.ClientSession) -> Viewer:
    async def ask(path: str, **fields: Any) -> Any:
        async with http.post(path, json={"transaction": secrets.token_hex(6), **fields}) as response:
            return await response.json(content_type=None)

    session = (await ask("/janus", janus="create"))["data"]["id"]
    handle = (await ask(f"/janus/{session}", janus="attach", plugin="janus.plugin.streaming"))["data"]["id"]
    await ask(f"/janus/{session}/{handle}", janus="message", body={"request": "watch", "id": 1})
    while True:
        async with http.get(f"/janus/{session}") as response:
            event = await response.json(content_type=None)
        if "jsep" in event:
            break
    viewer = Viewer()
    answer = viewer.answer(event["jsep"]["sdp"])
    await ask(f"/janus/{session}/{handle}", janus="message", body={"request": "start"}, jsep={"type": "answer", "sdp": answer})
    return viewer


@asynccontextmanager
async def _asked(command: list[str], codec: str) -> AsyncIterator[Relay]:
    """A child that answers JSON lines."""
    child = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=1 << 20)
    assert child.stdin is not None
    assert child.stdout is not None
    requests, answers = child.stdin, child.stdout

    async def ask(request: dict[str, Any]) -> Any:
        requests.write(json.dumps(request).encode() + b"\n")
        await requests.drain()
        async with asyncio.timeout(SETUP_LIMIT_S):
            line = await answers.readline()
        assert line, f"{command[:3]} ended: see its error above"
        return json.loads(line)

    async def exchange(offer: str) -> str:
        return str((await ask({"do": "open", "offer": offer}))["answer"])

    try:
        yield Relay(child.pid, lambda **options: Viewer(codec, **options).offer_to(exchange), ask)
    finally:
        requests.close()
        try:
            async with asyncio.timeout(5):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()
