"""The way from relay to relay: TLS, what an edge says, an edge that is too slow, and the end of what isn't to be given any more."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rtcc_chassis.testing import poll
from rtcc_standalone.certificates import ensure_certificates
from rtcc_standalone.folder import DataFolder
from rtcc_video.cascade import wire
from rtcc_video.cascade.edge import CascadeSource, StreamPlace
from rtcc_video.cascade.origin import LEFT_OUT, Origin, TlsFiles
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.stream import StreamLimits
from rtcc_video.feed import HAND_OVER_S, Feed
from rtcc_video.sources.source import Source, SourceFailed

from .ears import listening


class Way:
    """An origin with one camera, and what is needed to take from it."""

    def __init__(self, tls: TlsFiles | None, authority: Path | None) -> None:
        self.now_s = time.monotonic()
        self.mine = True
        self.viewers = 0
        self.keys_wanted = 0
        self.gives_sound = True
        self.feed = Feed("c1", "east", self._none, StreamLimits(), time.monotonic, always=False)
        self.feed.published = True
        self.feed.ask_for_key_picture = self._key
        self.taken = Feed("c1", "east", self._none, StreamLimits(), time.monotonic, always=False)
        self.units: list[AccessUnit] = []
        self.authority = authority
        self.origin = Origin(self, lambda camera_id: self.mine, tls, lambda: self.now_s)  # type: ignore[arg-type] # its one feed

    def get(self, camera_id: str, stream_id: str) -> Feed | None:
        return self.feed if (camera_id, stream_id) == ("c1", "main") else None

    async def _none(self) -> Source:
        raise SourceFailed("nothing is opened here", lasting=True)

    def _key(self) -> None:
        self.keys_wanted += 1

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        """The sink's start."""

    def on_unit(self, unit: AccessUnit) -> None:
        self.units.append(unit)

    def source(self, context: ssl.SSLContext | None = None) -> CascadeSource:
        async def take() -> StreamPlace:
            return StreamPlace("127.0.0.1", self.origin.port, self.origin.issue("c1", "main", "0" * 16), self.gives_sound)

        trusted = context or (ssl.create_default_context(cafile=self.authority) if self.authority else None)
        return CascadeSource(take, self.taken, 4_000_000, lambda: self.viewers, lambda: trusted, self.taken.stream.sound.open())

    async def until(self, condition: Any) -> None:
        async def ask() -> bool:
            return bool(condition())

        await poll(ask)


@pytest_asyncio.fixture(params=["plain", "tls"])
async def way(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Way]:
    tls = authority = None
    if request.param == "tls":
        folder = DataFolder(tmp_path)
        folder.create()
        files = ensure_certificates(folder.secrets)
        tls, authority = TlsFiles(files.certificate, files.key), files.authority
    made = Way(tls, authority)
    await made.origin.start("127.0.0.1", 0)
    yield made
    await made.origin.stop()


async def test_pictures_keys_and_viewers_pass_and_a_moved_camera_ends_them(way: Way, units: list[AccessUnit]) -> None:
    for number, unit in enumerate(units[:20]):
        way.feed.stream.publish(AccessUnit(unit.nals, number * 3000, unit.key))
    taking = asyncio.create_task(way.source().run(way))
    await way.until(lambda: len(way.units) == 20)
    for number, unit in enumerate(units[20:40], 20):
        way.feed.stream.publish(AccessUnit(unit.nals, number * 3000, unit.key))
    await way.until(lambda: len(way.units) == 40)
    assert [unit.nals for unit in way.units] == [unit.nals for unit in units[:40]]
    steps = [later.timestamp - earlier.timestamp for earlier, later in zip(way.units, way.units[1:], strict=False)]
    assert steps == [90] * 19 + [3000] * 20
    assert way.taken.ask_for_key_picture is not None
    for _ in range(5):
        way.taken.ask_for_key_picture()
    way.viewers = 7
    await way.until(lambda: way.origin.viewers() == {"c1": 7})
    assert way.keys_wanted == 1, "asked five times at once, passed on once"
    way.mine = False
    way.origin.look()
    assert len(way.origin) == 1, "an edge has some seconds to find the new origin"
    way.now_s += HAND_OVER_S + 1
    way.origin.look()
    with pytest.raises(SourceFailed, match="Another relay takes this camera"):
        await taking
    assert not way.feed.stream.watched
    assert way.taken.ask_for_key_picture is None


OPUS = bytes((31 << 3,)) + b"sound"


async def test_sound_passes_while_it_is_allowed_at_both_and_somebody_hears_it(way: Way, units: list[AccessUnit]) -> None:
    origin, edge = way.feed.stream.sound, way.taken.stream.sound
    edge.allow(True)
    way.feed.stream.publish(AccessUnit(units[0].nals, 0, True))
    taking = asyncio.create_task(way.source().run(way))
    await way.until(lambda: way.units)
    ears = listening(edge)
    await way.until(lambda: next(iter(way.origin._branches))._wants_sound)
    assert not origin.listeners, "it isn't allowed at the origin"
    origin.allow(True)
    way.origin.look()
    assert origin.wanted
    intake = origin.open()
    assert intake is not None
    for number in (0, 1, 2, 4):
        intake.give(OPUS + b"%d" % number, number * 960)
    await way.until(lambda: len(ears.heard) == 4)
    assert [packet.payload for packet in ears.heard] == [OPUS + b"%d" % number for number in (0, 1, 2, 4)]
    assert ears.steps == [960, 960, 1920]
    edge.detach(ears)
    await way.until(lambda: not origin.listeners)
    # taken back at the edge alone: it isn't asked for there any more, and what came is dropped
    again = listening(edge)
    await way.until(lambda: origin.listeners)
    edge.allow(False)
    assert again.ended == 1
    await way.until(lambda: not origin.listeners)
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)
    assert not origin.wanted


async def test_a_relay_that_knows_no_sound_is_never_asked_for_it(way: Way, units: list[AccessUnit]) -> None:
    way.gives_sound = False
    way.feed.stream.sound.allow(True)
    way.taken.stream.sound.allow(True)
    listening(way.taken.stream.sound)
    taking = asyncio.create_task(way.source().run(way))
    way.viewers = 3
    await way.until(lambda: way.origin.viewers() == {"c1": 3})
    for number, unit in enumerate(units[:10]):
        way.feed.stream.publish(AccessUnit(unit.nals, number * 3000, unit.key))
    await way.until(lambda: len(way.units) == 10)
    assert not way.feed.stream.sound.listeners
    taking.cancel()
    await asyncio.gather(taking, return_exceptions=True)


async def test_a_ticket_is_good_once_for_seconds_and_only_at_the_origin(way: Way) -> None:
    key = way.origin.issue("c1", "main", "0" * 16)
    assert way.origin.redeem(key) is not None
    assert way.origin.redeem(key) is None
    late = way.origin.issue("c1", "main", "0" * 16)
    way.now_s += 11
    assert way.origin.redeem(late) is None
    moved = way.origin.issue("c1", "main", "0" * 16)
    way.mine = False
    assert way.origin.redeem(moved) is None


async def test_who_isnt_the_installations_relay_is_not_believed(way: Way) -> None:
    if way.authority is None:
        return
    with pytest.raises(SourceFailed) as failure:
        await way.source(ssl.create_default_context()).run(way)
    assert failure.value.cut_off


async def test_a_slow_relay_loses_pictures_up_to_a_key_picture_and_holds_nobody_up(way: Way, units: list[AccessUnit]) -> None:
    if way.authority is not None:
        return
    connection = socket.create_connection(("127.0.0.1", way.origin.port))
    connection.sendall(way.origin.issue("c1", "main", "0" * 16))
    await way.until(lambda: len(way.origin) == 1)
    (branch,) = way.origin._branches
    left_out = LEFT_OUT._value.get()
    number = 0
    while LEFT_OUT._value.get() == left_out:
        unit = units[number % len(units)]
        way.feed.stream.publish(AccessUnit(unit.nals, number * 3000, unit.key))
        number += 1
        assert number < 5000
    transport = branch._transport
    assert transport is not None and transport.get_write_buffer_size() < 5_000_000
    reader, connection_read = wire.Reader(4_000_000), connection
    connection_read.setblocking(False)
    got: list[wire.Message] = []

    async def emptied() -> bool:
        try:
            got.extend(reader.feed(connection_read.recv(1 << 20)))
        except BlockingIOError:
            return transport.get_write_buffer_size() == 0
        return False

    await poll(emptied)
    before = len(got)
    for unit in units[1:31]:
        way.feed.stream.publish(AccessUnit(unit.nals, number * 3000, unit.key))
        number += 1

    async def more() -> bool:
        await emptied()
        return len(got) > before

    await poll(more)
    first = got[before]
    assert isinstance(first, wire.Picture) and first.key, "after the hole it begins with a key picture"
    connection.close()
