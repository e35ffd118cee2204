"""The live socket: filtered, once, resumable, recorded, and gone the moment the right is."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp

from rtcc.alerting.v1.alerting_pb2 import ALERT_STATE_ACKNOWLEDGED, ALERT_STATE_NEW, Alert
from rtcc.exchange.v1.exchange_pb2 import SharedAlert
from rtcc.geo.v1.geo_pb2 import BoundingBox
from rtcc.incidents.v1 import incidents_pb2
from rtcc.live.v1 import live_pb2 as pb
from rtcc.location.v1.location_pb2 import PositionBatch
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, AGREEMENT_STATUS_REVOKED, Agency, Agreement, Camera, Unit
from rtcc.video.v1.video_pb2 import CAMERA_STATE_LIVE, CameraHealth
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import alert_subject, incident_subject, position_subject, shared_alert_subject
from rtcc_chassis.testing import poll

from .conftest import Gateway

HELSINKI = BoundingBox(south_deg=60.1, west_deg=24.8, north_deg=60.3, east_deg=25.1)


class Console:
    """A client of the socket that keeps every frame."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.frames: list[pb.ServerFrame] = []

    async def hello(self, cursor: str = "", box: BoundingBox = HELSINKI) -> None:
        await self.ws.send_bytes(pb.ClientFrame(hello=pb.Hello(cursor=cursor, viewport=pb.Viewport(box=box))).SerializeToString())

    async def until(self, kind: str, test: Any = lambda body: True, deadline_s: float = 8.0) -> Any:
        """The first frame of that kind that passes, among those not looked at yet."""
        async with asyncio.timeout(deadline_s):
            while True:
                message = await self.ws.receive()
                assert message.type is aiohttp.WSMsgType.BINARY, (message.type, message.data, self.ws.close_code)
                frame = pb.ServerFrame.FromString(message.data)
                self.frames.append(frame)
                if frame.WhichOneof("body") == kind and test(getattr(frame, kind)):
                    return getattr(frame, kind)

    async def closed(self) -> int | None:
        """Read on until the server closes; the close code."""
        async with asyncio.timeout(8):
            while not self.ws.closed:
                message = await self.ws.receive()
                if message.type is aiohttp.WSMsgType.BINARY:
                    self.frames.append(pb.ServerFrame.FromString(message.data))
        return self.ws.close_code

    def all(self, kind: str) -> list[Any]:
        return [getattr(frame, kind) for frame in self.frames if frame.WhichOneof("body") == kind]

    @property
    def cursor(self) -> str:
        return next(frame.cursor for frame in reversed(self.frames) if frame.cursor)


@asynccontextmanager
async def console(
    gateway: Gateway, browser: aiohttp.ClientSession, cursor: str = "", box: BoundingBox = HELSINKI
) -> AsyncIterator[Console]:
    async with browser.ws_connect("/v1/live", protocols=["rtcc.live.v1"]) as ws:
        opened = Console(ws)
        await opened.hello(cursor)
        yield opened


def alert(alert_id: str, revision: int = 1, agency_id: str = "harbor", **more: Any) -> Alert:
    return Alert(alert_id=alert_id, agency_id=agency_id, kind="plate_hit", severity=2, state=ALERT_STATE_NEW, revision=revision, **more)


async def publish_alert(gateway: Gateway, message: Alert) -> None:
    await gateway.context.bus.publish(
        alert_subject(message.agency_id), message, message_id=f"{message.alert_id}.{message.revision}", agency_id=message.agency_id
    )


async def publish_shared(gateway: Gateway, message: SharedAlert) -> None:
    subject = shared_alert_subject(message.grantee_agency_id)
    await gateway.context.bus.publish(subject, message, message_id=new_id(), agency_id=message.grantee_agency_id)


def agreement(**more: Any) -> Agreement:
    return Agreement(
        agreement_id="agreement-1", grantor_agency_id="coast", grantee_agency_id="harbor", status=AGREEMENT_STATUS_ACTIVE,
        alert_kinds=["plate_hit"], camera_ids=["coast-1"], cameras_live=True, **more,
    )  # fmt: skip


async def test_socket_starts_with_welcome_and_snapshots(gateway: Gateway) -> None:
    gateway.services.alerts = [alert("a1"), alert("other", agency_id="coast")]
    await gateway.put("camera", "harbor", "c1", Camera(camera_id="c1", agency_id="harbor", enabled=True, stream_url="rtsp://user:secret@x"))
    await gateway.put("camera", "coast", "coast-9", Camera(camera_id="coast-9", agency_id="coast", enabled=True))
    browser, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, browser) as opened:
        welcome = await opened.until("welcome")
        assert (welcome.agency_id, welcome.display_name, list(welcome.roles), welcome.resumed) == ("harbor", "Ada", ["operator"], False)
        cameras = await opened.until("cameras")
        assert cameras.snapshot and [camera.camera_id for camera in cameras.cameras] == ["c1"]
        assert not cameras.cameras[0].stream_url
        alerts = await opened.until("alerts")
        assert alerts.snapshot and [one.alert_id for one in alerts.alerts] == ["a1"]


async def test_alert_arrives_once_and_only_at_its_own_agency(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    max_, _ = await gateway.enrolled("max", "operator", agency_id="coast")
    async with console(gateway, ada) as ours, console(gateway, max_) as theirs:
        await ours.until("alerts", lambda body: body.snapshot)
        await theirs.until("alerts", lambda body: body.snapshot)
        await publish_alert(gateway, alert("a1"))
        # the same revision again, as a redelivery would bring it
        await gateway.context.bus.publish(alert_subject("harbor"), alert("a1"), message_id=new_id(), agency_id="harbor")
        await publish_alert(gateway, alert("a2"))
        await ours.until("alerts", lambda body: any(one.alert_id == "a2" for one in body.alerts))
        await publish_alert(gateway, alert("x1", agency_id="coast"))
        await theirs.until("alerts", lambda body: any(one.alert_id == "x1" for one in body.alerts))
        seen = [one.alert_id for body in ours.all("alerts") for one in body.alerts]
        assert seen == ["a1", "a2"]
        assert [one.alert_id for body in theirs.all("alerts") for one in body.alerts] == ["x1"]


async def test_an_incident_is_sent_in_full_at_each_change_and_only_to_its_own_agency(gateway: Gateway) -> None:
    def incident(revision: int, agency_id: str = "harbor", **more: Any) -> incidents_pb2.Incident:
        state = incidents_pb2.INCIDENT_STATE_OPEN
        return incidents_pb2.Incident(
            incident_id=f"{agency_id}-1", agency_id=agency_id, number="26-0001", state=state, revision=revision, **more
        )

    gateway.services.incidents = [incident(1), incident(1, "coast")]
    ada, _ = await gateway.enrolled("ada", "officer")
    async with console(gateway, ada) as opened:
        stood = await opened.until("incidents", lambda body: body.snapshot)
        assert [one.incident_id for one in stood.incidents] == ["harbor-1"]
        for message in (incident(2, "coast"), incident(2, title="Burglary")):
            await gateway.context.bus.publish(
                incident_subject(message.agency_id), message, message_id=new_id(), agency_id=message.agency_id
            )
        changed = await opened.until("incidents", lambda body: not body.snapshot)
        assert [(one.incident_id, one.revision, one.title) for one in changed.incidents] == [("harbor-1", 2, "Burglary")]
    entries = [entry for entry in await gateway.audit() if "incident:harbor-1" in entry.object_ids]
    assert {entry.action for entry in entries} == {"incident.list"}


async def test_delivery_is_in_the_audit_log_before_it_is_seen(gateway: Gateway) -> None:  # R8
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("alerts", lambda body: body.snapshot)
        await publish_alert(gateway, alert("a1"))
        await opened.until("alerts", lambda body: any(one.alert_id == "a1" for one in body.alerts))
        entries = [entry for entry in await gateway.audit() if "alert:a1" in entry.object_ids]
        assert [(entry.action, entry.principal_id, entry.place) for entry in entries] == [("alert.list", "person-ada", "GET /v1/live")]


async def test_reconnecting_with_the_cursor_brings_what_was_missed_and_nothing_twice(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as first:
        await first.until("alerts", lambda body: body.snapshot)
        await publish_alert(gateway, alert("a1"))
        await first.until("alerts", lambda body: any(one.alert_id == "a1" for one in body.alerts))
        cursor = first.cursor
    await publish_alert(gateway, alert("a2"))
    await publish_alert(gateway, alert("a1", revision=2))
    hub_saw = gateway.context.bus

    async def stored() -> bool:
        return (await hub_saw.jetstream.stream_info("ALERTS")).state.messages == 3

    await poll(stored)
    async with console(gateway, ada, cursor=cursor) as second:
        assert (await second.until("welcome")).resumed
        while len({(one.alert_id, one.revision) for body in second.all("alerts") for one in body.alerts}) < 2:
            await second.until("alerts")
        seen = [(one.alert_id, one.revision) for body in second.all("alerts") for one in body.alerts]
        assert sorted(seen) == [("a1", 2), ("a2", 1)]
        assert not any(body.snapshot for body in second.all("alerts"))


async def test_a_foreign_cursor_gives_a_snapshot(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    for cursor in ("x", "abcdefabcdef.1.2.3.4", "abcdefabcdef.1.2", "é" * 300, "." * 150):
        async with console(gateway, ada, cursor=cursor) as opened:
            assert not (await opened.until("welcome")).resumed
            assert (await opened.until("alerts")).snapshot


async def test_shared_alert_and_camera_leave_at_once_when_the_agreement_is_revoked(gateway: Gateway) -> None:  # R16 R31
    await gateway.put("camera", "coast", "coast-1", Camera(camera_id="coast-1", agency_id="coast", enabled=True))
    await gateway.put("camera", "coast", "coast-2", Camera(camera_id="coast-2", agency_id="coast", enabled=True))
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("shared_alerts", lambda body: body.snapshot)
        await gateway.put("agreement", "coast", "agreement-1", agreement())
        cameras = await opened.until("cameras", lambda body: body.shared_cameras)
        assert [one.camera.camera_id for one in cameras.shared_cameras] == ["coast-1"]
        shared = SharedAlert(alert=alert("s1", agency_id="coast"), agreement_id="agreement-1", grantee_agency_id="harbor")
        await publish_shared(gateway, shared)
        await opened.until("shared_alerts", lambda body: any(one.alert.alert_id == "s1" for one in body.alerts))
        ended = agreement()
        ended.status = AGREEMENT_STATUS_REVOKED
        await gateway.put("agreement", "coast", "agreement-1", ended)
        revoked = await opened.until("revoked", deadline_s=5)
        assert (revoked.agreement_id, list(revoked.camera_ids), list(revoked.alert_ids)) == ("agreement-1", ["coast-1"], ["s1"])
        # a late one under the ended agreement never comes
        late = SharedAlert(alert=alert("s2", agency_id="coast"), agreement_id="agreement-1", grantee_agency_id="harbor")
        await publish_shared(gateway, late)
        await publish_alert(gateway, alert("marker"))
        await opened.until("alerts", lambda body: any(one.alert_id == "marker" for one in body.alerts))
        assert [one.alert.alert_id for body in opened.all("shared_alerts") for one in body.alerts] == ["s1"]
    # both logs have who saw it
    entries = [entry for entry in await gateway.audit() if "alert:s1" in entry.object_ids]
    assert {entry.agency_id for entry in entries} == {"coast", "harbor"}
    assert {entry.agreement_id for entry in entries} == {"agreement-1"}


async def test_grant_that_runs_out_is_taken_back_by_the_clock(gateway: Gateway) -> None:  # R16
    await gateway.put("camera", "coast", "coast-1", Camera(camera_id="coast-1", agency_id="coast", enabled=True))
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("alerts")
        # begins when somebody watches: signing in takes its time on a busy machine
        limited = agreement()
        limited.valid_until.FromMilliseconds(int(datetime.now(UTC).timestamp() * 1000) + 3000)
        await gateway.put("agreement", "coast", "agreement-1", limited)
        await opened.until("cameras", lambda body: body.shared_cameras)
        revoked = await opened.until("revoked", deadline_s=10)
        assert list(revoked.camera_ids) == ["coast-1"] and revoked.reason == "ended"


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


async def test_ping_is_answered(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.ws.send_bytes(pb.ClientFrame(ping=pb.Ping(client_time_us=7)).SerializeToString())
        assert (await opened.until("pong")).client_time_us == 7


async def test_positions_of_the_viewport_come_as_picture_then_as_changes(gateway: Gateway) -> None:
    await gateway.put("unit", "harbor", "u1", Unit(unit_id="u1", agency_id="harbor", call_sign="4A12", kind="patrol", enabled=True))
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("alerts")
        await publish_positions(gateway, "harbor", {"u1": (60.17, 24.94), "far": (51.5, -0.1)}, 1)
        await publish_positions(gateway, "coast", {"x1": (60.18, 24.95)}, 1)
        first = await opened.until("positions", lambda body: body.unit_numbers)
        assert [(name.unit_id, name.call_sign, name.kind) for name in first.units] == [("u1", "4A12", "patrol")]
        assert (first.latitude_delta_e7[0], first.longitude_delta_e7[0]) == (601_700_000, 249_400_000)
        await publish_positions(gateway, "harbor", {"u1": (60.171, 24.941)}, 2)
        second = await opened.until("positions", lambda body: body.unit_numbers)
        assert not second.snapshot and not second.units and second.latitude_delta_e7[0] == 601_710_000
        # late data never rewrites live state
        await publish_positions(gateway, "harbor", {"u1": (60.0, 24.0)}, 1)
        await publish_positions(gateway, "harbor", {"u1": (60.172, 24.942)}, 3)
        third = await opened.until("positions", lambda body: body.unit_numbers)
        assert third.latitude_delta_e7[0] == 601_720_000


async def test_a_persons_own_unit_is_shown_wherever_they_look(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "officer", unit_id="own")
    async with console(gateway, ada) as opened:
        await opened.until("alerts")
        await publish_positions(gateway, "harbor", {"own": (51.5, -0.1), "other": (51.5, -0.1)}, 1)
        first = await opened.until("positions", lambda body: body.unit_numbers)
        assert [name.unit_id for name in first.units] == ["own"]
        await publish_positions(gateway, "harbor", {"own": (51.6, -0.1), "other": (51.6, -0.1)}, 2)
        second = await opened.until("positions", lambda body: body.unit_numbers)
        assert list(second.unit_numbers) == list(first.unit_numbers)
        assert second.latitude_delta_e7[0] == 516_000_000


async def publish_positions(gateway: Gateway, agency_id: str, units: dict[str, tuple[float, float]], second: int) -> None:
    batch = PositionBatch(agency_id=agency_id)
    now_us = int(datetime.now(UTC).timestamp()) * 1_000_000 - 60_000_000
    for unit_id, (latitude, longitude) in units.items():
        batch.unit_ids.append(unit_id)
        batch.latitude_e7.append(round(latitude * 1e7))
        batch.longitude_e7.append(round(longitude * 1e7))
        batch.heading_cdeg.append(9000)
        batch.speed_cmps.append(1000)
        batch.accuracy_dm.append(50)
        batch.fixed_at_us.append(now_us + second * 1_000_000)
        batch.received_at_us.append(now_us + second * 1_000_000)
        batch.panic.append(False)
    await gateway.context.bus.publish(position_subject(agency_id), batch, message_id=new_id(), agency_id=agency_id)


async def test_partner_units_are_seen_only_under_an_agreement(gateway: Gateway) -> None:  # R16
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("alerts")
        await publish_positions(gateway, "coast", {"x1": (60.18, 24.95)}, 1)
        await publish_positions(gateway, "harbor", {"u1": (60.17, 24.94)}, 1)
        first = await opened.until("positions", lambda body: body.unit_numbers)
        assert [name.unit_id for name in first.units] == ["u1"]
        await gateway.put("agreement", "coast", "agreement-1", agreement(units=True))
        await opened.until("agreements")
        await publish_positions(gateway, "coast", {"x1": (60.181, 24.951)}, 2)
        shared = await opened.until("positions", lambda body: body.units)
        assert [name.unit_id for name in shared.units] == ["x1"] and shared.flags[-1] == 2
        ended = agreement(units=True)
        ended.status = AGREEMENT_STATUS_REVOKED
        await gateway.put("agreement", "coast", "agreement-1", ended)
        picture = await opened.until("positions", lambda body: body.snapshot)
        assert len(picture.unit_numbers) == 1


async def test_camera_state_reaches_only_who_sees_the_camera(gateway: Gateway) -> None:
    await gateway.put("camera", "harbor", "c1", Camera(camera_id="c1", agency_id="harbor", enabled=True))
    await gateway.put("camera", "coast", "coast-1", Camera(camera_id="coast-1", agency_id="coast", enabled=True))
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("alerts")
        for agency_id, camera_id in (("coast", "coast-1"), ("harbor", "c1")):
            state = CameraHealth(camera_id=camera_id, agency_id=agency_id, state=CAMERA_STATE_LIVE)
            await gateway.context.bus.publish_core(f"camera_health.{agency_id}", state)
        states = await opened.until("camera_states")
        assert [state.camera_id for state in states.cameras] == ["c1"]


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


async def test_acknowledgement_reaches_the_other_desk(gateway: Gateway) -> None:
    first, _ = await gateway.enrolled("ada", "operator")
    second, _ = await gateway.enrolled("bo", "operator")
    async with console(gateway, first) as one, console(gateway, second) as two:
        await one.until("alerts")
        await two.until("alerts")
        await publish_alert(gateway, alert("a1"))
        await two.until("alerts", lambda body: body.alerts)
        changed = alert("a1", revision=2, acknowledged_by_name="Ada")
        changed.state = ALERT_STATE_ACKNOWLEDGED
        await publish_alert(gateway, changed)
        body = await two.until("alerts", lambda body: body.alerts)
        assert (body.alerts[0].revision, body.alerts[0].acknowledged_by_name) == (2, "Ada")


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


async def test_one_service_being_away_keeps_nothing_else_back(gateway: Gateway) -> None:
    await gateway.put("agreement", "coast", "agreement-1", agreement())
    gateway.services.exchange_away = True
    gateway.services.shared = [SharedAlert(alert=alert("s1", agency_id="coast"), agreement_id="agreement-1", grantee_agency_id="harbor")]
    gateway.services.alerts = [alert("a1")]
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        body = await opened.until("alerts")
        assert [one.alert_id for one in body.alerts] == ["a1"]
        gateway.services.exchange_away = False
        shared = await opened.until("shared_alerts", lambda body: body.alerts)
        assert [one.alert.alert_id for one in shared.alerts] == ["s1"] and not shared.snapshot


async def test_cameras_granted_only_during_an_alert_come_and_go_with_it(gateway: Gateway) -> None:  # R16
    await gateway.put("camera", "coast", "coast-1", Camera(camera_id="coast-1", agency_id="coast", enabled=True))
    await gateway.put("agreement", "coast", "agreement-1", agreement(cameras_only_during_alert=True))
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        assert not (await opened.until("cameras")).shared_cameras
        shared = SharedAlert(alert=alert("s1", agency_id="coast"), agreement_id="agreement-1", grantee_agency_id="harbor")
        await gateway.put("shared_alert", "coast", "marker-1", shared)
        came = await opened.until("cameras", lambda body: body.shared_cameras)
        assert came.shared_cameras[0].camera.camera_id == "coast-1"
        await gateway.put("shared_alert", "coast", "marker-1", b"")
        assert list((await opened.until("cameras", lambda body: body.removed_camera_ids)).removed_camera_ids) == ["coast-1"]


async def test_switched_off_agency_sees_nothing_more(gateway: Gateway) -> None:
    ada, _ = await gateway.enrolled("ada", "operator")
    async with console(gateway, ada) as opened:
        await opened.until("alerts")
        await gateway.put("agency", "harbor", "harbor", Agency(agency_id="harbor", name="Harbor", enabled=False))
        assert await opened.closed() == 4401
    assert (await ada.get("/v1/agencies")).status == 401
