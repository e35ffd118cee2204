"""A camera's RTSP server: RTSP 1.0 (RFC 2326) with Digest authentication, RTP interleaved on the same TCP connection or over UDP.

Each path plays a clip in an endless loop, as a live camera would: all its viewers see the same moment, one joining gets the pictures since
the last key frame at once. Coded pictures are passed on as they are.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from rtcc_demo.clip import Clip, load_clip
from rtcc_demo.rtsp_messages import Answer, BadRequest, DigestCheck, Request, parse_request
from rtcc_demo.rtsp_player import InterleavedOutlet, Outlet, Player, UdpOutlet
from rtcc_demo.rtsp_sound import Sound, SoundPlayer

METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
HEAD_LIMIT_BYTES = 8_192
SESSION_TIMEOUT_S = 60
INTERLEAVED_MARK = 0x24

_AHEAD = 5_000
_WRONG_CHANNELS = Answer(400, headers={"X-Reason": "interleaved takes two channel numbers below 256"})


class RtspServer:
    """Serves clips as cameras on loopback: `async with RtspServer({"north": file}, "viewer", "secret") as server: server.url("north")`.

    `offsets_s` shifts a path's loop, so that cameras sharing a clip show different moments. `port` 0 takes a free one. As cameras differ:
    `transports` says which of "tcp" and "udp" it offers, `algorithm` which hash its Digest takes, `tls` makes it an rtsps server, and
    `shuffle` sends UDP packets out of order. `sounds` gives paths a microphone; with `unasked_sound` clients get the first of them though
    they never asked, among the pictures and over TCP in a channel of its own too. `refuse_sound`: the status with which SETUP of it is
    answered; 0: it is given; -1: the connection breaks off.
    """

    def __init__(
        self,
        clips: Mapping[str, Path | Clip],
        username: str,
        password: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        offsets_s: Mapping[str, float] | None = None,
        transports: Collection[str] = ("tcp",),
        algorithm: str = "MD5",
        tls: ssl.SSLContext | None = None,
        shuffle: bool = False,
        sounds: Mapping[str, Sound] | None = None,
        unasked_sound: bool = False,
        refuse_sound: int = 0,
    ) -> None:
        self._files = dict(clips)
        self._username = username
        self._password = password
        self._host = host
        self._port = port
        self._offsets_s = dict(offsets_s or {})
        self.transports = frozenset(transports)
        self.shuffle = shuffle
        self.sounds = dict(sounds or {})
        self.unasked_sound = unasked_sound
        self.refuse_sound = refuse_sound
        # the last part of the address of each SETUP that was answered, and how many packets of sound left
        self.set_ups: list[str] = []
        self.sound_packets = 0
        self._algorithm = algorithm
        self._tls = tls
        self._clips: dict[str, Clip] = {}
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._epoch_s = 0.0

    async def __aenter__(self) -> Self:
        loaded: dict[Path, Clip] = {}
        for name, file in self._files.items():
            if isinstance(file, Path) and file not in loaded:
                loaded[file] = await asyncio.to_thread(load_clip, file)
            self._clips[name] = loaded[file] if isinstance(file, Path) else file
        self._epoch_s = asyncio.get_running_loop().time()
        self._server = await asyncio.start_server(self._accept, self._host, self._port, limit=HEAD_LIMIT_BYTES, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        """The TCP port in use."""
        return self._port

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._connections)

    def url(self, path: str, *, credentials: bool = True) -> str:
        """The address of a camera, with user name and password unless told otherwise."""
        who = f"{quote(self._username, safe='')}:{quote(self._password, safe='')}@" if credentials else ""
        return f"{'rtsps' if self._tls else 'rtsp'}://{who}{self._host}:{self._port}/{quote(path)}"

    def clip_of(self, path: str) -> tuple[Clip, float] | None:
        """A path's clip and the loop time (event loop clock, seconds) at which its playing began; None for an unknown path."""
        clip = self._clips.get(path)
        return (clip, self._epoch_s - self._offsets_s.get(path, 0.0)) if clip else None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        connection = _Connection(self, reader, writer, DigestCheck(self._username, self._password, self._algorithm))
        try:
            await connection.run()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client left, or sent a head beyond the limit: either way there is nobody to answer
        except asyncio.CancelledError:
            pass  # the server closes; asyncio.start_server would log a cancelled handler as an error
        finally:
            connection.close()
            self._connections.discard(task)


class _Connection:
    """One client: its requests in order, and at most one playing session."""

    def __init__(self, server: RtspServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, digest: DigestCheck) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._digest = digest
        self._session = secrets.token_hex(8)
        self._player: Player | None = None
        self._udp: UdpOutlet | None = None
        self._sound_udp: UdpOutlet | None = None
        self._sound: SoundPlayer | None = None

    async def run(self) -> None:
        while True:
            first = await self._reader.readexactly(1)
            if first[0] == INTERLEAVED_MARK:
                head = await self._reader.readexactly(3)
                await self._reader.readexactly(int.from_bytes(head[1:], "big"))  # the client's RTCP: proof of life, nothing to act on
                continue
            head = first + await self._reader.readuntil(b"\r\n\r\n")
            try:
                request = parse_request(head)
            except BadRequest as error:
                self._send(Answer(400, headers={"X-Reason": error.reason}), "0")
                return
            if request.content_bytes:
                await self._reader.readexactly(min(request.content_bytes, HEAD_LIMIT_BYTES))
            self._send(self._answer(request), request.sequence)
            if request.method == "TEARDOWN":
                await self._writer.drain()
                return
            if request.method == "PLAY" and self._player:
                self._player.start()
                if self._sound:
                    self._sound.start(self._player.began_s)

    def close(self) -> None:
        if self._sound:
            self._sound.stop()
            self._server.sound_packets += self._sound.sent
        if self._player:
            self._player.stop()
        for pair in (self._udp, self._sound_udp):
            if pair:
                pair.close()
        self._writer.close()

    def _send(self, answer: Answer, sequence: str) -> None:
        self._writer.write(answer.encode(sequence))

    def _answer(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            return Answer(200, headers={"Public": METHODS})
        if not self._digest.allows(request):
            return Answer(401, headers={"WWW-Authenticate": self._digest.challenge})
        handle = {
            "DESCRIBE": self._describe,
            "SETUP": self._setup,
            "PLAY": self._play,
            "TEARDOWN": self._teardown,
            "GET_PARAMETER": self._keep_alive,
            "SET_PARAMETER": self._keep_alive,
        }.get(request.method)
        return handle(request) if handle else Answer(405, headers={"Allow": METHODS})

    @property
    def _session_header(self) -> dict[str, str]:
        return {"Session": f"{self._session};timeout={SESSION_TIMEOUT_S}"} if self._player else {}

    def _describe(self, request: Request) -> Answer:
        found = self._server.clip_of(request.path)
        if found is None:
            return Answer(404)
        host = urlsplit(request.uri).hostname or "127.0.0.1"
        sound = self._server.sounds.get(request.path)
        headers = {"Content-Base": request.uri.rstrip("/") + "/", "Content-Type": "application/sdp"}
        return Answer(200, headers=headers, body=(found[0].sdp(host) + (sound.sdp() if sound else "")).encode())

    def _setup(self, request: Request) -> Answer:
        found = self._server.clip_of(request.path)
        if found is None:
            return Answer(404)
        transport = request.headers.get("transport", "")
        sound = self._server.sounds.get(request.path)
        asks_for_sound = request.uri.endswith("trackID=1")
        if (self._sound if asks_for_sound else self._player) is not None or (asks_for_sound and sound is None):
            return Answer(459)
        self._server.set_ups.append(request.uri.rpartition("/")[2])
        if asks_for_sound and self._server.refuse_sound:
            if self._server.refuse_sound < 0:
                raise ConnectionResetError
            return Answer(self._server.refuse_sound)
        for wanted in (one.strip() for one in transport.split(",")):
            over_tcp = wanted.upper().startswith("RTP/AVP/TCP")
            if over_tcp and "tcp" in self._server.transports:
                if asks_for_sound and sound is not None:
                    return self._set_up_sound(wanted, sound)
                return self._set_up_interleaved(wanted, *found)
            if not over_tcp and wanted.upper().startswith("RTP/AVP") and "udp" in self._server.transports:
                return self._set_up_udp(wanted, *found, sound if asks_for_sound else None)
        return Answer(461)

    def _set_up_udp(self, wanted: str, clip: Clip, began_s: float, sound: Sound | None) -> Answer:
        ports = next((part.partition("=")[2] for part in wanted.split(";") if part.startswith("client_port=")), "")
        first = ports.partition("-")[0]
        if not first.isdecimal() or not 1024 <= int(first) <= 65534:
            return Answer(400, headers={"X-Reason": "client_port takes two port numbers"})
        client, local = self._writer.get_extra_info("peername")[0], self._writer.get_extra_info("sockname")[0]
        if sound is not None:
            self._sound_udp = UdpOutlet(client, int(first), local)
            self._sound = SoundPlayer(sound, (self._sound_udp,))
            reply = f"RTP/AVP;unicast;client_port={ports};server_port={self._sound_udp.port}-{self._sound_udp.port + 1}"
            return Answer(200, headers={"Transport": reply, **self._session_header})
        self._udp = UdpOutlet(client, int(first), local, shuffle=self._server.shuffle)
        self._player = Player(clip, began_s, self._udp)
        if self._server.unasked_sound:
            self._intrude(self._player, self._udp)
        reply = f"RTP/AVP;unicast;client_port={ports};server_port={self._udp.port}-{self._udp.port + 1};ssrc={self._player.ssrc:08X}"
        return Answer(200, headers={"Transport": reply, **self._session_header})

    def _set_up_sound(self, wanted: str, sound: Sound) -> Answer:
        first = _first_channel(wanted)
        if first is None:
            return _WRONG_CHANNELS
        self._sound = SoundPlayer(sound, (InterleavedOutlet(self._writer, first),))
        return Answer(200, headers={"Transport": f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}", **self._session_header})

    def _set_up_interleaved(self, wanted: str, clip: Clip, began_s: float) -> Answer:
        first = _first_channel(wanted)
        if first is None:
            return _WRONG_CHANNELS
        self._player = Player(clip, began_s, InterleavedOutlet(self._writer, first))
        if self._server.unasked_sound:
            self._intrude(self._player, InterleavedOutlet(self._writer, first), InterleavedOutlet(self._writer, first + 2))
        reply = f"RTP/AVP/TCP;unicast;interleaved={first}-{first + 1};ssrc={self._player.ssrc:08X}"
        return Answer(200, headers={"Transport": reply, **self._session_header})

    def _intrude(self, player: Player, *outlets: Outlet) -> None:
        """Sound for who asked for none. Its numbers are ahead of the pictures': who believes them takes those for late."""
        self._sound = SoundPlayer(next(iter(self._server.sounds.values())), outlets, player.sequence + _AHEAD)

    def _play(self, request: Request) -> Answer:
        if self._player is None:
            return Answer(455)
        if not request.headers.get("session", "").startswith(self._session):
            return Answer(454)
        info = f"url={request.uri.rstrip('/')}/trackID=0;seq={self._player.sequence};rtptime={self._player.rtp_time_at_start()}"
        return Answer(200, headers={"Range": "npt=now-", "RTP-Info": info, **self._session_header})

    def _keep_alive(self, request: Request) -> Answer:
        return Answer(200, headers=self._session_header)

    def _teardown(self, request: Request) -> Answer:
        return Answer(200, headers={"Session": self._session})


def _first_channel(wanted: str) -> int | None:
    """The first of the two channels that a Transport header asks for; None when they can't be used."""
    channels = next((part.partition("=")[2] for part in wanted.split(";") if part.startswith("interleaved=")), "0-1")
    first = channels.partition("-")[0]
    return int(first) if first.isdecimal() and int(first) <= 252 else None
