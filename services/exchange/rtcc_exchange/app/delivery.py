"""Alerts to neighbours: each revision once, and nothing once the agreement ends."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from datetime import timedelta

from prometheus_client import Counter

from rtcc.alerting.v1.alerting_pb2 import Alert
from rtcc.exchange.v1 import exchange_pb2 as pb
from rtcc.registry.v1.registry_pb2 import Agreement
from rtcc_chassis.access import Access, AuditDraft, Outcome
from rtcc_chassis.clock import Clock
from rtcc_chassis.directory import Mirror
from rtcc_chassis.identifiers import derived_id
from rtcc_chassis.scope import Scope
from rtcc_exchange.app.ports import Store, Stream, Work
from rtcc_exchange.domain import Share, ended, narrowed_copy, next_copy, shares_of

_LOG = logging.getLogger(__name__)
COPIES = Counter("rtcc_exchange_copies_total", "Copies of alerts for neighbours: sent, or taken back when a grant ended.", ["outcome"])
_BATCH = 500
# the stream keeps 30 days (rtcc_chassis.streams): older messages are gone there by themselves, and closed copies go with them
_STREAM_AGE = timedelta(days=31)


class Deliveries:
    """One lock orders sharing and taking back: after `end` has returned, this process sends nothing under that agreement."""

    def __init__(
        self,
        store: Store,
        stream: Stream,
        agreements: Mirror[Agreement],
        subscriptions: Mirror[pb.Subscription],
        access: Access,
        clock: Clock,
    ) -> None:
        self._store = store
        self._stream = stream
        self._agreements = agreements
        self._subscriptions = subscriptions
        self._access = access
        self._clock = clock
        self._scope = Scope.platform("exchange")
        self._lock = asyncio.Lock()

    async def share(self, alerts: Sequence[Alert]) -> int:
        """Give these alerts to every neighbour that asked and is granted; how many copies were new. Doing it again changes nothing."""
        async with self._lock:
            now = self._clock()
            agreements = {agreement.agreement_id: agreement for agreement in self._agreements.values()}
            wanted = [
                options
                for alert in alerts
                for options in shares_of(alert, self._subscriptions.of_agency(alert.agency_id), agreements, now).values()
            ]
            new = 0
            if wanted:
                new = await self._write(wanted)
            await self._send_waiting()
        return new

    async def send_waiting(self) -> None:
        """Publish what was written and not sent, for instance before a crash."""
        async with self._lock:
            await self._send_waiting()

    async def agreement_changed(self, agreement_id: str) -> None:
        """Bring everything shared under an agreement in line with its terms of now."""
        agreement = self._agreements.get(agreement_id)
        if agreement is None:
            return
        if ended(agreement, self._clock()):
            await self.end(agreement)
        else:
            await self._narrow(agreement)

    async def end(self, agreement: Agreement) -> None:
        """Take back: messages leave the stream, copies leave the lists, the subscription ends. Safe to repeat."""
        async with self._lock, self._store.work(self._scope) as work:
            copies = await work.shared_under(agreement.agreement_id)
            subscriptions = [item for item in await work.subscriptions() if item.agreement_id == agreement.agreement_id]
            await self._take_back(work, agreement.agreement_id, copies, None)
            for subscription in subscriptions:
                await work.delete_subscription(subscription)
            if copies or subscriptions:
                await self._access.record(_withdrawn(self._scope, agreement, copies))
        if copies or subscriptions:
            _LOG.info("agreement ended, %d copies taken back", len(copies))

    async def unsubscribed(self, subscription: pb.Subscription) -> None:
        """The grantee wants no more: its copies go."""
        async with self._lock, self._store.work(self._scope) as work:
            await self._take_back(work, subscription.agreement_id, await work.shared_under(subscription.agreement_id), None)

    async def sweep(self) -> None:
        """What time alone ends, and what another instance shared in the very moment of a revocation."""
        async with self._store.work(self._scope) as work:
            in_use = await work.agreements_in_use()
            await work.forget_older(self._clock() - _STREAM_AGE)
        for agreement_id in in_use:
            agreement = self._agreements.get(agreement_id)
            # an agreement that the directory doesn't know grants nothing, but only a known end deletes
            if agreement is not None and ended(agreement, self._clock()):
                await self.end(agreement)
        await self.send_waiting()

    async def _write(self, wanted: Sequence[list[Share]]) -> int:
        now, drafts = self._clock(), []
        async with self._store.work(self._scope) as work:
            known = await work.shared({options[0].key for options in wanted})
            for options in wanted:
                copy = next_copy(options, known.get(options[0].key), now)
                if copy is not None:
                    await self._put(work, copy)
                    known[options[0].key] = copy
                    drafts.append(_dissemination(self._scope, copy))
            if drafts:
                await self._access.record_many(drafts)
        return len(drafts)

    async def _narrow(self, agreement: Agreement) -> None:
        now = self._clock()
        async with self._lock:
            async with self._store.work(self._scope) as work:
                for before in await work.shared_under(agreement.agreement_id):
                    after = narrowed_copy(before, agreement, now)
                    if after is before:
                        continue
                    await self._take_back(work, agreement.agreement_id, [before] if after is None else [], [before.alert.alert_id])
                    if after is not None:
                        await self._put(work, after, f"terms {agreement.revision}")
            await self._send_waiting()

    async def _put(self, work: Work, copy: pb.SharedAlert, again: str = "") -> None:
        # the same revision again after a narrowing, or after unsubscribing and subscribing, is another message
        subscription = self._subscriptions.get(derived_id("subscription", copy.agreement_id))
        since = str(subscription.created_at.ToMicroseconds()) if subscription is not None else ""
        revision = str(copy.alert.revision)
        await work.put_shared(
            copy, derived_id("shared", copy.agreement_id, copy.grantee_agency_id, copy.alert.alert_id, revision, since, again)
        )

    async def _take_back(self, work: Work, agreement_id: str, copies: Sequence[pb.SharedAlert], alert_ids: Collection[str] | None) -> None:
        # erased in the stream first: a crash in between leaves the rows, and the next sweep does it again
        await self._stream.delete(await work.sent_sequences(agreement_id, alert_ids))
        await work.forget_deliveries(agreement_id, alert_ids)
        COPIES.labels("taken_back").inc(len(copies))
        for copy in copies:
            await work.delete_shared(copy)

    async def _send_waiting(self) -> None:
        while True:
            async with self._store.work(self._scope) as work:
                messages = await work.waiting(_BATCH)
                if not messages:
                    return
                sequences = await self._stream.publish(messages)
                COPIES.labels("sent").inc(len(messages))
                await work.set_sent([(message.number, sequence) for message, sequence in zip(messages, sequences, strict=True)])
            if len(messages) < _BATCH:
                return


def _withdrawn(scope: Scope, agreement: Agreement, copies: Sequence[pb.SharedAlert]) -> AuditDraft:
    return AuditDraft(
        action="shared_alert.withdraw",
        place="exchange",
        outcome=Outcome.ALLOWED,
        scope=scope,
        reason="the agreement ended: its copies and messages are deleted",
        object_ids=(f"agreement:{agreement.agreement_id}", *(f"alert:{copy.alert.alert_id}" for copy in copies)),
        owner_agency_id=agreement.grantor_agency_id,
        told_agency_ids=frozenset({agreement.grantee_agency_id}),
        agreement_id=agreement.agreement_id,
    )


def _dissemination(scope: Scope, copy: pb.SharedAlert) -> AuditDraft:
    return AuditDraft(
        action="alert.share",
        place="exchange",
        outcome=Outcome.ALLOWED,
        scope=scope,
        reason=f"revision {copy.alert.revision} to {copy.grantee_agency_id}",
        object_ids=(f"alert:{copy.alert.alert_id}",),
        owner_agency_id=copy.alert.agency_id,
        told_agency_ids=frozenset({copy.grantee_agency_id}),
        agreement_id=copy.agreement_id,
    )
