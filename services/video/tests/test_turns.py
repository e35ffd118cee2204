"""What viewers report is read in turns: quickly while somebody misses something, at once while somebody joins."""

import socket
import struct
from typing import Any

from rtcc_chassis.testing import poll
from rtcc_video.engine.endpoint import Endpoint
from rtcc_video.engine.entries import Patience
from rtcc_video.engine.sockets import UdpReader, bind_udp
from rtcc_video.engine.viewer import CloseReason

from .test_viewers import watch


async def until(condition: Any) -> None:
    async def ask() -> bool:
        return bool(condition())

    await poll(ask, deadline_s=30)


def test_reports_wait_longer_than_what_is_missed_and_handshakes_dont() -> None:
    now_s = [100.0]
    patience = Patience(lambda: now_s[0])
    assert patience.wait_s(False, ()) == 0
    patience.on_opened("a")
    patience.on_opened("b")
    assert patience.wait_s(True, ()) == 0
    patience.on_secured_or_closed("a")
    assert patience.wait_s(True, ()) == 0
    patience.on_secured_or_closed("b")
    quiet = patience.wait_s(True, ())
    patience.on_missed()
    alert = patience.wait_s(True, ())
    assert 0 < alert < quiet <= 0.03
    now_s[0] += 1.9
    assert patience.wait_s(True, ()) == alert
    now_s[0] += 0.2
    assert patience.wait_s(True, ()) == quiet


async def test_a_socket_where_little_comes_is_read_at_once_and_one_where_much_comes_in_turns() -> None:
    taken: list[bytes] = []
    wait_s = [0.0]
    udp = bind_udp("127.0.0.1", 0, 400_000)
    reader = UdpReader(udp, lambda data, address: taken.append(data), lambda: wait_s[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(udp.getsockname())

        async def send() -> None:
            before = len(taken)
            sender.send(b"report")
            await until(lambda: len(taken) > before)

        for _ in range(5):
            await send()
            assert not reader.at_leisure
        # longer than any wait between two of them
        wait_s[0] = 20.0
        for _ in range(16):
            if not reader.at_leisure:
                await send()
        assert reader.at_leisure
        sender.send(b"in the next turn")
        # somebody joins: nothing waits any more
        wait_s[0] = 0.0
        reader.hurry()
        await until(lambda: taken[-1] == b"in the next turn")
        assert not reader.at_leisure
        # what comes less often than once in the time that it may wait
        wait_s[0] = 1e-9
        for _ in range(40):
            await send()
            assert not reader.at_leisure
    reader.close()


async def test_a_view_that_is_secured_is_read_in_turns_until_somebody_joins_or_misses_something(endpoint: Endpoint, player: Any) -> None:
    async with watch(endpoint, player.stream) as watching:
        assert endpoint._wait_s() == 0
        await watching.frames(5)
        await until(lambda: endpoint._wait_s() > 0)
        quiet = Patience(lambda: 100.0).wait_s(True, ())
        await until(lambda: endpoint._wait_s() == quiet)
        # a packet is asked for again: only what authenticates counts
        nack = struct.pack("!BBHIIHH", 0x81, 205, 3, 7, player.stream.ssrc, 1, 0)
        path = watching.viewer._path
        assert path is not None
        endpoint.on_datagram(nack + bytes(20), path, (path.host, path.port))
        assert endpoint._wait_s() == quiet
        rtcp = watching.viewer._rtcp
        assert rtcp is not None
        plain = rtcp.unprotect
        rtcp.unprotect = lambda packet: nack  # type: ignore[method-assign] # as if the viewer had sealed it
        endpoint.on_datagram(nack + bytes(20), path, (path.host, path.port))
        rtcp.unprotect = plain  # type: ignore[method-assign] # as before
        assert endpoint._wait_s() < quiet
        async with watch(endpoint, player.stream, "joiner") as joiner:
            assert endpoint._wait_s() == 0
            await joiner.frames(2)
            await until(lambda: endpoint._wait_s() > 0)
        endpoint.open("silent", player.stream, watching.connection.localDescription.sdp, lambda *_: None)
        assert endpoint._wait_s() == 0
        endpoint.close("silent", CloseReason.CLIENT_LEFT)
        await until(lambda: endpoint._wait_s() > 0)
        await watching.frames(5)
