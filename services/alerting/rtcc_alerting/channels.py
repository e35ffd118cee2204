"""How a message leaves: by mail, by an SMS gateway, by a webhook. The libraries are loaded when the first one does."""

from dataclasses import dataclass
from typing import Protocol

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting.destinations import Destinations
from rtcc_alerting.notification import Message
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError


class SendFailed(RtccError):
    """It was not taken. `final`: trying again is of no use. `retry_after_s`: what the receiver asked for; 0: nothing."""

    def __init__(self, reason: str, *, final: bool = False, retry_after_s: float = 0.0) -> None:
        self.final = final
        self.retry_after_s = retry_after_s
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Route:
    """Opened secrets and servers for one message."""

    contact: pb.Contact
    settings: pb.NotificationSettings
    agency_id: str
    smtp_password: str = ""
    sms_token: str = ""
    signing_secret: str = ""


class Channel(Protocol):
    async def send(self, route: Route, message: Message) -> str:
        """The receiver's answer, for the record. Raises SendFailed."""
        ...


class Channels:
    """One for each process."""

    def __init__(self, destinations: Destinations, clock: Clock) -> None:
        self._destinations = destinations
        self._clock = clock
        self._known: dict[int, Channel] = {}

    async def send(self, route: Route, message: Message) -> str:
        """Raises SendFailed."""
        return await self._channel(route.contact.channel).send(route, message)

    def _channel(self, kind: pb.NotificationChannel.ValueType) -> Channel:
        channel = self._known.get(kind)
        if channel is None:
            channel = self._known[kind] = self._made(kind)
        return channel

    def _made(self, kind: pb.NotificationChannel.ValueType) -> Channel:
        if kind == pb.NOTIFICATION_CHANNEL_EMAIL:
            from rtcc_alerting.mail_channel import MailChannel

            return MailChannel(self._destinations, self._clock)
        from rtcc_alerting.web_channel import SmsChannel, WebhookChannel

        if kind == pb.NOTIFICATION_CHANNEL_SMS:
            return SmsChannel(self._destinations)
        return WebhookChannel(self._destinations, self._clock)
