"""Cameras that nobody watches live: read now and then, with the very pictures that they would give at once."""

import asyncio
import contextlib
import itertools
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcc_chassis.testing import poll
from rtcc_demo.rtsp_server import RtspServer
from rtcc_standalone.certificates import ensure_certificates
from rtcc_video.engine.depacketizer import Depacketizer
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.rtp import MalformedPacket, parse_rtp
from rtcc_video.sources.leisure import Leisure, LeisurelyReader
from rtcc_video.sources.reorder import Reorder
from rtcc_video.sources.rtsp import RtspSettings, RtspSource
from rtcc_video.sources.rtsp_messages import Interleaved, RtspReader, parse_address
from rtcc_video.sources.source import SourceFailed

from .mishaps import accidents, packets_of, pictures, wire_of


class Collected:
    """A sink that remembers when each picture came."""

    def __init__(self) -> None:
        self.units: list[AccessUnit] = []
        self.came_s: list[float] = []

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        pass

    def on_unit(self, unit: AccessUnit) -> None:
        self.units.append(unit)
        self.came_s.append(time.monotonic())


def steps(units: list[AccessUnit]) -> set[int]:
    return {later.timestamp - earlier.timestamp for earlier, later in itertools.pairwise(units)}


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_an_unwatched_camera_is_read_together_with_others_and_a_watched_one_at_once(make_clip: Any, transport: str) -> None:
    reader, watched = LeisurelyReader(every_s=0.2), [True]
    sinks = [Collected(), Collected()]
    clip = make_clip(frames=30, gop=15, size=(640, 480), bit_rate=1_500_000)
    async with RtspServer({"a": clip, "b": clip}, "viewer", "secret", offsets_s={"b": 0.6}, transports=(transport,)) as server:
        leisure = Leisure(reader, lambda: watched[0])
        sources = [RtspSource(parse_address(server.url(name)), RtspSettings(), leisure) for name in ("a", "b")]
        tasks = [asyncio.create_task(source.run(sink)) for source, sink in zip(sources, sinks, strict=True)]

        async def rests(count: int) -> bool:
            for task in tasks:
                if task.done():
                    task.result()
            return len(reader) == count

        async def seen(more: int, since: list[int]) -> bool:
            return all(len(sink.units) >= known + more for sink, known in zip(sinks, since, strict=True))

        try:
            await poll(lambda: seen(5, [0, 0]), deadline_s=40)
            assert len(reader) == 0
            watched[0] = False
            await poll(lambda: rests(2), deadline_s=40)
            before = [len(sink.units) for sink in sinks]
            await poll(lambda: seen(45, before), deadline_s=40)
            # both cameras' pictures come in the same turns, several at once
            turns = [{round(at_s, 2) for at_s in sink.came_s[known + 8 :]} for sink, known in zip(sinks, before, strict=True)]
            assert all(len(one) < 30 for one in turns)
            watched[0] = True
            await poll(lambda: rests(0), deadline_s=40)
            before = [len(sink.units) for sink in sinks]
            await poll(lambda: seen(10, before), deadline_s=40)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for sink in sinks:
            assert all(2500 <= step <= 3500 for step in steps(sink.units)), "a picture was lost or came twice"
    assert len(reader) == 0


@pytest.mark.parametrize("encrypted", [False, True])
async def test_the_end_of_a_connection_is_noticed_at_leisure_and_encrypted_ones_are_read_at_once(
    make_clip: Any, tmp_path: Path, encrypted: bool
) -> None:
    files = ensure_certificates(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.certificate, files.key)
    reader, sink = LeisurelyReader(), Collected()
    async with RtspServer({"a": make_clip(frames=30, gop=15)}, "viewer", "secret", tls=tls if encrypted else None) as server:
        source = RtspSource(parse_address(server.url("a")), RtspSettings(authority_file=files.authority), Leisure(reader, lambda: False))
        task = asyncio.create_task(source.run(sink))

        async def resting() -> bool:
            if task.done():
                task.result()
            return len(sink.units) > 60 if encrypted else len(reader) == 1 and len(sink.units) > 5

        await poll(resting, deadline_s=40)
        assert len(reader) == (0 if encrypted else 1)
    with pytest.raises(SourceFailed, match="closed the connection"):
        await asyncio.wait_for(task, 30)
    assert len(reader) == 0


def played(wire: bytes, cuts: list[int], limit_bytes: int, *, at_once: bool) -> tuple[list[AccessUnit], int, object]:
    """The pictures of the stream, how many other messages there were, and what was counted."""
    reader, depacketizer, units, others = RtspReader(), Depacketizer(limit_bytes), list[AccessUnit](), 0

    def take(buffer: bytes, at: int) -> int:
        return depacketizer.take_interleaved(buffer, at, 0x2400, units)

    bounds = [0, *sorted(cut % (len(wire) + 1) for cut in cuts), len(wire)]
    for begin, end in itertools.pairwise(bounds):
        for item in reader.feed(wire[begin:end], take if at_once else None):
            if not isinstance(item, Interleaved) or item.channel:
                others += 1
                continue
            try:
                units += depacketizer.push(parse_rtp(item.data))
            except MalformedPacket:
                continue
    return units, others, depacketizer


@settings(deadline=None, max_examples=120)
@given(pictures, accidents, st.lists(st.integers(0, 100_000), max_size=5), st.sampled_from([4_000, 1_000_000]))
def test_fragments_taken_in_bulk_give_what_they_give_one_by_one(
    units: list[tuple[bool, list[int]]], mishaps: list[tuple[str, int, int]], cuts: list[int], limit_bytes: int
) -> None:
    wire = wire_of([(True, [50]), *units], mishaps)
    assert played(wire, cuts, limit_bytes, at_once=True) == played(wire, cuts, limit_bytes, at_once=False)


@settings(deadline=None, max_examples=120)
@given(pictures, accidents, st.lists(st.integers(0, 100_000), max_size=3), st.sampled_from([4_000, 1_000_000]))
def test_datagrams_taken_without_a_packet_give_what_they_give_as_packets(
    units: list[tuple[bool, list[int]]], mishaps: list[tuple[str, int, int]], others: list[int], limit_bytes: int
) -> None:
    datagrams = packets_of([(True, [50]), *units], mishaps)
    # the camera begins to count anew, as another sender
    for where in others:
        at = where % (len(datagrams) + 1)
        datagrams[at:at] = [data[:8] + (9).to_bytes(4, "big") + data[12:] for data in datagrams[at : at + 40]]

    def played_by(quickly: bool) -> tuple[list[AccessUnit], object, tuple[int, int] | None]:
        reorder, depacketizer, done, taken = Reorder(), Depacketizer(limit_bytes), list[AccessUnit](), 0
        for number, data in enumerate(datagrams):
            following = reorder.next
            if quickly and following is not None and depacketizer.take_datagram(data, *following):
                reorder.skip()
                taken += 1
                continue
            with contextlib.suppress(MalformedPacket):
                for ordered in reorder.push(parse_rtp(data), number / 1000):
                    done += depacketizer.push(ordered)
        if quickly and not mishaps and not others and limit_bytes > 100_000:
            assert taken == sum(data[12] & 0x1F == 28 and not data[13] & 0xC0 for data in datagrams)
        return done, depacketizer, reorder.next

    assert played_by(True) == played_by(False)
