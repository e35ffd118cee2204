"""Where messages may go: the public internet, and what the operator allowed; whatever a name means at the moment."""

import ipaddress
import socket
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proof.receivers import mail_server, web_receiver
from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting.channels import Channels, Route, SendFailed
from rtcc_alerting.destinations import DestinationRefused, Destinations
from rtcc_alerting.notification import Message
from rtcc_chassis.errors import InvalidInput

_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10", "0.0.0.0/8", "224.0.0.0/4")


def _inside(network: str) -> st.SearchStrategy[ipaddress.IPv4Address]:
    chosen = ipaddress.IPv4Network(network)
    return st.integers(int(chosen.network_address), int(chosen.broadcast_address)).map(ipaddress.IPv4Address)


@given(st.one_of(*map(_inside, _PRIVATE)))
def test_no_private_address_is_allowed_in_any_writing(address: ipaddress.IPv4Address) -> None:
    strict = Destinations()
    sixtofour = ipaddress.IPv6Address((0x2002 << 112) | int(address) << 80 | 1)
    for writing in (address, ipaddress.IPv6Address(f"::ffff:{address}"), sixtofour):
        assert not strict.allows(writing)
    with pytest.raises(InvalidInput):
        strict.checked_url(f"https://{address}/hook", "address")
    with pytest.raises(DestinationRefused):
        strict.check_literal(str(address))


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_a_clear_refusal(text: str) -> None:
    for typed in (text, f"https://{text}", f"https://example.org{text}"):
        try:
            assert Destinations().checked_url(typed, "address").startswith("https://")
        except InvalidInput as error:
            assert error.violations[0].field == "address"


def test_the_operator_allows_a_network_and_nothing_beside_it() -> None:
    some = Destinations(["10.1.0.0/16", "fd00::/8"])
    assert some.checked_url("http://10.1.2.3:8080/hook#part", "a") == "http://10.1.2.3:8080/hook"
    assert some.allows(ipaddress.ip_address("fd00::1")) and not some.allows(ipaddress.ip_address("10.2.0.1"))
    assert some.allows(ipaddress.ip_address("9.9.9.9"))
    for refused in (
        "http://10.2.0.1/",
        "http://9.9.9.9/",
        "ftp://9.9.9.9/",
        "https:///x",
        "https://h:0/",
        "https://h:99999/",
        "https://a@h/",
    ):
        with pytest.raises(InvalidInput):
            some.checked_url(refused, "a")


async def test_a_name_that_means_this_machine_is_refused_and_nobody_is_called() -> None:
    def route(channel: pb.NotificationChannel.ValueType, address: str, **settings: object) -> Route:
        contact = pb.Contact(contact_id="c", channel=channel, address=address)
        sender = pb.NotificationSettings(from_address="rtcc@example.org", **settings)  # type: ignore[arg-type] # fields of the message
        return Route(contact, sender, "east", signing_secret="secret")

    message = Message("id", "subject", "text", {})
    async with web_receiver() as receiver, mail_server() as server:
        port = receiver.url.rpartition(":")[2]
        for destinations, refused in ((Destinations(), True), (Destinations(["127.0.0.0/8", "::1/128"]), False)):
            channels = Channels(destinations, lambda: datetime.now(UTC))
            routes = [
                route(pb.NOTIFICATION_CHANNEL_WEBHOOK, f"http://localhost:{port}/hook"),
                route(pb.NOTIFICATION_CHANNEL_WEBHOOK, f"http://127.0.0.1:{port}/hook"),
                route(pb.NOTIFICATION_CHANNEL_SMS, "+358401234567", sms_url=f"http://localhost:{port}/sms"),
                route(
                    pb.NOTIFICATION_CHANNEL_EMAIL, "a@example.org", smtp_host="localhost", smtp_port=server.port,
                    smtp_security=pb.SMTP_SECURITY_NONE,
                ),
            ]  # fmt: skip
            for one in routes:
                if refused:
                    with pytest.raises(SendFailed) as caught:
                        await channels.send(one, message)
                    assert caught.value.final
                else:
                    assert await channels.send(one, message)
            assert bool(receiver.received) is bool(server.tries) is not refused


async def test_a_connection_goes_to_the_address_that_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["127.0.0.1", "9.9.9.9"])
    real = socket.getaddrinfo

    def changing(host: str, port: int, *more: object, **options: object) -> object:
        """Says something else each time, as a rebinding name does."""
        return real(next(answers), port, type=socket.SOCK_STREAM) if host == "rebinding.example" else real(host, port, *more, **options)  # type: ignore[arg-type] # passed through

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    async with web_receiver() as receiver:
        port = int(receiver.url.rpartition(":")[2])
        with await Destinations(["127.0.0.0/8"]).connect("rebinding.example", port, 5) as connection:
            assert connection.getpeername()[0] == "127.0.0.1"
    with pytest.raises(DestinationRefused):
        await Destinations().resolve("localhost", 80)
