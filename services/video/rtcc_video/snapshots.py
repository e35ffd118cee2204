"""Still pictures of live cameras, decoded in one child process and kept for a few seconds."""

import asyncio
import contextlib
import logging
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rtcc_video.children import environment_without_secrets
from rtcc_video.engine.stream import LiveStream

_log = logging.getLogger(__name__)

_REQUEST = struct.Struct("!IH")
_ANSWER = struct.Struct("!BI")
_DECODE_LIMIT_S: Final = 5.0
_FIRST_PICTURE_S: Final = 6.0
_IDLE_LIMIT_S: Final = 60.0
_PICTURE_LIMIT_BYTES: Final = 16_000_000


class NoPicture(Exception):
    """There is no picture to show; the message says why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A JPEG and the monotonic second at which its picture came from the camera."""

    jpeg: bytes
    received_s: float


class Snapshots:
    """Decodes at most one picture at a time; the child starts with the first and ends after a minute without work."""

    def __init__(self, width_px: int, age_s: float, clock: Callable[[], float]) -> None:
        self._width_px = width_px
        self._age_s = age_s
        self._clock = clock
        self._cache: dict[int, Snapshot] = {}
        self._made_s: dict[int, float] = {}
        self._lock = asyncio.Lock()
        self._child: asyncio.subprocess.Process | None = None
        self._used_s = 0.0

    async def take(self, stream: LiveStream) -> Snapshot:
        """The newest key picture of a stream, waiting a moment for its first one. Raises `NoPicture`."""
        await self._wait_for_picture(stream)
        async with self._lock:
            now_s = self._clock()
            self._forget(now_s)
            cached, picture = self._cache.get(stream.ssrc), stream.key_picture
            if picture is None:
                raise NoPicture("The camera has sent no complete picture yet.")
            if cached is not None and (cached.received_s == picture.received_s or now_s - self._made_s[stream.ssrc] < self._age_s):
                return cached
            snapshot = Snapshot(await self._decode(picture.unit.annex_b()), picture.received_s)
            self._cache[stream.ssrc], self._made_s[stream.ssrc] = snapshot, self._clock()
            return snapshot

    async def decode(self, picture: bytes) -> bytes:
        """A key picture, as Annex B, as JPEG. Raises `NoPicture`."""
        async with self._lock:
            return await self._decode(picture)

    async def end_when_idle(self) -> None:
        """Ends a child that nobody used for a minute: call it now and then."""
        if self._child is not None and self._clock() - self._used_s > _IDLE_LIMIT_S and not self._lock.locked():
            await self.stop()

    async def stop(self) -> None:
        """Ends the child."""
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def _wait_for_picture(self, stream: LiveStream) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_PICTURE_S):
                await stream.first_key_picture.wait()

    async def _decode(self, picture: bytes) -> bytes:
        if len(picture) > _PICTURE_LIMIT_BYTES:
            raise NoPicture("The camera's key picture is too large for a still.")
        self._used_s = self._clock()
        try:
            async with asyncio.timeout(_DECODE_LIMIT_S):
                status, body = await self._ask(picture)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            await self.stop()
            raise NoPicture("The picture couldn't be decoded in time; ask again.") from error
        except asyncio.CancelledError:
            # Half an answer may be on its way: the next caller must not read it.
            await self.stop()
            raise
        if status != 0:
            raise NoPicture(f"The camera's picture can't be decoded: {body.decode('utf-8', 'replace')[:200]}")
        return body

    async def _ask(self, picture: bytes) -> tuple[int, bytes]:
        child = await self._running_child()
        if child.stdin is None or child.stdout is None:
            raise OSError("the child has no pipes")
        child.stdin.write(_REQUEST.pack(len(picture), self._width_px) + picture)
        await child.stdin.drain()
        status, size = _ANSWER.unpack(await child.stdout.readexactly(_ANSWER.size))
        return status, await child.stdout.readexactly(size)

    async def _running_child(self) -> asyncio.subprocess.Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "rtcc_video.snapshot_child",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # It decodes what strangers send: it gets none of our secrets.
                env=environment_without_secrets(),
            )
        return self._child

    def _forget(self, now_s: float) -> None:
        for key in [key for key, made_s in self._made_s.items() if now_s - made_s > 4 * self._age_s]:
            del self._cache[key], self._made_s[key]
