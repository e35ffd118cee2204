"""Packets taken many at a time by the C helper give what Python makes of them one by one, damaged, replayed and forged ones included."""

import asyncio
import contextlib
import dataclasses
import itertools
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from rtcc_chassis.testing import poll
from rtcc_demo.rtsp_server import RtspServer
from rtcc_video.engine import accelerator
from rtcc_video.engine.accelerator import Accelerator, HelperUnavailable
from rtcc_video.engine.depacketizer import Depacketizer
from rtcc_video.engine.endpoint import Endpoint, EndpointSettings
from rtcc_video.engine.h264 import AccessUnit
from rtcc_video.engine.intake import Intake
from rtcc_video.engine.rtp import MalformedPacket, parse_rtp
from rtcc_video.engine.sockets import UdpReader, bind_udp
from rtcc_video.engine.srtp import AEAD_AES_128_GCM, SrtpFailed, SrtpKeys
from rtcc_video.engine.unprotect import GcmUnprotector, make_unprotector
from rtcc_video.engine.viewer import CloseReason
from rtcc_video.publishing.receiver import VideoReceiver
from rtcc_video.sources.leisure import Leisure, LeisurelyReader
from rtcc_video.sources.reorder import Reorder
from rtcc_video.sources.rtsp import RtspSettings, RtspSource
from rtcc_video.sources.rtsp_messages import Interleaved, RtspReader, parse_address
from rtcc_video.sources.rtsp_udp import UdpPair

from .mishaps import accidents, packets_of, pictures, wire_of
from .test_publishing import Collected, publishing, until

KEY, SALT = b"k" * 16, b"s" * 12


@pytest.fixture(scope="module")
def helper(tmp_path_factory: pytest.TempPathFactory) -> Accelerator:
    """Built anew for these tests; they are skipped where there is no compiler."""
    folder = tmp_path_factory.mktemp("helper")
    folder.chmod(0o700)
    try:
        return accelerator.load(folder)
    except HelperUnavailable as reason:
        pytest.skip(f"no C helper on this machine: {reason}")


@pytest.fixture(scope="module")
def intake(helper: Accelerator) -> Intake:
    return Intake(helper, 2048)


@pytest.fixture(scope="module")
def wire() -> Iterator["Wire"]:
    made = Wire()
    yield made
    made.close()


class Wire:
    """Two senders and a receiver on loopback, for what the helper reads from a socket."""

    def __init__(self) -> None:
        self.receiver = bind_udp("127.0.0.1", 0, 4_000_000)
        self.senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for sender in self.senders:
            sender.connect(self.receiver.getsockname())

    def close(self) -> None:
        for one in (self.receiver, *self.senders):
            one.close()

    def carry(self, intake: Intake, datagrams: list[bytes]) -> int:
        for datagram in datagrams:
            self.senders[0].send(datagram)
        count = intake.receive(self.receiver.fileno())
        assert count == len(datagrams)
        return count


def batches(datagrams: list[bytes], cuts: list[int]) -> list[list[bytes]]:
    """As they are found in the socket, reading by reading."""
    bounds = [0, *sorted(cut % (len(datagrams) + 1) for cut in cuts), len(datagrams)]
    found = [datagrams[begin:end] for begin, end in itertools.pairwise(bounds)]
    return [list(part) for whole in found for part in itertools.batched(whole, 64)]


@settings(deadline=None, max_examples=80)
@given(pictures, accidents, st.lists(st.integers(0, 100_000), max_size=5), st.sampled_from([4_000, 1_000_000]))
def test_an_rtsp_connection_gives_the_same_pictures(
    intake: Intake, units: list[tuple[bool, list[int]]], mishaps: list[tuple[str, int, int]], cuts: list[int], limit_bytes: int
) -> None:
    bytes_of = wire_of([(True, [50]), *units], mishaps)
    bounds = [0, *sorted(cut % (len(bytes_of) + 1) for cut in cuts), len(bytes_of)]

    def played(together: bool) -> tuple[list[AccessUnit], int, object]:
        reader, depacketizer, done, others = RtspReader(), Depacketizer(limit_bytes), list[AccessUnit](), 0

        def take(buffer: bytes, at: int) -> int:
            return depacketizer.take_interleaved_together(intake, buffer, at, 0x2400, done)

        for begin, end in itertools.pairwise(bounds):
            for item in reader.feed(bytes_of[begin:end], take if together else None):
                if not isinstance(item, Interleaved) or item.channel:
                    others += 1
                    continue
                with contextlib.suppress(MalformedPacket):
                    done += depacketizer.push(parse_rtp(item.data))
        return done, others, comparable(depacketizer)

    assert played(True) == played(False)


def comparable(depacketizer: Depacketizer) -> object:
    """All of it; the fragments of a unit may be cut elsewhere."""
    found = {name: getattr(depacketizer, name) for name in depacketizer.__slots__}
    return {**found, "_fragments": b"".join(depacketizer._fragments)}


@settings(deadline=None, max_examples=80)
@given(
    pictures, accidents, st.lists(st.integers(0, 10_000), max_size=3), st.lists(st.integers(0, 500), max_size=6),
    st.sampled_from([4_000, 1_000_000]),
)  # fmt: skip
def test_datagrams_give_the_same_pictures(
    intake: Intake, wire: Wire, units: list[tuple[bool, list[int]]], mishaps: list[tuple[str, int, int]], others: list[int],
    cuts: list[int], limit_bytes: int,
) -> None:  # fmt: skip
    datagrams = packets_of([(True, [50]), *units], mishaps)
    # the camera begins to count anew, as another sender
    for where in others:
        at = where % (len(datagrams) + 1)
        datagrams[at:at] = [data[:8] + (9).to_bytes(4, "big") + data[12:] for data in datagrams[at : at + 40]]

    def played(together: bool) -> tuple[list[AccessUnit], object, object]:
        reorder, depacketizer, done, taken = Reorder(), Depacketizer(limit_bytes), list[AccessUnit](), 0
        for batch in batches(datagrams, cuts):
            count = wire.carry(intake, batch) if together else len(batch)
            at = 0
            while at < count:
                following = reorder.next
                if together and following is not None and depacketizer.expect(intake, *following, 96):
                    more = intake.take_plain(at, count)
                    if more:
                        depacketizer.absorb(intake, done)
                        reorder.skip(more)
                        at, taken = at + more, taken + more
                        continue
                with contextlib.suppress(MalformedPacket):
                    # no time goes by: what waits is given up by number alone
                    for ordered in reorder.push(parse_rtp(intake.datagram(at) if together else batch[at]), 0):
                        done += depacketizer.push(ordered)
                at += 1
        if together and not mishaps and not others and limit_bytes > 100_000:
            # all but parameter sets that travel together, and the very first
            assert taken >= sum(data[12] & 0x1F != 24 for data in datagrams) - 1
        return done, comparable(depacketizer), reorder.next

    assert played(True) == played(False)


forgeries = st.lists(
    st.tuples(st.sampled_from(["forged", "again", "cut", "extended", "padded", "other"]), st.integers(0, 10_000), st.integers(0, 255)),
    max_size=5,
)


def sealed(datagrams: list[bytes], mishaps: list[tuple[str, int, int]]) -> list[bytes]:
    """As a publisher sends them, and what a stranger between may make of it."""
    policy = Policy(key=KEY + SALT, ssrc_type=Policy.SSRC_ANY_OUTBOUND, srtp_profile=AEAD_AES_128_GCM.libsrtp_profile)
    policy.window_size, policy.allow_repeat_tx = 1024, True
    session, plain = Session(policy), list(datagrams)
    for how, where, what in mishaps:
        at = where % len(plain)
        data = plain[at]
        if how == "extended":
            extension = b"\xbe\xde" + (what % 4).to_bytes(2, "big") + bytes(4 * (what % 4))
            plain[at] = bytes((data[0] | 0x10,)) + data[1:12] + extension + data[12:]
        elif how == "padded":
            plain[at] = bytes((data[0] | 0x20,)) + data[1:] + bytes(3) + b"\x04"
        elif how == "other":
            plain[at] = data[:1] + bytes((data[1] & 0x80 | 111,)) + data[2:]
    found = []
    for data in plain:
        with contextlib.suppress(Exception):  # libsrtp's own word for a number that is too old; the publisher doesn't send it
            found.append(session.protect(data))
    for how, where, what in mishaps:
        at = where % len(found)
        data = found[at]
        if how == "forged":
            position = where * 7 % len(data)
            found[at] = data[:position] + bytes((data[position] ^ (what or 1),)) + data[position + 1 :]
        elif how == "again":
            found[at:at] = [found[where * 3 % len(found)]]
        elif how == "cut":
            found[at] = data[: max(1, what % len(data))]
    return found


@settings(deadline=None, max_examples=80)
@given(pictures, accidents.filter(lambda some: all(how in ("lost", "twice", "later") for how, _, _ in some)), forgeries,
       st.lists(st.integers(0, 500), max_size=6))  # fmt: skip
def test_a_publishers_sealed_packets_give_the_same_pictures_and_nothing_forged_or_repeated(
    intake: Intake, wire: Wire, units: list[tuple[bool, list[int]]], mishaps: list[tuple[str, int, int]],
    forged: list[tuple[str, int, int]], cuts: list[int],
) -> None:  # fmt: skip
    datagrams = sealed(packets_of([(True, [50]), *units], mishaps), forged)

    def played(together: bool) -> tuple[object, ...]:
        unprotector = make_unprotector(SrtpKeys(AEAD_AES_128_GCM, b"", b"", KEY, SALT))
        assert isinstance(unprotector, GcmUnprotector)
        receiver, done, others, taken = VideoReceiver(7, 1_000_000), list[AccessUnit](), 0, 0
        for batch in batches(datagrams, cuts):
            count = wire.carry(intake, batch) if together else len(batch)
            at = 0
            while at < count:
                more = receiver.take_together(intake, at, count, unprotector, done, lambda: 1.0) if together else 0
                if more:
                    at, taken = at + more, taken + more
                    continue
                data = intake.datagram(at) if together else batch[at]
                at += 1
                with contextlib.suppress(SrtpFailed, MalformedPacket):
                    packet = unprotector.open(data)
                    if packet.payload_type == 96:
                        done += receiver.push(packet, 1.0)
                    else:
                        others += 1
        if together and not mishaps and not forged:
            assert taken >= len(datagrams) - sum(key for key, _ in units) - 3
        # jitter is taken of complete pictures here, and of each packet that ends one there
        report = dataclasses.replace(receiver.report(0, 0.0), jitter_ticks=0)
        return done, others, unprotector._senders, comparable(receiver._depacketizer), report, receiver.octets

    assert played(True) == played(False)


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_camera_is_taken_by_the_helper_at_once_and_at_leisure(
    helper: Accelerator, make_clip: Any, transport: str, watched: bool
) -> None:
    sink, reader = Collected(), LeisurelyReader()
    leisure = Leisure(reader, lambda: watched, Intake(helper, 9_216))
    clip = make_clip(frames=30, gop=15, size=(640, 480), bit_rate=1_500_000)
    async with RtspServer({"a": clip}, "viewer", "secret", transports=(transport,)) as server:
        task = asyncio.create_task(RtspSource(parse_address(server.url("a")), RtspSettings(), leisure).run(sink))
        try:
            await until(lambda: task.done() or (len(sink.units) > 45 and bool(len(reader)) != watched))
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    steps = {later.timestamp - earlier.timestamp for earlier, later in itertools.pairwise(sink.units)}
    assert all(2500 <= step <= 3500 for step in steps), "a picture was lost or came twice"


@pytest_asyncio.fixture
async def helped_endpoint(helper: Accelerator) -> AsyncIterator[Endpoint]:
    opened = Endpoint(EndpointSettings(), accelerator=helper)
    await opened.start()
    yield opened
    await opened.stop()


async def test_a_publisher_is_taken_by_the_helper_whole_and_its_goodbye_ends_it(
    helped_endpoint: Endpoint, make_clip: Any, clip_track: Any
) -> None:
    """aiortc as the client: header extensions and all."""
    sink = Collected()
    clip = make_clip(frames=60, gop=30, size=(640, 480), bit_rate=1_500_000)
    async with publishing(helped_endpoint, clip_track(clip), sink) as (publisher, connection, closed):
        taken, together = publisher.take_together, 0

        def counted(intake: Intake, first: int, count: int) -> int:
            nonlocal together
            found = taken(intake, first, count)
            together += found
            return found

        publisher.take_together = counted  # type: ignore[method-assign] # to see what came this way
        await until(lambda: len(sink.units) > 30)
        sink.watched_live = False
        seen = len(sink.units)
        await until(lambda: len(sink.units) > seen + 30)
        assert together > 60
        assert publisher.octets > together * 500
        await connection.close()
        await until(lambda: closed)
    assert closed == [CloseReason.CLIENT_LEFT]
    steps = [later.timestamp - earlier.timestamp for earlier, later in itertools.pairwise(sink.units)]
    assert sum(step > 4500 for step in steps) <= 1, "pictures are missing"


async def test_video_that_cant_be_used_ends_a_publisher_of_the_helper_too(
    helped_endpoint: Endpoint, make_clip: Any, clip_track: Any
) -> None:
    sink = Collected()
    async with publishing(helped_endpoint, clip_track(make_clip(frames=60, gop=30)), sink) as (publisher, _, closed):
        await until(lambda: len(sink.units) > 5)
        sink.refuse = "The stream has B-frames."
        await until(lambda: closed)
        assert (closed, publisher.failure) == ([CloseReason.UNUSABLE], "The stream has B-frames.")


async def test_readers_give_the_helpers_datagrams_with_their_senders_and_strangers_are_dropped(intake: Intake) -> None:
    taken: list[tuple[bytes, tuple[Any, ...]]] = []
    for host, family in (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)):
        udp = bind_udp(host, 0, 400_000)
        reader = UdpReader(udp, lambda data, address: taken.append((data, address)), lambda: 0.0, intake)
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.bind((host, 0))
            sent = [b"", b"one", b"x" * 2048, *(b"%d" % number for number in range(70))]
            for data in sent:
                sender.sendto(data, udp.getsockname())
            await until(lambda: len(taken) == 73)
            assert taken == [(data, sender.getsockname()) for data in sent]
        taken.clear()
        reader.close()
    heard: list[bytes] = []
    leisure = Leisure(LeisurelyReader(), lambda: True, intake)
    pair = UdpPair("127.0.0.1", "127.0.0.2", heard.append, heard.append, leisure, lambda intake, first, count: 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as camera:
        stranger.bind(("127.0.0.1", 0))
        camera.bind(("127.0.0.2", 0))
        stranger.sendto(b"mine", ("127.0.0.1", pair.port))
        camera.sendto(b"camera", ("127.0.0.1", pair.port))

        async def came() -> bool:
            return bool(heard)

        await poll(came)
    pair.close()
    assert heard == [b"camera"]


def test_no_bytes_lead_the_helper_beyond_its_buffers(tmp_path: Path) -> None:
    """Noise for every function that reads a stranger's bytes, under the compiler's own watch over memory and arithmetic."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        pytest.skip("there is no C compiler")
    program, source = tmp_path / "noise", Path(__file__).with_name("intake_noise.c")
    include = f"-I{Path(accelerator.__file__).parent}"
    watch = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    command = [compiler, "-O1", *watch, include, "-o", str(program), str(source), "-ldl"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    if built.returncode and "lasan" in built.stderr:
        pytest.skip("this compiler comes without its watch over memory")
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([str(program), "20000"], capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    rounds, taken, opened = map(int, ran.stdout.split())
    assert (rounds, taken > rounds // 10, opened > rounds // 100) == (20000, True, True)
