"""Alerts in PostgreSQL: each change and its message leave in one transaction."""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting.engine import Outcome, Trigger
from rtcc_alerting.messages import state_of
from rtcc_alerting.rules import WantedEntry
from rtcc_chassis.bus import Outgoing
from rtcc_chassis.database import Database
from rtcc_chassis.outbox import Outbox
from rtcc_chassis.scope import Scope
from rtcc_chassis.streams import alert_subject


class AlertStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    @asynccontextmanager
    async def batch(self, scope: Scope) -> AsyncIterator["AlertBatch"]:
        async with self._database.transaction(scope) as connection:
            yield AlertBatch(connection, self._outbox)

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

    async def forget_handled_events(self, scope: Scope, now: datetime, older_than: timedelta) -> None:
        """Those that the stream can't deliver again."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("delete from handled_event where handled_at < $1", now - older_than)


class AlertBatch:
    """Statements of one transaction; each handles the whole batch."""

    def __init__(self, connection: Any, outbox: Outbox) -> None:
        self._connection = connection
        self._outbox = outbox

    async def entries(self, entry_numbers: Sequence[int], now: datetime) -> dict[int, WantedEntry]:
        rows = await self._connection.fetch(
            """select e.entry_number, e.entry_id, e.agency_id, e.hot_list_id, l.name as hot_list_name, l.severity, e.plate, e.state,
                      e.reason, e.entry_source, e.entered_at, e.expires_at
               from hot_list_entry e join hot_list l using (hot_list_id)
               where e.entry_number = any($1::bigint[]) and l.enabled and (e.expires_at is null or e.expires_at > $2)""",
            list(entry_numbers),
            now,
        )
        return {row["entry_number"]: WantedEntry(**dict(row)) for row in rows}

    async def lock_groups(self, triggers: Sequence[Trigger]) -> None:
        # sorted: two instances that want the same groups wait for each other in one order, so never for ever
        keys = sorted({_lock_key(trigger.event.agency_id, trigger.group_key) for trigger in triggers})
        await self._connection.execute("select pg_advisory_xact_lock(key) from unnest($1::bigint[]) as key", keys)

    async def claim(self, triggers: Sequence[Trigger]) -> set[str]:
        rows = await self._connection.fetch(
            """insert into handled_event (event_id, agency_id, group_key, closes)
               select * from unnest($1::text[], $2::text[], $3::text[], $4::boolean[])
               on conflict (event_id) do nothing returning event_id""",
            [trigger.event.event_id for trigger in triggers],
            [trigger.event.agency_id for trigger in triggers],
            [trigger.group_key for trigger in triggers],
            [trigger.closes for trigger in triggers],
        )
        return {row["event_id"] for row in rows}

    async def newest_of_groups(self, triggers: Sequence[Trigger]) -> dict[tuple[str, str], pb.Alert]:
        agencies, groups = _groups(triggers)
        rows = await self._connection.fetch(
            """select w.agency_id, w.group_key, a.body from unnest($1::text[], $2::text[]) as w(agency_id, group_key)
               cross join lateral (select body from alert where alert.agency_id = w.agency_id and alert.group_key = w.group_key
                                   order by raised_at desc limit 1 for update) a""",
            agencies,
            groups,
        )
        return {(row["agency_id"], row["group_key"]): pb.Alert.FromString(row["body"]) for row in rows}

    async def closed_groups(self, triggers: Sequence[Trigger]) -> set[tuple[str, str]]:
        agencies, groups = _groups([trigger for trigger in triggers if trigger.match is None])
        if not groups:
            return set()
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
        await self._publish(new)

    async def insert(self, alerts: Sequence[pb.Alert], group_of: dict[str, str]) -> list[pb.Alert]:
        """The answer is those that were not there before."""
        if not alerts:
            return []
        rows = await self._connection.fetch(
            """insert into alert (alert_id, agency_id, kind, group_key, state, severity, revision, raised_at, body)
               select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::integer[],
                                    $8::timestamptz[], $9::bytea[])
               on conflict (alert_id) do nothing returning alert_id""",
            [alert.alert_id for alert in alerts],
            [alert.agency_id for alert in alerts],
            [alert.kind for alert in alerts],
            [group_of[alert.alert_id] for alert in alerts],
            [state_of(alert).value for alert in alerts],
            [alert.severity for alert in alerts],
            [alert.revision for alert in alerts],
            [alert.raised_at.ToDatetime(UTC) for alert in alerts],
            [alert.SerializeToString() for alert in alerts],
        )
        inserted = {row["alert_id"] for row in rows}
        return [alert for alert in alerts if alert.alert_id in inserted]

    async def update(self, alerts: Sequence[pb.Alert]) -> None:
        """Write and publish changed alerts whose rows this transaction has locked."""
        if not alerts:
            return
        await self._connection.execute(
            """update alert set state = n.state, severity = n.severity, revision = n.revision, body = n.body
               from unnest($1::text[], $2::text[], $3::smallint[], $4::integer[], $5::bytea[])
                    as n(alert_id, state, severity, revision, body)
               where alert.alert_id = n.alert_id""",
            [alert.alert_id for alert in alerts],
            [state_of(alert).value for alert in alerts],
            [alert.severity for alert in alerts],
            [alert.revision for alert in alerts],
            [alert.SerializeToString() for alert in alerts],
        )
        await self._publish(alerts)

    async def _publish(self, alerts: Sequence[pb.Alert]) -> None:
        if alerts:
            await self._outbox.add_many(
                self._connection,
                [
                    Outgoing(alert_subject(alert.agency_id), alert, f"{alert.alert_id}:{alert.revision}", alert.agency_id)
                    for alert in alerts
                ],
            )

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


def _groups(triggers: Sequence[Trigger]) -> tuple[list[str], list[str]]:
    groups = sorted({(trigger.event.agency_id, trigger.group_key) for trigger in triggers})
    return [agency_id for agency_id, _ in groups], [group_key for _, group_key in groups]


def _lock_key(agency_id: str, group_key: str) -> int:
    digest = hashlib.blake2b(f"{agency_id}\x1f{group_key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
