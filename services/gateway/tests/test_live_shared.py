"""The live socket shows a partner's alerts, cameras and units as long as it is granted, and not a moment longer."""

from datetime import timedelta

from rtcc.exchange.v1.exchange_pb2 import SharedAlert
from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_REVOKED, Camera

from .conftest import Gateway
from .live_sockets import agreement, alert, console, publish_alert, publish_positions, publish_shared


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
        revoked = await opened.until("revoked")
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
        limited = agreement()
        limited.valid_until.FromDatetime(gateway.clock() + timedelta(minutes=5))
        await gateway.put("agreement", "coast", "agreement-1", limited)
        await opened.until("cameras", lambda body: body.shared_cameras)
        gateway.clock.ahead = timedelta(minutes=5)
        revoked = await opened.until("revoked")
        assert list(revoked.camera_ids) == ["coast-1"] and revoked.reason == "ended"


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
