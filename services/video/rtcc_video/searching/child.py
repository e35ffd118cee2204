"""A process of our own that answers one request after the other: what cameras sent is decoded there, away from the relay."""

import asyncio
import contextlib
import struct
import sys
from collections.abc import Sequence
from typing import Final

from rtcc_video.children import environment_without_secrets

_ANSWER = struct.Struct("!BI")
_START_LIMIT_S: Final = 120.0
_ASK_LIMIT_S: Final = 30.0
_ANSWER_LIMIT_BYTES: Final = 1_000_000


class ChildFailed(Exception):
    """The process doesn't start; the message says why."""


class ChildDied(Exception):
    """The process was well and ended, or hung, over a request."""


class Child:
    """Started with the first request. It answers once that it is ready (status 0) or why not, then each request with status and body."""

    def __init__(self, module: str, arguments: Sequence[str] = ()) -> None:
        self._command = [sys.executable, "-m", module, *arguments]
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises `ChildFailed`, `ChildDied`."""
        process = await self._running()
        try:
            async with asyncio.timeout(_ASK_LIMIT_S):
                if process.stdin is None:
                    raise OSError("the child has no pipes")
                process.stdin.write(request)
                await process.stdin.drain()
                return await _answer(process)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            await self.stop()
            raise ChildDied("the process ended, or took too long for a picture") from error
        except asyncio.CancelledError:
            # half an answer may be on its way: the next caller must not read it
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends it."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # It decodes what strangers send: it gets none of our secrets.
            env=environment_without_secrets(),
        )
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                status, body = await _answer(process)
        except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
            await self.stop()
            raise ChildFailed("the process ended before it was ready: has it enough memory?") from error
        except asyncio.CancelledError:
            await self.stop()
            raise
        if status:
            await self.stop()
            raise ChildFailed(body.decode("utf-8", "replace")[:300])
        return process


async def _answer(process: asyncio.subprocess.Process) -> tuple[int, bytes]:
    if process.stdout is None:
        raise OSError("the child has no pipes")
    status, size = _ANSWER.unpack(await process.stdout.readexactly(_ANSWER.size))
    if size > _ANSWER_LIMIT_BYTES:
        raise OSError("the answer is too long")
    return status, await process.stdout.readexactly(size)
