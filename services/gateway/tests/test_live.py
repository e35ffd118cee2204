"""The live socket: filtered, once, resumable and recorded."""

from typing import Any

from rtcc.alerting.v1.alerting_pb2 import ALERT_STATE_ACKNOWLEDGED
from rtcc.incidents.v1 import incidents_pb2
from rtcc.live.v1 import live_pb2 as pb
from rtcc.registry.v1.registry_pb2 import Camera, Unit
from rtcc.video.v1.video_pb2 import CAMERA_STATE_LIVE, CameraHealth
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.streams import alert_subject, incident_subject
from rtcc_chassis.testing import poll

from .conftest import Gateway
from .live_sockets import alert, console, publish_alert, publish_positions


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
