"""Alerts in PostgreSQL: each change and its message leave in one transaction."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting import escalation
from rtcc_alerting.engine import Group, Outcome, Standing, Trigger
from rtcc_alerting.messages import state_of
from rtcc_alerting.rules import WantedEntry
from rtcc_alerting.timers import escalation_timer
from rtcc_chassis.bus import Outgoing
from rtcc_chassis.database import Database
from rtcc_chassis.outbox import Outbox, columns_of, frozen_message
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import alert_subject

# how far back an open alert may lie that an event of another kind joins
_NEAR_LOOK_BACK = timedelta(minutes=15)
_NEAR_MOST = 200


class AlertStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    @asynccontextmanager
    async def batch(self, scope: Scope) -> AsyncIterator["AlertBatch"]:
        async with self._database.transaction(scope) as connection:
            yield AlertBatch(connection, self._outbox)

    async def entries(self, scope: Scope, entry_numbers: Sequence[int], now: datetime) -> dict[int, WantedEntry]:
        """Those that are enabled and not expired, in one round trip."""
        async with self._database.statement(scope) as connection:
            rows = await connection.fetch("select * from wanted_entries($1, $2, $3)", scope.agency_id, list(entry_numbers), now)
        return {row["entry_number"]: WantedEntry(**dict(row)) for row in rows}

    async def raise_fresh(self, scope: Scope, alerts: Sequence[tuple[Trigger, pb.Alert]]) -> tuple[set[str], set[str]]:
        """(event ids that are done, alert ids raised), in one round trip and one commit; see the migration that makes the function."""
        messages = [(alert.alert_id, frozen_message(message)) for _, alert in alerts for message in _messages_of(alert)]
        triggers = [trigger for trigger, _ in alerts]
        drafts = [alert for _, alert in alerts]
        async with self._database.statement(scope) as connection:
            rows = await connection.fetch(
                "select * from raise_fresh($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
                scope.agency_id,
                _lock_keys(triggers),
                [trigger.event.event_id for trigger in triggers],
                [trigger.event.agency_id for trigger in triggers],
                [trigger.group_key for trigger in triggers],
                [alert.alert_id for alert in drafts],
                [alert.kind for alert in drafts],
                [alert.severity for alert in drafts],
                [alert.raised_at.ToDatetime(UTC) for alert in drafts],
                [escalation.next_at(alert) for alert in drafts],
                [alert.SerializeToString() for alert in drafts],
                [alert_id for alert_id, _ in messages],
                *columns_of([message for _, message in messages]),
            )
        # `told` rows come in the order of the table's sequence
        sequences = {row["message_id"]: row["sequence"] for row in rows if row["message_id"]}
        told = [(sequences[m.message_id], m) for _, m in messages if m.message_id in sequences]
        self._outbox.committed(sorted(told, key=lambda pair: pair[0]))
        return {row["event_id"] for row in rows if row["event_id"]}, {row["alert_id"] for row in rows if row["alert_id"]}

    async def list_alerts(self, scope: Scope, *, include_closed: bool, limit: int) -> list[pb.Alert]:
        """Open ones by severity, newest first; with closed ones, by time."""
        if include_closed:
            query = "select body from alert where agency_id = $1 order by raised_at desc limit $2"
        else:
            query = "select body from alert where agency_id = $1 and state <> 'closed' order by severity, raised_at desc limit $2"
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(query, scope.agency_id, limit)
        return [pb.Alert.FromString(row["body"]) for row in rows]

    async def get_alert(self, scope: Scope, alert_id: str) -> pb.Alert | None:
        async with self._database.transaction(scope) as connection:
            body = await connection.fetchval("select body from alert where alert_id = $1", alert_id)
        return None if body is None else pb.Alert.FromString(body)

    async def change_alert(self, scope: Scope, alert_id: str, change: Callable[[pb.Alert], bool]) -> pb.Alert | None:
        """Apply `change` to the stored alert while nobody else can; it answers whether there is anything to write.

        The row is locked: of two people at the same moment one is first, and the other's `change` sees what the first did.
        """
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("select body, group_key from alert where alert_id = $1 for update", alert_id)
            if row is None:
                return None
            alert = pb.Alert.FromString(row["body"])
            if change(alert):
                await AlertBatch(connection, self._outbox).update([alert])
            return alert

    async def due_escalations(self, scope: Scope, now: datetime, limit: int) -> list[str]:
        """The ids of alerts whose next level is due, the longest due first."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select alert_id from alert where escalate_at <= $1 order by escalate_at limit $2", now, limit)
        return [row["alert_id"] for row in rows]

    async def forget_handled_events(self, scope: Scope, now: datetime, older_than: timedelta) -> None:
        """Those that the stream can't deliver again."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("delete from handled_event where handled_at < $1", now - older_than)


class AlertBatch:
    """Statements of one transaction; each handles the whole batch."""

    def __init__(self, connection: Any, outbox: Outbox) -> None:
        self._connection = connection
        self._outbox = outbox

    async def lock_groups(self, triggers: Sequence[Trigger]) -> None:
        await self._connection.execute("select pg_advisory_xact_lock(key) from unnest($1::bigint[]) as key", _lock_keys(triggers))

    async def claim(self, triggers: Sequence[Trigger]) -> set[str]:
        rows = await self._connection.fetch(
            """insert into handled_event (event_id, agency_id, group_key, closes)
               select * from unnest($1::text[], $2::text[], $3::text[], $4::boolean[])
               on conflict (event_id) do nothing returning event_id""",
            [trigger.event.event_id for trigger in triggers],
            [trigger.event.agency_id for trigger in triggers],
            [trigger.group_key for trigger in triggers],
            [trigger.final for trigger in triggers],
        )
        return {row["event_id"] for row in rows}

    async def standing(self, triggers: Sequence[Trigger], now: datetime) -> Standing:
        findings = [trigger for trigger in triggers if trigger.finding is not None]
        near = [trigger for trigger in triggers if trigger.near is not None]
        newest = await self._newest_of_groups(triggers)
        neighbours = await self._near(near, now) if near else {}
        if near:
            newest |= await self._told_by_another(near)
        # one object an alert, whichever way it was found: a change of it must not be lost beside an older picture
        known = {alert.alert_id: alert for alert in newest.values()}
        return Standing(
            {group: known[alert.alert_id] for group, alert in newest.items()},
            await self._closed_groups(findings) if findings else set(),
            {agency_id: [known.setdefault(alert.alert_id, alert) for alert in alerts] for agency_id, alerts in neighbours.items()},
        )

    async def _newest_of_groups(self, triggers: Sequence[Trigger]) -> dict[Group, pb.Alert]:
        agencies, groups = _groups(triggers)
        rows = await self._connection.fetch(
            """select w.agency_id, w.group_key, a.body from unnest($1::text[], $2::text[]) as w(agency_id, group_key)
               cross join lateral (select body from alert where alert.agency_id = w.agency_id and alert.group_key = w.group_key
                                   order by raised_at desc limit 1 for update) a""",
            agencies,
            groups,
        )
        return {(row["agency_id"], row["group_key"]): pb.Alert.FromString(row["body"]) for row in rows}

    async def _told_by_another(self, triggers: Sequence[Trigger]) -> dict[Group, pb.Alert]:
        agencies, groups = _groups(triggers)
        rows = await self._connection.fetch(
            """select w.agency_id, w.group_key, a.body from unnest($1::text[], $2::text[]) as w(agency_id, group_key)
               join alert_alias using (agency_id, group_key)
               cross join lateral (select body from alert where alert.alert_id = alert_alias.alert_id for update) a""",
            agencies,
            groups,
        )
        return {(row["agency_id"], row["group_key"]): pb.Alert.FromString(row["body"]) for row in rows}

    async def _near(self, triggers: Sequence[Trigger], now: datetime) -> dict[str, list[pb.Alert]]:
        kinds = {kind for trigger in triggers if trigger.near for kind in trigger.near.kinds}
        rows = await self._connection.fetch(
            """select agency_id, body from alert
               where agency_id = any($1::text[]) and kind = any($2::text[]) and state <> 'closed' and raised_at > $3
               order by raised_at desc limit $4 for update""",
            sorted({trigger.event.agency_id for trigger in triggers}),
            sorted(kinds),
            now - _NEAR_LOOK_BACK,
            _NEAR_MOST,
        )
        found: dict[str, list[pb.Alert]] = {}
        for row in rows:
            found.setdefault(row["agency_id"], []).append(pb.Alert.FromString(row["body"]))
        return found

    async def _closed_groups(self, triggers: Sequence[Trigger]) -> set[Group]:
        agencies, groups = _groups(triggers)
        rows = await self._connection.fetch(
            """select h.agency_id, h.group_key from handled_event h
               join unnest($1::text[], $2::text[]) as w(agency_id, group_key) using (agency_id, group_key) where h.closes""",
            agencies,
            groups,
        )
        return {(row["agency_id"], row["group_key"]) for row in rows}

    async def save(self, outcome: Outcome) -> None:
        new = await self.insert(list(outcome.new.values()), outcome.group_of)
        await self.update(list(outcome.changed.values()))
        if outcome.aliases:
            await self._connection.execute(
                """insert into alert_alias (agency_id, group_key, alert_id) select * from unnest($1::text[], $2::text[], $3::text[])
                   on conflict (agency_id, group_key) do update set alert_id = excluded.alert_id""",
                [agency_id for agency_id, _ in outcome.aliases],
                [group_key for _, group_key in outcome.aliases],
                list(outcome.aliases.values()),
            )
        await self._publish(new)

    async def insert(self, alerts: Sequence[pb.Alert], group_of: dict[str, str]) -> list[pb.Alert]:
        """The answer is those that were not there before."""
        if not alerts:
            return []
        rows = await self._connection.fetch(
            """insert into alert (alert_id, agency_id, kind, group_key, state, severity, revision, raised_at, escalate_at, body)
               select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::integer[],
                                    $8::timestamptz[], $9::timestamptz[], $10::bytea[])
               on conflict (alert_id) do nothing returning alert_id""",
            [alert.alert_id for alert in alerts],
            [alert.agency_id for alert in alerts],
            [alert.kind for alert in alerts],
            [group_of[alert.alert_id] for alert in alerts],
            [state_of(alert).value for alert in alerts],
            [alert.severity for alert in alerts],
            [alert.revision for alert in alerts],
            [alert.raised_at.ToDatetime(UTC) for alert in alerts],
            [escalation.next_at(alert) for alert in alerts],
            [alert.SerializeToString() for alert in alerts],
        )
        inserted = {row["alert_id"] for row in rows}
        return [alert for alert in alerts if alert.alert_id in inserted]

    async def update(self, alerts: Sequence[pb.Alert]) -> None:
        """Write and publish changed alerts whose rows this transaction has locked."""
        if not alerts:
            return
        await self._connection.execute(
            """update alert set kind = n.kind, state = n.state, severity = n.severity, revision = n.revision, escalate_at = n.escalate_at,
                                body = n.body
               from unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::integer[], $6::timestamptz[], $7::bytea[])
                    as n(alert_id, kind, state, severity, revision, escalate_at, body)
               where alert.alert_id = n.alert_id""",
            [alert.alert_id for alert in alerts],
            [alert.kind for alert in alerts],
            [state_of(alert).value for alert in alerts],
            [alert.severity for alert in alerts],
            [alert.revision for alert in alerts],
            [escalation.next_at(alert) for alert in alerts],
            [alert.SerializeToString() for alert in alerts],
        )
        await self._publish(alerts)

    async def _publish(self, alerts: Sequence[pb.Alert]) -> None:
        if alerts:
            await self._outbox.add_many(self._connection, [message for alert in alerts for message in _messages_of(alert)])

    async def raise_once(self, alert: pb.Alert, group_key: str) -> bool:
        """A single alert outside of the event path; False: it was there already."""
        new = await self.insert([alert], {alert.alert_id: group_key})
        await self._publish(new)
        return bool(new)

    async def open_of_group(self, agency_id: str, group_key: str) -> list[pb.Alert]:
        rows = await self._connection.fetch(
            "select body from alert where agency_id = $1 and group_key = $2 and state <> 'closed' for update", agency_id, group_key
        )
        return [pb.Alert.FromString(row["body"]) for row in rows]


def _messages_of(alert: pb.Alert) -> list[Outgoing]:
    """What a change is told by: the alert itself, and the timer of its next escalation."""
    timer = escalation_timer(alert)
    told = Outgoing(alert_subject(alert.agency_id), alert, f"{alert.alert_id}:{alert.revision}", alert.agency_id)
    return [told] if timer is None else [told, timer]


def _groups(triggers: Sequence[Trigger]) -> tuple[list[str], list[str]]:
    groups = sorted({trigger.group for trigger in triggers})
    return [agency_id for agency_id, _ in groups], [group_key for _, group_key in groups]


def _lock_keys(triggers: Sequence[Trigger]) -> list[int]:
    """Sorted: two instances that want the same groups wait for each other in one order, so never for ever. Events that may join another
    group's alert take turns by agency."""
    keys = {_lock_key(*trigger.group) for trigger in triggers}
    keys |= {_lock_key(trigger.event.agency_id, "near") for trigger in triggers if trigger.near is not None}
    return sorted(keys)


def _lock_key(agency_id: str, group_key: str) -> int:
    digest = hashlib.blake2b(f"{agency_id}\x1f{group_key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
