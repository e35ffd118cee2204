"""Alerts reach people outside of the console: once, in their words, bounded, and never into a network that isn't meant."""

import json
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from proof.receivers import MailServer, mail_server, web_receiver
from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc.alerting.v1.alerting_pb2_grpc import AlertingServiceStub
from rtcc_alerting.notification_store import NotificationStore
from rtcc_chassis.scope import Scope
from rtcc_chassis.signature import matches
from rtcc_chassis.streams import event_subject
from rtcc_chassis.testing import TestPlatform, free_port, poll

from .conftest import ADMINISTRATOR, NEIGHBOUR, OPERATOR, Alerting, gunshot
from .test_rule_kinds import event, put_zone

IDENTITY = {"manufacturer": "DJI", "model": "Mini 4", "serial_number": "1581F45T7221K00B"}


def drone(visit_id: str = "v", **more: Any) -> Any:
    alarm = event("drone_alarm", track_id="t", visit_id=visit_id, zone_id="z", zone_name="Stadium", identity=IDENTITY, height_m=118, **more)
    alarm.drone_alarm.pilot.latitude_deg, alarm.drone_alarm.pilot.longitude_deg = 60.18, 24.95
    return alarm


async def set_contact(alerting: Alerting, channel: int, address: str, scope: Scope = OPERATOR, **fields: Any) -> pb.SetContactResponse:
    contact = pb.Contact(name=fields.pop("name", "Watch"), channel=channel, address=address, enabled=fields.pop("enabled", True), **fields)  # type: ignore[arg-type] # numbers of the enum
    answer = await alerting.stub.SetContact(pb.SetContactRequest(contact=contact), metadata=alerting.as_(scope))
    return pb.SetContactResponse.FromString(answer.SerializeToString())


async def set_mail_server(alerting: Alerting, server: MailServer, **fields: Any) -> pb.NotificationSettings:
    settings = pb.NotificationSettings(
        smtp_host="127.0.0.1", smtp_port=server.port, smtp_security=pb.SMTP_SECURITY_NONE, from_address="rtcc@example.org", **fields
    )
    request = pb.SetNotificationSettingsRequest(settings=settings)
    answer = await alerting.stub.SetNotificationSettings(request, metadata=alerting.as_(ADMINISTRATOR))
    return pb.NotificationSettings.FromString(answer.settings.SerializeToString())


async def deliveries(alerting: Alerting, scope: Scope = OPERATOR, **fields: Any) -> list[pb.NotificationDelivery]:
    answer = await alerting.stub.ListDeliveries(pb.ListDeliveriesRequest(**fields), metadata=alerting.as_(scope))
    return list(answer.deliveries)


async def until_states(alerting: Alerting, *states: int, deadline_s: float = 40.0) -> list[pb.NotificationDelivery]:
    async def ask() -> list[list[pb.NotificationDelivery]]:
        found = await deliveries(alerting)
        return [found] if sorted(delivery.state for delivery in found) == sorted(states) else []

    return (await poll(ask, deadline_s=deadline_s))[0]


async def test_a_drone_is_told_by_mail_with_model_serial_and_pilot(alerting: Alerting) -> None:
    async with mail_server(sign_in=True) as server:
        shown = await set_mail_server(alerting, server, smtp_user="rtcc", smtp_password="right horse")
        assert (shown.smtp_password, shown.smtp_password_set, shown.changed_by_name) == ("", True, "Cleo C")
        await set_contact(alerting, pb.NOTIFICATION_CHANNEL_EMAIL, "watch@example.org", alert_kinds=["drone"])
        await alerting.publish(drone(), gunshot("g", "new"))
        (delivery,) = await until_states(alerting, pb.DELIVERY_STATE_SENT)
        (mail,) = server.mails
        assert server.sign_ins == [(b"rtcc", b"right horse")]
    alert = next(alert for alert in await alerting.list_() if alert.kind == "drone")
    assert (delivery.alert_id, delivery.contact_name, delivery.reason, delivery.attempts) == (alert.alert_id, "Watch", "raised", 1)
    assert "accepted as 4711" in delivery.receipt
    assert (mail["To"], mail["From"], mail["Auto-Submitted"]) == ("watch@example.org", "rtcc@example.org", "auto-generated")
    assert mail["Subject"] == "[URGENT] Drone in Stadium · DJI Mini 4 · 1581F45T7221K00B"
    assert mail["Message-ID"] == f"<{delivery.delivery_id}@east.openrtcc>"
    text = mail.get_content()
    assert "DJI Mini 4 1581F45T7221K00B, height 118 m" in text and "Pilot: 60.18000 24.95000" in text and "60.17000 24.94000" in text
    assert f"https://rtcc.example.org/alerts?alert={alert.alert_id}" in text
    # R25: who was told is in the log, beside what
    info = await alerting.context.bus.jetstream.stream_info("AUDIT", subjects_filter="audit.east")
    assert info.state.messages


async def test_a_webhook_is_signed_and_an_sms_goes_through_the_gateway(alerting: Alerting) -> None:
    async with web_receiver() as receiver:
        settings = pb.NotificationSettings(sms_url=f"{receiver.url}/sms", sms_token="gateway token", sms_sender="RTCC")
        await alerting.stub.SetNotificationSettings(
            pb.SetNotificationSettingsRequest(settings=settings), metadata=alerting.as_(ADMINISTRATOR)
        )
        hook = await set_contact(alerting, pb.NOTIFICATION_CHANNEL_WEBHOOK, f"{receiver.url}/hook", body_template="{title} at {latitude}")
        await set_contact(alerting, pb.NOTIFICATION_CHANNEL_SMS, "+358 40 123 4567", name="Chief")
        await alerting.publish(drone())
        sent = await until_states(alerting, pb.DELIVERY_STATE_SENT, pb.DELIVERY_STATE_SENT)
        by_path = {one.path: one for one in receiver.received}
    web, sms = by_path["/hook"], json.loads(by_path["/sms"].body)
    identifiers = {delivery.channel: delivery.delivery_id for delivery in sent}
    assert web.headers["Rtcc-Delivery"] == identifiers[pb.NOTIFICATION_CHANNEL_WEBHOOK]
    assert matches(hook.secret, web.headers["Rtcc-Timestamp"], web.headers["Rtcc-Delivery"], web.body, web.headers["Rtcc-Signature"])
    told = json.loads(web.body)
    assert told["text"] == "Drone in Stadium · DJI Mini 4 · 1581F45T7221K00B at 60.17000"
    assert (told["drone_serial"], told["pilot_latitude"], told["reason"]) == ("1581F45T7221K00B", "60.18000", "raised")
    assert by_path["/sms"].headers["Authorization"] == "Bearer gateway token"
    assert by_path["/sms"].headers["Idempotency-Key"] == identifiers[pb.NOTIFICATION_CHANNEL_SMS]
    assert (sms["to"], sms["from"]) == ("+358401234567", "RTCC") and "\n" not in sms["text"]
    assert all(delivery.receipt == "HTTP 202" for delivery in sent)


@pytest.mark.usefixtures("short_patience")
async def test_contacts_get_what_they_asked_for_and_the_patient_ones_what_nobody_took(alerting: Alerting) -> None:
    await put_zone(alerting, "north", 60.5, 61.0)
    async with web_receiver() as receiver:
        for name, fields in {
            "everything": {"least_severity": 4},
            "usual": {},
            "north": {"zone_ids": ["north"]},
            "tips": {"alert_kinds": ["tip"]},
            "off": {"enabled": False},
            "patient": {"only_escalated": True},
        }.items():
            await set_contact(alerting, pb.NOTIFICATION_CHANNEL_WEBHOOK, f"{receiver.url}/{name}", name=name, **fields)
        await alerting.publish(
            gunshot("loud", "new"),
            gunshot("fireworks", "new", "fireworks"),
            event("tip", category="threat", place=(60.7, 24.5), reference_code="T"),
        )
        await until_states(alerting, *[pb.DELIVERY_STATE_SENT] * 8)
        heard = sorted((one.path, json.loads(one.body)["kind"], json.loads(one.body)["severity"]) for one in receiver.received)
    assert heard == [
        ("/everything", "gunshot", "1"),
        ("/everything", "gunshot", "4"),
        ("/everything", "tip", "2"),
        ("/north", "tip", "2"),
        ("/patient", "gunshot", "1"),
        ("/tips", "tip", "2"),
        ("/usual", "gunshot", "1"),
        ("/usual", "tip", "2"),
    ]


async def test_a_busy_receiver_is_tried_again_and_a_refusing_one_is_given_up_until_somebody_asks(alerting: Alerting) -> None:
    async with web_receiver() as receiver:
        receiver.answer = lambda number: 503 if number == 1 else 202
        await set_contact(alerting, pb.NOTIFICATION_CHANNEL_WEBHOOK, f"{receiver.url}/hook")
        await alerting.publish(gunshot("g", "new"))
        (sent,) = await until_states(alerting, pb.DELIVERY_STATE_SENT)
        assert (sent.attempts, len(receiver.received)) == (2, 2)
        # the receiver knows a repeat by its id
        assert len({one.headers["Rtcc-Delivery"] for one in receiver.received}) == 1
        receiver.answer = lambda number: 403
        await alerting.publish(drone())
        found = await until_states(alerting, pb.DELIVERY_STATE_SENT, pb.DELIVERY_STATE_FAILED)
        assert [d.state for d in await deliveries(alerting, failed_only=True)] == [pb.DELIVERY_STATE_FAILED]
        failed = next(d for d in found if d.state == pb.DELIVERY_STATE_FAILED)
        assert (failed.attempts, failed.last_error) == (1, "HTTP 403")
        receiver.answer = lambda number: 202
        request = pb.RetryDeliveryRequest(delivery_id=failed.delivery_id)
        await alerting.stub.RetryDelivery(request, metadata=alerting.as_(OPERATOR))
        await until_states(alerting, pb.DELIVERY_STATE_SENT, pb.DELIVERY_STATE_SENT)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await alerting.stub.RetryDelivery(request, metadata=alerting.as_(OPERATOR))
        assert caught.value.code() is grpc.StatusCode.ABORTED


async def test_beyond_the_bound_alerts_are_told_together(alerting: Alerting) -> None:
    store, platform = NotificationStore(alerting.context.database), Scope.platform("alerting")
    async with web_receiver() as receiver:
        await set_contact(alerting, pb.NOTIFICATION_CHANNEL_WEBHOOK, f"{receiver.url}/hook", maximum_per_hour=2)
        await alerting.publish(*(drone(f"v{number}") for number in range(6)))
        await until_states(alerting, *[pb.DELIVERY_STATE_SENT] * 2, *[pb.DELIVERY_STATE_HELD] * 4)
        # what is a matter of life has three times the bound
        await alerting.publish(gunshot("g", "new"))
        held = await until_states(alerting, *[pb.DELIVERY_STATE_SENT] * 3, *[pb.DELIVERY_STATE_HELD] * 4)
        waiting = [d for d in held if d.state == pb.DELIVERY_STATE_HELD]
        assert len({d.next_attempt_at.ToMicroseconds() for d in waiting}) == 1
        async with alerting.context.database.transaction(platform) as connection:
            # ten minutes pass
            await connection.execute("update delivery set next_attempt_at = now() where state = 'held'")
        told = await until_states(alerting, *[pb.DELIVERY_STATE_SENT] * 7)
        digest = json.loads(receiver.received[-1].body)
    assert len(receiver.received) == 4
    assert (digest["reason"], len(digest["alerts"]), digest["subject"]) == ("digest", 4, "4 more alerts of east")
    assert sorted(d.in_digest for d in told) == [False] * 3 + [True] * 4
    assert await store.sent_since(platform, told[0].contact_id, datetime(2020, 1, 1, tzinfo=UTC)) == 4


@pytest.mark.usefixtures("alerting_environment")
async def test_a_kill_in_the_middle_loses_nothing_and_repeats_only_under_the_same_id(small_platform: TestPlatform) -> None:
    await small_platform.servers.s3_endpoint()
    context = await small_platform.context("alerting")
    port = free_port()
    first = await small_platform.start_process("alerting", port)
    addresses = {"alerting": f"127.0.0.1:{port}"}
    channel = grpc.aio.insecure_channel(addresses["alerting"])
    alerting = Alerting(small_platform, context, AlertingServiceStub(channel), [])
    async with web_receiver() as receiver:
        await set_contact(alerting, pb.NOTIFICATION_CHANNEL_WEBHOOK, f"{receiver.url}/hook")
        # the receiver has it, and its answer finds nobody: the one moment that no protocol can settle
        receiver.answering.clear()
        one, other = gunshot("g1", "new"), drone()
        await context.bus.publish(event_subject("east", "gunshot"), one, message_id=one.event_id, agency_id="east")

        async def arrived() -> bool:
            return bool(receiver.received)

        await poll(arrived, deadline_s=30)
        first.kill()
        first.wait()
        receiver.answering.set()
        # what happens while nobody runs waits in the streams
        await context.bus.publish(event_subject("east", "drone_alarm"), other, message_id=other.event_id, agency_id="east")
        second = await small_platform.start_process("alerting", port)
        told = await until_states(alerting, pb.DELIVERY_STATE_SENT, pb.DELIVERY_STATE_SENT, deadline_s=60)
        second.kill()
        second.wait()
        ids = [request.headers["Rtcc-Delivery"] for request in receiver.received]
    assert set(ids) == {delivery.delivery_id for delivery in told}
    assert sorted(ids.count(identifier) for identifier in set(ids)) == [1, 2]
    await channel.close()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"channel": 3, "address": "http://10.0.0.1/hook"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"channel": 3, "address": "https://169.254.169.254/latest/meta-data"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"channel": 3, "address": "https://[::ffff:10.0.0.1]/"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"channel": 3, "address": "http://example.org/plain"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"channel": 3, "address": "https://user:word@example.org/"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"channel": 3, "address": "file:///etc/passwd"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"channel": 2, "address": "0401234567"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"channel": 1, "address": "a@b\r\nBcc: c@d"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"channel": 0, "address": "a@example.org"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"channel": 1, "address": "a@example.org", "alert_kinds": ["nonsense"]}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"channel": 1, "address": "a@example.org", "body_template": "{password}"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"channel": 1, "address": "a@example.org", "zone_ids": ["nobody's"]}, grpc.StatusCode.NOT_FOUND),
        ({"channel": 1, "address": "a@example.org", "contact_id": "unknown"}, grpc.StatusCode.NOT_FOUND),
    ],
)
async def test_a_contact_that_makes_no_sense_is_refused(alerting: Alerting, fields: dict[str, Any], code: grpc.StatusCode) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await set_contact(alerting, fields.pop("channel"), fields.pop("address"), **fields)
    assert caught.value.code() is code


async def test_a_name_that_leads_inside_is_refused_when_it_is_connected_to(alerting: Alerting) -> None:
    async with web_receiver() as receiver:
        # the name passes when it is typed in: what it means is looked at for each connection
        port = receiver.url.rpartition(":")[2]
        await set_contact(alerting, pb.NOTIFICATION_CHANNEL_WEBHOOK, f"https://ip6-localhost.invalid:{port}/", name="nowhere")
        await set_contact(alerting, pb.NOTIFICATION_CHANNEL_WEBHOOK, "https://0.0.0.0.nip.invalid/", name="nowhere too")
        (contact, _) = (await alerting.stub.ListContacts(pb.ListContactsRequest(), metadata=alerting.as_(OPERATOR))).contacts
        await alerting.stub.TestContact(pb.TestContactRequest(contact_id=contact.contact_id), metadata=alerting.as_(OPERATOR))

        async def tried() -> list[pb.NotificationDelivery]:
            return [delivery for delivery in await deliveries(alerting) if delivery.attempts]

        # how long a name is asked for that isn't there is up to this machine
        (delivery,) = await poll(tried, deadline_s=60)
        assert delivery.state == pb.DELIVERY_STATE_WAITING and "no answer" in delivery.last_error
        assert not receiver.received


async def test_a_test_says_so_and_secrets_are_sealed_and_never_answered(alerting: Alerting) -> None:
    async with mail_server() as server:
        await set_mail_server(alerting, server, smtp_user="", smtp_password="hidden word")
        answer = await set_contact(alerting, pb.NOTIFICATION_CHANNEL_EMAIL, "watch@example.org")
        hook = await set_contact(alerting, pb.NOTIFICATION_CHANNEL_WEBHOOK, "https://example.org/hook", name="hook")
        assert hook.secret and not answer.secret
        request = pb.TestContactRequest(contact_id=answer.contact.contact_id)
        await alerting.stub.TestContact(request, metadata=alerting.as_(OPERATOR))
        (delivery,) = await until_states(alerting, pb.DELIVERY_STATE_SENT)
        assert (delivery.reason, delivery.alert_id) == ("test", "")
        assert server.mails[0]["Subject"].startswith("[TEST]")
        async with alerting.context.database.transaction(Scope.platform("alerting")) as connection:
            stored = await connection.fetch("select body, smtp_password from notification_settings")
            stored += await connection.fetch("select body, secret from contact")
        everything = b"".join(bytes(value or b"") for row in stored for value in row.values())
        assert b"hidden word" not in everything and hook.secret.encode() not in everything
        # a password is for the server that it was given for
        moved = pb.NotificationSettings(smtp_host="smtp.example.org", from_address="rtcc@example.org")
        after = await alerting.stub.SetNotificationSettings(
            pb.SetNotificationSettingsRequest(settings=moved), metadata=alerting.as_(ADMINISTRATOR)
        )
        assert not after.settings.smtp_password_set


async def test_a_neighbour_neither_sees_nor_touches_contacts_and_deliveries(alerting: Alerting) -> None:
    async with web_receiver() as receiver:
        answer = await set_contact(alerting, pb.NOTIFICATION_CHANNEL_WEBHOOK, f"{receiver.url}/hook")
        await alerting.publish(gunshot("g", "new"))
        (delivery,) = await until_states(alerting, pb.DELIVERY_STATE_SENT)
    metadata, stub = alerting.as_(NEIGHBOUR), alerting.stub
    assert not (await stub.ListContacts(pb.ListContactsRequest(), metadata=metadata)).contacts
    assert not await deliveries(alerting, NEIGHBOUR)
    calls: list[tuple[Any, Any]] = [
        (stub.SetContact, pb.SetContactRequest(contact=answer.contact)),
        (stub.RemoveContact, pb.RemoveContactRequest(contact_id=answer.contact.contact_id)),
        (stub.TestContact, pb.TestContactRequest(contact_id=answer.contact.contact_id)),
        (stub.ListDeliveries, pb.ListDeliveriesRequest(alert_id=delivery.alert_id)),
        (stub.RetryDelivery, pb.RetryDeliveryRequest(delivery_id=delivery.delivery_id)),
    ]
    for call, request in calls:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(request, metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND, call
    await stub.RemoveContact(pb.RemoveContactRequest(contact_id=answer.contact.contact_id), metadata=alerting.as_(OPERATOR))
    assert not (await stub.ListContacts(pb.ListContactsRequest(), metadata=alerting.as_(OPERATOR))).contacts
    # what was sent stays listed with its name
    assert [d.contact_name for d in await deliveries(alerting)] == ["Watch"]
