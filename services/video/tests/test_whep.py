"""What WHEP's PATCH does to a view: candidates, ICE restarts; both address families on one port; STUN and TURN servers."""

import asyncio
import base64
import hashlib
import hmac
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcc_video.engine import stun
from rtcc_video.engine.endpoint import Endpoint, EndpointSettings
from rtcc_video.engine.fragments import Fragment, UnusableFragment, build_fragment, parse_fragment
from rtcc_video.engine.ice import OtherIceSession
from rtcc_video.engine.viewer import Viewer
from rtcc_video.ice_servers import IceServer, ice_servers
from rtcc_video.settings import VideoSettings

OFFER = "\r\n".join(
    [
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0",
        "m=video 9 UDP/TLS/RTP/SAVPF 96", "c=IN IP4 0.0.0.0", "a=recvonly", "a=mid:0", "a=rtcp-mux",
        "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1;profile-level-id=42e01f",
        "a=ice-ufrag:Wt6c", "a=ice-pwd:0mN6yDJrjHQ4sYbnQm3kQ1Aq", "a=fingerprint:sha-256 AA:BB", "a=setup:actpass",
    ]
)  # fmt: skip
CANDIDATE = "a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host generation 0"
RESTART = "a=ice-ufrag:Zz9c\r\na=ice-pwd:9mN6yDJrjHQ4sYbnQm3kQ1Aq\r\n"


async def checked(port: int, credentials: tuple[str, str, str], host: str = "127.0.0.1", wait_s: float = 30.0) -> tuple[str, int] | None:
    """Where the relay sees us, when it answers a check with these credentials (its ufrag, its password, ours)."""
    ufrag, password, peer = credentials
    attributes = [(stun.ATTRIBUTE_USERNAME, f"{ufrag}:{peer}".encode()), (stun.ATTRIBUTE_USE_CANDIDATE, b"")]
    check = stun.build_stun(stun.BINDING_REQUEST, b"t" * 12, attributes, password.encode())
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        probe.connect((host, port))
        probe.send(check)
        try:
            async with asyncio.timeout(wait_s):
                answer = stun.parse_stun(await asyncio.get_running_loop().sock_recv(probe, 2000))
        except TimeoutError:
            return None
    assert answer.is_authentic(password.encode())
    return stun.decode_address(answer.attributes[stun.ATTRIBUTE_MAPPED_ADDRESS], answer.transaction)


def credentials_of(viewer: Viewer) -> tuple[str, str, str]:
    return viewer.credentials.ice_ufrag, viewer.credentials.ice_pwd, viewer.credentials.peer_ufrag


def opened(endpoint: Endpoint, player: Any, viewer_id: str = "v1") -> Viewer:
    return endpoint.open(viewer_id, player.stream, OFFER, lambda *_: None)[0]


async def test_candidates_change_nothing_for_an_ice_lite_relay(endpoint: Endpoint, player: Any) -> None:
    viewer = opened(endpoint, player)
    etag = viewer.credentials.ice_ufrag
    assert endpoint.update("v1", etag, f"{CANDIDATE}\r\na=end-of-candidates\r\n") == ("", etag)
    assert endpoint.update("v1", etag, f"a=ice-ufrag:Wt6c\r\na=ice-pwd:0mN6yDJrjHQ4sYbnQm3kQ1Aq\r\n{CANDIDATE}\r\n") == ("", etag)
    with pytest.raises(KeyError):
        endpoint.update("other", etag, CANDIDATE)


async def test_an_ice_restart_gives_new_credentials_and_the_old_hold_until_the_next(endpoint: Endpoint, player: Any) -> None:
    viewer = opened(endpoint, player)
    first = credentials_of(viewer)
    assert await checked(endpoint.port, first) is not None
    fragment, etag = endpoint.update("v1", "*", RESTART)
    assert f"a=ice-ufrag:{etag}\r\n" in fragment
    assert f" {endpoint.port} typ host" in fragment
    second = credentials_of(viewer)
    assert second != first
    assert await checked(endpoint.port, second) is not None
    assert await checked(endpoint.port, first) is not None
    with pytest.raises(OtherIceSession):
        endpoint.update("v1", first[0], CANDIDATE)
    assert endpoint.update("v1", etag, CANDIDATE) == ("", etag)
    endpoint.update("v1", "*", RESTART.replace("Zz9c", "Third"))
    assert await checked(endpoint.port, first, wait_s=0.3) is None
    assert await checked(endpoint.port, second) is not None
    assert await checked(endpoint.port, credentials_of(viewer)) is not None


async def test_a_restart_needs_new_credentials_and_leave_to_restart(endpoint: Endpoint, player: Any) -> None:
    viewer = opened(endpoint, player)
    with pytest.raises(OtherIceSession):
        endpoint.update("v1", viewer.credentials.ice_ufrag, RESTART)
    for text in (CANDIDATE, "a=ice-ufrag:Wt6c\r\na=ice-pwd:0mN6yDJrjHQ4sYbnQm3kQ1Aq\r\n"):
        with pytest.raises(UnusableFragment, match="new a=ice-ufrag"):
            endpoint.update("v1", "*", text)


async def test_one_port_takes_both_address_families(player: Any) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    endpoint = Endpoint(EndpointSettings(bind_host="::", public_addresses=("::1", "127.0.0.1")))
    await endpoint.start()
    viewer, answer = endpoint.open("v1", player.stream, OFFER, lambda *_: None)
    assert f"a=candidate:1 1 udp 2130706431 ::1 {endpoint.port} typ host" in answer
    assert "c=IN IP6 ::1" in answer
    assert (await checked(endpoint.port, credentials_of(viewer), "::1") or ("", 0))[0] == "::1"
    assert (await checked(endpoint.port, credentials_of(viewer), "127.0.0.1") or ("", 0))[0] == "127.0.0.1"
    for host in ("::1", "127.0.0.1"):
        _, writer = await asyncio.open_connection(host, endpoint.port)
        writer.close()
    await endpoint.stop()


def test_turn_accounts_are_made_for_one_view_and_end() -> None:
    settings = VideoSettings(
        ice_servers=("stun:a.example:3478", "turn:a.example:3478?transport=udp"), turn_secret="word", turn_account_s=600
    )
    plain, turn = ice_servers(settings, "view-7", 1_000.9)
    assert plain == IceServer("stun:a.example:3478")
    assert turn.username == "1600:view-7"
    # what coturn computes (use-auth-secret)
    assert base64.b64decode(turn.credential) == hmac.new(b"word", b"1600:view-7", hashlib.sha1).digest()
    assert ice_servers(VideoSettings(ice_servers=("turn:b.example",)), "v", 0.0) == [IceServer("turn:b.example")]
    assert "word" not in repr(settings)


LINES = st.sampled_from([CANDIDATE, "a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 24, "a=mid:0", "m=video 9 RTP 0", "a=end-of-candidates", ""])


@given(st.lists(LINES | st.text(max_size=60), max_size=80))
def test_any_fragment_is_understood_or_refused_with_a_reason(lines: list[str]) -> None:
    try:
        found = parse_fragment("\r\n".join(lines), "0")
    except UnusableFragment as refusal:
        assert len(str(refusal)) > 10
    else:
        assert found.candidates <= 64
        assert (found.ice_ufrag is None) == (found.ice_pwd is None)


def test_what_we_send_is_a_fragment() -> None:
    text = build_fragment("abcd", "p" * 24, "0", [CANDIDATE])
    assert parse_fragment(text, "0") == Fragment("abcd", "p" * 24, 1)


def test_a_section_that_was_refused_has_no_say_about_the_one_that_is_there() -> None:
    """Chromium gives a refused microphone other credentials than the camera."""
    microphone = ["m=audio 0 UDP/TLS/RTP/SAVPF 111", "a=ice-ufrag:aaaa", "a=ice-pwd:" + "a" * 24, "a=mid:0"]
    camera = ["m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:1", "a=ice-ufrag:vvvv", "a=ice-pwd:" + "v" * 24]
    for lines in (microphone + camera, camera + microphone):
        assert parse_fragment("\r\n".join(["a=ice-options:trickle", *lines]), "1") == Fragment("vvvv", "v" * 24, 0)
    assert parse_fragment("\r\n".join(microphone), "1") == Fragment(None, None, 0)
    # what stands before all sections holds for each that has none
    assert parse_fragment("\r\n".join(["a=ice-ufrag:ssss", "a=ice-pwd:" + "s" * 24, *microphone]), "1").ice_ufrag == "ssss"
