"""Loopback servers for pods: a TCP relay at another address of this machine, the same port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager


@asynccontextmanager
async def relayed(host: str, ports: Sequence[int]) -> AsyncIterator[None]:
    """What comes to host:port goes on to 127.0.0.1:port."""
    open_now: set[asyncio.Task[None]] = set()

    def accept(port: int) -> object:
        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # we run in one
            open_now.add(task)
            try:
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
            except OSError:
                writer.close()
            finally:
                open_now.discard(task)

        return accepted

    async with AsyncExitStack() as stack:
        for port in ports:
            server = await asyncio.start_server(accept(port), host, port)  # type: ignore[arg-type] # a callback by its shape
            await stack.enter_async_context(server)
        try:
            yield
        finally:
            for task in open_now:
                task.cancel()
            await asyncio.gather(*open_now, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
