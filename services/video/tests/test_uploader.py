"""From the spool to the store: what was just written needn't be read again, and memory is bounded all the same."""

import asyncio
import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

from rtcc_chassis.scope import Scope
from rtcc_chassis.testing import poll
from rtcc_video.recording.domain import Segment
from rtcc_video.recording.fmp4 import Init
from rtcc_video.recording.spool import Spool, Taken
from rtcc_video.recording.uploader import Uploader

_MEGABYTES = 1024 * 1024
_INIT = Init("ab" * 32, "avc1.42c01f", 1280, 720, b"init")
_NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)


class Destination:
    """Store and index in memory; the real ones are in test_recording_faults.py."""

    def __init__(self) -> None:
        self.hashes: dict[str, str] = {}
        self.rows: list[str] = []

    async def put(self, scope: Scope, agency_id: str, key: str, data: bytes, content_type: str, sha256: str = "") -> str:
        assert hashlib.sha256(data).hexdigest() == sha256
        self.hashes[key] = sha256
        return sha256

    async def add_segments(self, scope: Scope, segments: list[Segment], inits: list[tuple[str, Init]]) -> None:
        self.rows += [segment.object_key for segment in segments]


def spooled_segment(spool: Spool, uploader: Uploader, number: int, size: int) -> Segment:
    data = os.urandom(size)
    segment = Segment(
        f"s{number}", "east", "c1", _NOON, _NOON, None, 0, _INIT.init_id, f"footage/{number}.m4s", hashlib.sha256(data).hexdigest(), size,
        120, True, True,
    )  # fmt: skip
    uploader.put(spool.put(segment, _INIT, data), Taken(segment, _INIT, data))
    return segment


async def test_what_waits_is_held_up_to_a_bound_and_read_from_the_spool_beyond_it(tmp_path: Path) -> None:
    spool, destination = Spool(tmp_path, 200 * _MEGABYTES), Destination()
    spool.recover()
    uploader = Uploader(spool, destination, destination, lambda: 0.0)
    segments = [spooled_segment(spool, uploader, number, 7 * _MEGABYTES) for number in range(6)]
    held = [taken for _, taken in uploader._waiting if taken is not None]
    assert len(held) == 4
    assert uploader._held_bytes == sum(len(taken.data) for taken in held) <= 32 * _MEGABYTES
    # all of them are on the disk, whether held or not
    running = asyncio.create_task(uploader.run())

    async def idle() -> bool:
        return uploader.idle and spool.used_bytes == 0

    try:
        await poll(idle, deadline_s=20)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert destination.hashes == {segment.object_key: segment.sha256 for segment in segments}
    assert sorted(destination.rows) == sorted(destination.hashes)
    assert uploader._held_bytes == 0
    assert spool.used_bytes == 0
    assert list(tmp_path.iterdir()) == []
