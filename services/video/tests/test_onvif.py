"""ONVIF against a device that the official WSDL understands, and against devices that mean harm."""

import asyncio
import base64
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onvif import ONVIFCamera

from rtcc_chassis.testing import free_port
from rtcc_demo.onvif_server import OnvifServer, Picture
from rtcc_standalone.certificates import ensure_certificates
from rtcc_video.onvif.address import DeviceAddress, parse_device_address
from rtcc_video.onvif.device import DEVICE, PTZ, OnvifDevice, Reach, Vector
from rtcc_video.onvif.discovery import discover, probe, read_matches
from rtcc_video.onvif.markup import BadMarkup, Element, read_markup
from rtcc_video.onvif.media import MEDIA, MEDIA2, read_profiles
from rtcc_video.onvif.soap import SignInRefused, clock_offset, password_digest, username_token
from rtcc_video.sources.source import SourceFailed

PICTURES = [
    Picture("main", "rtsp://192.168.255.1:8554/main?a=1&b=2", "H264", 1920, 1080, 4000),
    Picture("low & small", "rtsp://admin:secret@10.1.1.1/low", "H264", 640, 360, 500, movable=False),
    Picture("lost", "", "JPEG", movable=False),
]


def now() -> datetime:
    return datetime.now(UTC)


def device_of(
    server: OnvifServer, username: str = "admin", password: str = "s&<ret", profile: str = "main", address: str = "", **reach: Any
) -> OnvifDevice:
    asked = parse_device_address(f"{address or server.address}?profile={profile}", username, password)
    return OnvifDevice(asked, Reach(**reach), now)


@pytest.mark.parametrize(("sign_in", "clock_ahead_s"), [("token", 0.0), ("token", -7 * 86_400.0), ("digest", 3_600.0)])
async def test_a_device_tells_what_it_is_and_which_pictures_it_has(sign_in: str, clock_ahead_s: float) -> None:
    async with OnvifServer(PICTURES, "admin", "s&<ret", sign_in=sign_in, clock_ahead_s=clock_ahead_s, told_host="10.9.9.9") as server:
        told = await device_of(server).describe()
    assert (told.manufacturer, told.model, told.firmware_version, told.serial_number) == ("Invented & Sons", "RT-1", "1.2.3", "0042")
    main, low, lost = told.profiles
    assert (main.token, main.codec, main.width_px, main.height_px, main.frames_per_second, main.kilobits_per_second, main.movable) == (
        "main", "H264", 1920, 1080, 25.0, 4000, True,
    )  # fmt: skip
    # on the device that was asked, whatever host it told, and without the account
    assert main.stream_url == "rtsp://127.0.0.1:8554/main?a=1&b=2" and low.stream_url == "rtsp://127.0.0.1/low"
    assert (low.token, low.movable, lost.stream_url) == ("low & small", False, "")


MODERN = [Picture("main", "rtsp://192.168.255.1/main", "H265", 3840, 2160, 6000), *PICTURES[1:]]


async def test_what_only_media2_shows_is_told_by_a_device_that_has_it() -> None:
    async with OnvifServer(MODERN, "admin", "s&<ret", media=2) as server:
        main, low, lost = (await device_of(server).describe()).profiles
        assert "GetCapabilities" not in server.calls, "Media2 and what it tells are enough"
    assert (main.codec, main.width_px, main.frames_per_second, main.kilobits_per_second) == ("H265", 3840, 29.97, 6000)
    assert (main.movable, main.stream_url) == (True, "rtsp://127.0.0.1/main")
    assert (low.token, low.codec, low.movable, lost.stream_url) == ("low & small", "H264", False, "")


@pytest.mark.parametrize("media", [0, 1])
async def test_an_older_device_is_asked_by_the_older_service(media: int) -> None:
    async with OnvifServer(MODERN, "admin", "s&<ret", media=media) as server:
        told = await device_of(server).describe()
    assert [(profile.token, profile.codec) for profile in told.profiles] == [("low & small", "H264"), ("lost", "JPEG")]


class Pretender(OnvifServer):
    """Announces Media2 and knows nothing of it, as some firmware does."""

    def _answer_media2(self, method: str, call: Any) -> str:
        return ""


async def test_a_device_that_announces_media2_and_refuses_it_is_asked_by_the_older_service() -> None:
    async with Pretender(PICTURES, "admin", "s&<ret", media=2) as server:
        told = await device_of(server).describe()
    assert [profile.token for profile in told.profiles] == ["main", "low & small", "lost"]


names = st.sampled_from(
    ["Profiles", "Configurations", "VideoEncoder", "PTZ", "Encoding", "Resolution", "Width", "RateControl", "FrameRateLimit"]
)
elements = st.recursive(
    st.builds(Element, names, st.just({"token": "t"}), st.just([]), st.text(max_size=12)),
    lambda inner: st.builds(Element, names, st.just({"token": "t"}), st.lists(inner, max_size=5), st.text(max_size=12)),
    max_leaves=20,
)


@given(st.lists(elements, max_size=40), st.sampled_from([MEDIA, MEDIA2]))
def test_profiles_of_any_kind_are_read_within_bounds(children: list[Element], namespace: str) -> None:
    found = read_profiles(namespace, Element("GetProfilesResponse", {}, children))
    assert len(found) <= 32
    assert all(profile.width_px < 1_000_000 and 0.0 <= profile.frames_per_second < 1e8 for profile in found)


async def test_the_test_device_is_one_for_the_official_wsdl() -> None:
    async with OnvifServer(PICTURES, "admin", "s&<ret") as server:
        peer = ONVIFCamera("127.0.0.1", server.port, "admin", "s&<ret")
        try:
            await peer.update_xaddrs()
            management = await peer.create_devicemgmt_service()
            assert (await management.GetDeviceInformation()).Model == "RT-1"
            media = await peer.create_media_service()
            profiles = await media.GetProfiles()
            assert [profile.token for profile in profiles] == ["main", "low & small", "lost"]
            assert profiles[0].VideoEncoderConfiguration.Resolution.Width == 1920
            setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
            assert (await media.GetStreamUri({"StreamSetup": setup, "ProfileToken": "main"})).Uri == PICTURES[0].url
            ptz = await peer.create_ptz_service()
            assert [preset.Name for preset in await ptz.GetPresets({"ProfileToken": "main"})] == ["Gate", "Yard & door"]
            move = {"ProfileToken": "main", "Velocity": {"PanTilt": {"x": 0.5, "y": 0}, "Zoom": {"x": 0}}, "Timeout": timedelta(seconds=5)}
            await ptz.ContinuousMove(move)
            assert server.moving
            await ptz.Stop({"ProfileToken": "main", "PanTilt": True, "Zoom": True})
            assert not server.moving
            token = await ptz.SetPreset({"ProfileToken": "main", "PresetName": "Bay"})
            await ptz.RemovePreset({"ProfileToken": "main", "PresetToken": token})
            services = await management.GetServices({"IncludeCapability": False})
            assert [service.Namespace for service in services] == [DEVICE, MEDIA, PTZ]
        finally:
            await peer.close()


async def test_a_device_is_moved_and_stops() -> None:
    async with OnvifServer(PICTURES, "admin", "s&<ret") as server:
        device = device_of(server)
        await device.move(Vector(0.5, -0.25, 0.1), 2.0)
        assert server.moving
        await device.stop()
        assert not server.moving
        await device.go_to(Vector(-0.5, 0.25, 1.0))
        assert server.place == (-0.5, 0.25, 1.0)
        assert await device.presets() == [("1", "Gate"), ("2", "Yard & door")]
        await device.go_to_preset("2")
        assert server.place[0] == pytest.approx(0.2)
        with pytest.raises(SourceFailed, match="no such preset"):
            await device.go_to_preset("</x>")
        with pytest.raises(SourceFailed, match="can't be moved"):
            await device_of(server, profile="lost").stop()
        # it remembers where it looks, anew or in place of another, and forgets it
        await device.go_to(Vector(0.7, 0.1, 0.0))
        assert await device.set_preset("Bay <3>") == "3"
        await device.go_to(Vector(0.0, 0.0, 0.0))
        await device.go_to_preset("3")
        assert server.place[:2] == (0.7, 0.1)
        assert await device.set_preset("Gate, wider", "1") == "1"
        await device.remove_preset("3")
        assert await device.presets() == [("1", "Gate, wider"), ("2", "Yard & door")]
        with pytest.raises(SourceFailed, match="no such preset"):
            await device.remove_preset("3")
        with pytest.raises(SourceFailed, match="taken already"):
            await device.set_preset("Yard & door")
        # clock and services are asked once
        assert server.calls.count("GetSystemDateAndTime") == 2 and server.calls.count("GetCapabilities") == 2


@pytest.mark.parametrize("sign_in", ["token", "digest"])
@pytest.mark.parametrize(("username", "password"), [("admin", "wrong"), ("nobody", "s&<ret"), ("", "")])
async def test_a_wrong_account_is_told_so(sign_in: str, username: str, password: str) -> None:
    async with OnvifServer(PICTURES, "admin", "s&<ret", sign_in=sign_in) as server:
        with pytest.raises(SignInRefused, match="refuses user name or password"):
            await device_of(server, username, password).describe()


async def test_a_device_outside_the_networks_is_not_asked() -> None:
    async with OnvifServer(PICTURES, "admin", "s&<ret") as server:
        with pytest.raises(SourceFailed, match="camera_networks"):
            await device_of(server, networks=[ipaddress.ip_network("10.0.0.0/8")]).describe()
        assert not server.calls


async def test_a_device_behind_tls_is_believed_only_with_a_certificate_of_a_known_authority(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.certificate, files.key)
    async with OnvifServer(PICTURES, "admin", "s&<ret", tls=tls) as server:
        assert (await device_of(server, authority_file=files.authority).describe()).model == "RT-1"
        assert (await device_of(server, verify_certificates=False).describe()).model == "RT-1"
        with pytest.raises(SourceFailed, match="certificate isn't believed") as failure:
            await device_of(server).describe()
        assert failure.value.lasting


@asynccontextmanager
async def hostile(answer: bytes, *, keep_open: bool = False) -> AsyncIterator[DeviceAddress]:
    """A peer that gives these bytes to whoever connects."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if keep_open:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield DeviceAddress("127.0.0.1", server.sockets[0].getsockname()[1], False)
    finally:
        server.close()


def http(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


LAUGHS = b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "isn't HTTP"),
        (b"", "isn't HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", "isn't HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", "isn't HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000 + b"\r\n", "isn't HTTP"),
        (http(LAUGHS), "document type"),
        (http(b"<a>" * 100 + b"</a>" * 100), "too many elements"),
        (http(b"<a>" + b"<b/>" * 30_000 + b"</a>"), "too many elements"),
        (http(b"<a>"), "isn't XML"),
        (http(b"<html><body>hello</body></html>"), "something else"),
        (http(b"nothing here", b"404 Not Found"), "status 404"),
        (http(b"<a/>", b"302 Found"), "something else"),
    ],
)
async def test_what_a_hostile_peer_sends_is_refused_with_a_reason(answer: bytes, reason: str) -> None:
    async with hostile(answer) as address:
        with pytest.raises(SourceFailed, match=reason):
            await OnvifDevice(address, Reach(), now).describe()


async def test_a_peer_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtcc_video.onvif.device._CALL_S", 0.2)
    async with hostile(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n<a", keep_open=True) as address:
        with pytest.raises(SourceFailed, match="didn't answer"):
            await OnvifDevice(address, Reach(), now).describe()


@given(st.binary(max_size=300) | st.text("<>/ab& ;!'=\"[]", max_size=200).map(str.encode))
def test_markup_of_any_kind_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(BadMarkup):
        assert read_markup(body).name
    assert all(found.address.startswith("http") for found in read_matches(body, "10.0.0.1", "urn:uuid:1"))


def test_the_token_is_the_one_of_the_onvif_guide() -> None:
    # ONVIF Application Programmer's Guide 1.0, 6.1.1.3
    nonce = base64.b64decode("LKqI6G/AikKCQrN0zqZFlg==")
    assert password_digest(nonce, "2010-09-16T07:50:45Z", "userpassword") == "tuOSpGlFlIXsozq4HFNeeGeFLEI="
    token = username_token("user", "userpassword", datetime(2010, 9, 16, 7, 50, 45, tzinfo=UTC), b"\x00" * 16)
    assert "<u:Created>2010-09-16T07:50:45.000Z</u:Created>" in token and "<w:Username>user</w:Username>" in token
    assert "userpassword" not in token


@pytest.mark.parametrize("told", [b"<a/>", b"<a><UTCDateTime><Date><Year>9999</Year></Date></UTCDateTime></a>"])
def test_a_device_without_a_clock_is_taken_to_have_ours(told: bytes) -> None:
    assert clock_offset(read_markup(told), now()) == timedelta()


@pytest.mark.parametrize("text", ["", " ", "ftp://h", "http://", "http://h:99999", "a b", "http://[::1", "ü", "x" * 3000])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SourceFailed, match="must be a host"):
        parse_device_address(text)


def test_addresses_hold_account_and_profile_and_show_neither() -> None:
    address = parse_device_address("onvifs://ad%40min:p%3Aw@cam.example:8443/onvif/device_service?profile=Pro%201")
    assert (address.username, address.password, address.profile, address.encrypted) == ("ad@min", "p:w", "Pro 1", True)
    assert address.control_url("Pro 1") == "onvifs://cam.example:8443/onvif/device_service?profile=Pro%201"
    assert "p:w" not in repr(address)
    # a device's word leads neither to another host nor out of TLS
    assert address.service("http://cam.example:81/onvif/ptz").control_url("x").startswith("onvifs://cam.example:8443/onvif/ptz")
    plain = parse_device_address("10.0.0.7")
    assert plain.service("http://10.9.9.9:8000/onvif/media?a=1").authority == "10.0.0.7:8000"
    assert (plain.port, plain.path, plain.service("http://evil.example:81/onvif/ptz").host) == (80, "/onvif/device_service", "10.0.0.7")


async def test_devices_are_found_and_speak_for_themselves_alone() -> None:
    async with OnvifServer(PICTURES, "admin", "s&<ret") as server:
        (found,) = await discover(("127.0.0.1", server.discovery_port), (), 0.4)
        assert found.address == server.address
        assert (found.name, found.hardware, found.location) == ("Yard camera", "RT-1", "Harbour")
        outside = [ipaddress.ip_network("10.0.0.0/8")]
        assert await discover(("127.0.0.1", server.discovery_port), outside, 0.2) == []
    assert b"NetworkVideoTransmitter" in probe("urn:uuid:1")


async def test_devices_are_found_by_multicast() -> None:
    """Over the machine's own interface and the real group: a port of our own, as another program may listen at 3702."""
    group = ("239.255.255.250", free_port())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probing:
        try:
            probing.connect(group)
            interface = probing.getsockname()[0]
            server = await OnvifServer(PICTURES, "admin", "s&<ret", host=interface, discovery_group=f"{group[0]}:{group[1]}").__aenter__()
        except OSError as error:
            pytest.skip(f"this machine carries no multicast: {error}")
    try:
        found = await discover(group, (), 1.0)
        assert [(one.address, one.name) for one in found] == [(server.address, "Yard camera")]
        (profile, *_) = (await device_of(server, address=found[0].address).describe()).profiles
        assert profile.stream_url == f"rtsp://{interface}:8554/main?a=1&b=2"
    finally:
        await server.__aexit__(None, None, None)
