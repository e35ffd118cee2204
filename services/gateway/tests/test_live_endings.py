"""Whom the live socket is not opened for, and what ends one."""

import json

from rtcc.live.v1 import live_pb2 as pb
from rtcc.registry.v1.registry_pb2 import Agency
from rtcc_chassis.testing import poll

from .conftest import Gateway
from .live_sockets import Console, alert, console, publish_alert


async def test_auditor_gets_no_live_picture(gateway: Gateway) -> None:
    browser, _ = await gateway.enrolled("aud", "auditor")
    async with browser.ws_connect("/v1/live") as ws:
        opened = Console(ws)
        assert await opened.closed() == 4403
        assert opened.frames == []


async def test_signing_out_ends_the_socket_and_says_so(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("alerts")
        await ada.post("/auth/sign-out")
        assert await opened.closed() == 4401
        assert [body.reason for body in opened.all("session_ending")] == ["signed_out"]


async def test_locking_ends_the_socket(gateway: Gateway) -> None:  # R3
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("alerts")
        await ada.post("/auth/lock")
        assert await opened.closed() == 4401
        assert [body.reason for body in opened.all("session_ending")] == ["idle"]
    assert (await ada.get("/v1/live")).status == 423


async def test_disabling_a_person_ends_the_socket_at_once(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("alerts")
        await gateway.add_person("ada", "operator", enabled=False)
        assert await opened.closed() == 4401
        assert [body.reason for body in opened.all("session_ending")] == ["disabled"]


async def test_another_site_cannot_open_the_socket(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    for origin in ("https://evil.example", "null", f"http://localhost:{gateway.port + 1}"):
        answer = await ada.get("/v1/live", headers={"Origin": origin, "Upgrade": "websocket", "Connection": "Upgrade"})
        assert answer.status == 403 and (await answer.json())["type"] == "urn:rtcc:problem:cross-site-request"
    assert (await gateway.browser().get("/v1/live")).status == 401  # R1


async def test_bad_frames_close_the_socket(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    hello = pb.ClientFrame(hello=pb.Hello()).SerializeToString()
    for frames in ([b"\xff\xff\xff"], [b""], [pb.ClientFrame(ping=pb.Ping()).SerializeToString()], [hello, b"\x0a\xff\x01"]):
        async with ada.ws_connect("/v1/live") as ws:
            for data in frames:
                await ws.send_bytes(data)
            assert await Console(ws).closed() == 4400
    async with ada.ws_connect("/v1/live") as ws:
        await ws.send_str(json.dumps({"hello": {}}))
        assert await Console(ws).closed() == 4400


async def test_a_socket_that_does_not_read_is_closed_and_comes_back_with_its_cursor(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    async with ada.ws_connect("/v1/live", max_msg_size=0) as ws:
        opened = Console(ws)
        await opened.hello()
        await opened.until("incidents", lambda body: body.snapshot)
        opened.ws._reader._protocol.pause_reading()  # a console that hangs: nothing leaves the kernel's buffer any more
        big = "n" * 300_000
        for number in range(60):
            await publish_alert(gateway, alert(f"big-{number}", note=big))
        from rtcc_gateway.live.hub import SOCKETS

        async def dropped() -> bool:
            return SOCKETS._value.get() == 0

        await poll(dropped, deadline_s=30)
        cursor = opened.cursor
    async with ada.ws_connect("/v1/live", max_msg_size=0) as ws:
        again = Console(ws)
        await again.hello(cursor)
        assert (await again.until("welcome")).resumed
        seen: set[str] = set()
        while len(seen) < 60:
            body = await again.until("alerts", deadline_s=20)
            seen |= {one.alert_id for one in body.alerts}


async def test_ninth_window_of_a_session_is_refused(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    windows = []
    for _ in range(8):
        ws = await ada.ws_connect("/v1/live")
        opened = Console(ws)
        await opened.hello()
        await opened.until("welcome")
        windows.append(ws)
    async with ada.ws_connect("/v1/live") as ninth:
        assert await Console(ninth).closed() == 4429
    for ws in windows:
        await ws.close()


async def test_switched_off_agency_sees_nothing_more(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("alerts")
        await gateway.put("agency", "harbor", "harbor", Agency(agency_id="harbor", name="Harbor", enabled=False))
        assert await opened.closed() == 4401
    assert (await ada.get("/v1/agencies")).status == 401
