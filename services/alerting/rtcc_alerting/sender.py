"""Sends what is due, for ever.

A delivery is leased, tried and settled. A process that dies between the receiver's acceptance and the settling sends it once more when the
lease ends, under the same id: SMTP and HTTP have no way to commit on both sides, so the receiver drops what it has (Message-ID,
Rtcc-Delivery, Idempotency-Key). Everything else happens once.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from prometheus_client import Counter, Histogram

from rtcc_alerting.channels import Channels, Route, SendFailed
from rtcc_alerting.notification import (
    DIGEST_EVERY,
    TEST,
    DeliveryState,
    Message,
    back_off,
    digest_of,
    is_over_bound,
    message_of,
    test_message,
)
from rtcc_alerting.notification_store import NotificationStore, Servers, Task
from rtcc_chassis.access import Access, AuditDraft, Outcome
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import RtccError
from rtcc_chassis.identifiers import derived_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.sealing import Seal, SealBroken

_LOG = logging.getLogger(__name__)
_SENT = Counter("rtcc_alerting_notifications_total", "Messages tried, by what became of them.", ["channel", "outcome"])
_SECONDS = Histogram("rtcc_alerting_notification_seconds", "From an alert being raised to the receiver's acceptance at the first try.")
_AT_ONCE = 40
_DIGEST_MOST = 500
_LOOK_EVERY_S = 1.0
_CHANNEL_WORDS = {1: "email", 2: "sms", 3: "webhook"}


class Sender:
    """Several instances of the service may run it. Messages to one contact go one after the other, contacts side by side."""

    def __init__(
        self,
        store: NotificationStore,
        channels: Channels,
        seal: Seal,
        access: Access,
        clock: Clock,
        agency_name: Callable[[str], str],
        console_origin: str,
        lease: timedelta,
    ) -> None:
        self._store = store
        self._channels = channels
        for channel in _CHANNEL_WORDS.values():  # a series that isn't there yet can't be told from one that stopped
            for outcome in ("sent", "failed", "refused"):
                _SENT.labels(channel, outcome)
        self._seal = seal
        self._access = access
        self._clock = clock
        self._agency_name = agency_name
        self._console_origin = console_origin.rstrip("/")
        self._lease = lease
        self._scope = Scope.platform("alerting")
        self._due = asyncio.Event()

    def wake(self) -> None:
        """Something may be due now."""
        self._due.set()

    async def run(self) -> None:
        """Look each second, and at once when woken."""
        while True:
            self._due.clear()
            try:
                while await self.send_due():
                    pass
            except RtccError as error:
                _LOG.warning("notifications: waiting, %s", error)
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._due.wait()
            except TimeoutError:
                continue

    async def send_due(self) -> bool:
        """Whether there may be more."""
        tasks = await self._store.claim(self._scope, self._clock(), self._lease, _AT_ONCE)
        by_contact: dict[str, list[Task]] = {}
        for task in tasks:
            by_contact.setdefault(task.contact.contact_id, []).append(task)
        await asyncio.gather(*(self._send_to(contact_tasks) for contact_tasks in by_contact.values()))
        return len(tasks) == _AT_ONCE

    async def _send_to(self, tasks: Sequence[Task]) -> None:
        servers = await self._store.servers(self._scope, tasks[0].agency_id)
        held = [task for task in tasks if task.state is DeliveryState.HELD]
        for task in tasks:
            if task.state is not DeliveryState.HELD:
                await self._send_one(task, servers)
        if held:
            rest = await self._store.claim_held(
                self._scope, held[0].contact.contact_id, self._clock(), self._lease, _DIGEST_MOST - len(held)
            )
            await self._send_digest([*held, *rest], servers)

    async def _send_one(self, task: Task, servers: Servers) -> None:
        if not self._may_send(task):
            await self._settle([task], DeliveryState.CANCELLED, tried=False)
            return
        now = self._clock()
        if task.reason != TEST:
            sent = await self._store.sent_since(self._scope, task.contact.contact_id, now - timedelta(hours=1))
            if is_over_bound(task.contact, task.severity, sent):
                due = await self._store.oldest_held(self._scope, task.contact.contact_id) or now + DIGEST_EVERY
                await self._store.settle(
                    self._scope, [task.delivery_id], DeliveryState.HELD, at=now, next_attempt_at=max(due, now), tried=False,
                    last_error="held back by the contact's bound: the next digest tells it",
                )  # fmt: skip
                return
        await self._deliver([task], self._message(task), servers)

    async def _send_digest(self, tasks: Sequence[Task], servers: Servers) -> None:
        standing = [task for task in tasks if self._may_send(task)]
        if gone := [task for task in tasks if not self._may_send(task)]:
            await self._settle(gone, DeliveryState.CANCELLED, tried=False)
        if standing:
            # the same deliveries make the same digest, so a repeat is known as one
            digest_id = derived_id("digest", *sorted(task.delivery_id for task in standing))
            messages = [self._message(task) for task in standing]
            message = digest_of(digest_id, messages, self._agency_name(standing[0].agency_id))
            await self._deliver(standing, message, servers, digest_id)

    @staticmethod
    def _may_send(task: Task) -> bool:
        return not task.removed and (task.reason == TEST or (task.contact.enabled and task.alert is not None))

    def _message(self, task: Task) -> Message:
        agency = self._agency_name(task.agency_id)
        if task.alert is None:
            return test_message(task.contact, task.delivery_id, agency)
        link = f"{self._console_origin}/alerts?alert={task.alert_id}" if self._console_origin else ""
        return message_of(task.contact, task.alert, task.reason, task.delivery_id, agency, link)

    async def _deliver(self, tasks: Sequence[Task], message: Message, servers: Servers, digest_id: str = "") -> None:
        first = tasks[0]
        channel = _CHANNEL_WORDS.get(first.contact.channel, "unknown")
        # who was told of what, durable before it leaves
        await self._access.record(_dissemination(self._scope, tasks, channel))
        try:
            receipt = await self._channels.send(self._route(first, servers), message)
        except (SendFailed, SealBroken) as error:
            await self._failed(tasks, error, channel, digest_id)
            return
        _SENT.labels(channel, "sent").inc()
        if first.alert is not None and first.attempts == 0:
            _SECONDS.observe(max(0.0, self._clock().timestamp() - first.alert.raised_at.ToMicroseconds() / 1e6))
        await self._settle(tasks, DeliveryState.SENT, tried=True, receipt=receipt, digest_id=digest_id)

    async def _failed(self, tasks: Sequence[Task], error: SendFailed | SealBroken, channel: str, digest_id: str) -> None:
        wait = back_off(max(task.attempts for task in tasks) + 1)
        final = isinstance(error, SealBroken) or error.final
        _SENT.labels(channel, "refused" if final else "failed").inc()
        if final or wait is None:
            await self._settle(tasks, DeliveryState.FAILED, tried=True, last_error=error.message, digest_id=digest_id)
            return
        asked_s = error.retry_after_s if isinstance(error, SendFailed) else 0.0
        next_attempt_at = self._clock() + max(wait, timedelta(seconds=asked_s))
        state = DeliveryState.HELD if digest_id else DeliveryState.WAITING
        await self._store.settle(
            self._scope, [task.delivery_id for task in tasks], state, at=self._clock(), next_attempt_at=next_attempt_at, tried=True,
            last_error=error.message,
        )  # fmt: skip

    async def _settle(
        self, tasks: Iterable[Task], state: DeliveryState, *, tried: bool, last_error: str = "", receipt: str = "", digest_id: str = ""
    ) -> None:
        now = self._clock()
        await self._store.settle(
            self._scope, [task.delivery_id for task in tasks], state, at=now, next_attempt_at=now, tried=tried, last_error=last_error,
            receipt=receipt, digest_id=digest_id,
        )  # fmt: skip

    def _route(self, task: Task, servers: Servers) -> Route:
        agency_id, opened = task.agency_id, self._seal.open
        return Route(
            task.contact,
            servers.settings,
            agency_id,
            smtp_password=opened(servers.smtp_password, f"{agency_id}:smtp") if servers.smtp_password else "",
            sms_token=opened(servers.sms_token, f"{agency_id}:sms") if servers.sms_token else "",
            signing_secret=opened(task.sealed_secret, f"{agency_id}:{task.contact.contact_id}") if task.sealed_secret else "",
        )


def _dissemination(scope: Scope, tasks: Sequence[Task], channel: str) -> AuditDraft:
    first = tasks[0]
    alerts = tuple(f"alert:{task.alert_id}" for task in tasks if task.alert_id)
    return AuditDraft(
        action="notification.send",
        place="alerting",
        outcome=Outcome.ALLOWED,
        scope=scope,
        reason=f"{first.reason} by {channel}",
        object_ids=(f"contact:{first.contact.contact_id}", *alerts),
        owner_agency_id=first.agency_id,
    )
