"""Contacts, servers and deliveries in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_alerting.notification import DeliveryState
from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope

_COLUMNS = """d.delivery_id, d.agency_id, d.alert_id, d.contact_id, d.reason, d.severity, d.state, d.attempts, d.last_error, d.receipt,
              d.created_at, d.next_attempt_at, d.sent_at, d.digest_id, c.body as contact"""
_STATES = {
    "waiting": pb.DELIVERY_STATE_WAITING,
    "sent": pb.DELIVERY_STATE_SENT,
    "failed": pb.DELIVERY_STATE_FAILED,
    "held": pb.DELIVERY_STATE_HELD,
    "cancelled": pb.DELIVERY_STATE_CANCELLED,
}


@dataclass(frozen=True, slots=True)
class NewDelivery:
    delivery_id: str
    agency_id: str
    alert_id: str
    contact_id: str
    reason: str
    severity: int


@dataclass(frozen=True, slots=True)
class Task:
    """A delivery that this process tries now, with what it needs for it."""

    delivery_id: str
    agency_id: str
    alert_id: str
    reason: str
    severity: int
    state: DeliveryState
    attempts: int
    contact: pb.Contact
    removed: bool
    sealed_secret: bytes | None
    alert: pb.Alert | None


@dataclass(frozen=True, slots=True)
class Servers:
    """An agency's settings with its sealed secrets."""

    settings: pb.NotificationSettings
    smtp_password: bytes | None = None
    sms_token: bytes | None = None


class NotificationStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- contacts ------------------------------------------------------------------------------------------------------

    async def get_contact(self, scope: Scope, contact_id: str) -> pb.Contact | None:
        async with self._database.transaction(scope) as connection:
            body = await connection.fetchval("select body from contact where contact_id = $1 and not removed", contact_id)
        return None if body is None else pb.Contact.FromString(body)

    async def contacts(self, scope: Scope) -> list[pb.Contact]:
        """Of the scope's agency; the platform's own scope: of all."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select body from contact where not removed")
        return sorted((pb.Contact.FromString(row["body"]) for row in rows), key=lambda contact: (contact.name, contact.contact_id))

    async def version(self, scope: Scope) -> tuple[int, int]:
        """What changes whenever a contact does."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("select count(*) as contacts, coalesce(sum(revision), 0)::bigint as revisions from contact")
        return row["contacts"], row["revisions"]

    async def put_contact(self, scope: Scope, contact: pb.Contact, sealed_secret: bytes | None) -> None:
        """`sealed_secret` None: as it was. Another agency's id changes nothing (row-level security), and the caller has looked before."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                """insert into contact (contact_id, agency_id, body, secret) values ($1, $2, $3, $4)
                   on conflict (contact_id) do update set body = excluded.body, secret = coalesce(excluded.secret, contact.secret),
                       revision = contact.revision + 1, removed = false""",
                contact.contact_id,
                contact.agency_id,
                contact.SerializeToString(),
                sealed_secret,
            )

    async def remove_contact(self, scope: Scope, contact_id: str) -> pb.Contact | None:
        """With its secret; what waits for it is cancelled."""
        async with self._database.transaction(scope) as connection:
            body = await connection.fetchval(
                """update contact set removed = true, secret = null, revision = revision + 1
                   where contact_id = $1 and not removed returning body""",
                contact_id,
            )
            if body is not None:
                await connection.execute(
                    "update delivery set state = 'cancelled' where contact_id = $1 and state in ('waiting', 'held')", contact_id
                )
        return None if body is None else pb.Contact.FromString(body)

    # -- servers -------------------------------------------------------------------------------------------------------

    async def servers(self, scope: Scope, agency_id: str) -> Servers:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                "select body, smtp_password, sms_token from notification_settings where agency_id = $1", agency_id
            )
        if row is None:
            return Servers(pb.NotificationSettings())
        return Servers(pb.NotificationSettings.FromString(row["body"]), row["smtp_password"], row["sms_token"])

    async def put_servers(self, scope: Scope, servers: Servers) -> None:
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                """insert into notification_settings (agency_id, body, smtp_password, sms_token) values ($1, $2, $3, $4)
                   on conflict (agency_id) do update set body = excluded.body, smtp_password = excluded.smtp_password,
                       sms_token = excluded.sms_token""",
                scope.agency_id,
                servers.settings.SerializeToString(),
                servers.smtp_password,
                servers.sms_token,
            )

    # -- deliveries ----------------------------------------------------------------------------------------------------

    async def add(self, scope: Scope, deliveries: Sequence[NewDelivery], now: datetime) -> int:
        """Each once per alert, contact and reason; the answer is how many are new."""
        if not deliveries:
            return 0
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """insert into delivery (delivery_id, agency_id, alert_id, contact_id, reason, severity, state, created_at, next_attempt_at)
                   select *, 'waiting', $7::timestamptz, $7::timestamptz
                   from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[])
                   on conflict do nothing returning delivery_id""",
                [delivery.delivery_id for delivery in deliveries],
                [delivery.agency_id for delivery in deliveries],
                [delivery.alert_id for delivery in deliveries],
                [delivery.contact_id for delivery in deliveries],
                [delivery.reason for delivery in deliveries],
                [delivery.severity for delivery in deliveries],
                now,
            )
        return len(rows)

    async def claim(self, scope: Scope, now: datetime, lease: timedelta, limit: int) -> list[Task]:
        """What is due, ours for `lease`: an instance that dies in it leaves the rest to another. Most urgent first."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """with due as (
                       select delivery_id from delivery where state in ('waiting', 'held') and next_attempt_at <= $1
                       order by severity, next_attempt_at limit $3 for update skip locked),
                   taken as (
                       update delivery d set next_attempt_at = $2 from due where d.delivery_id = due.delivery_id returning d.*)
                   select t.delivery_id, t.agency_id, t.alert_id, t.reason, t.severity, t.state, t.attempts, c.body as contact, c.removed,
                          c.secret, a.body as alert
                   from taken t join contact c using (contact_id) left join alert a on a.alert_id = t.alert_id
                   order by t.severity, t.created_at""",
                now,
                now + lease,
                limit,
            )
        return [_task(row) for row in rows]

    async def claim_held(self, scope: Scope, contact_id: str, now: datetime, lease: timedelta, limit: int) -> list[Task]:
        """What else of a contact's digest is due: one `claim` takes only so many."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """with due as (
                       select delivery_id from delivery where contact_id = $1 and state = 'held' and next_attempt_at <= $2
                       order by created_at limit $4 for update skip locked),
                   taken as (
                       update delivery d set next_attempt_at = $3 from due where d.delivery_id = due.delivery_id returning d.*)
                   select t.delivery_id, t.agency_id, t.alert_id, t.reason, t.severity, t.state, t.attempts, c.body as contact, c.removed,
                          c.secret, a.body as alert
                   from taken t join contact c using (contact_id) left join alert a on a.alert_id = t.alert_id""",
                contact_id,
                now,
                now + lease,
                limit,
            )
        return [_task(row) for row in rows]

    async def sent_since(self, scope: Scope, contact_id: str, since: datetime) -> int:
        """Messages, a digest counted once."""
        async with self._database.transaction(scope) as connection:
            count = await connection.fetchval(
                """select count(distinct coalesce(nullif(digest_id, ''), delivery_id)) from delivery
                   where contact_id = $1 and state = 'sent' and sent_at > $2""",
                contact_id,
                since,
            )
        return int(count)

    async def oldest_held(self, scope: Scope, contact_id: str) -> datetime | None:
        """When the digest that collects now is due."""
        async with self._database.transaction(scope) as connection:
            due: datetime | None = await connection.fetchval(
                "select min(next_attempt_at) from delivery where contact_id = $1 and state = 'held'", contact_id
            )
        return due

    async def settle(
        self, scope: Scope, delivery_ids: Sequence[str], state: DeliveryState, *, at: datetime, next_attempt_at: datetime, tried: bool,
        last_error: str = "", receipt: str = "", digest_id: str = "",
    ) -> None:  # fmt: skip
        """What became of a try."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                """update delivery set state = $2, attempts = attempts + $3, last_error = $4, receipt = $5, next_attempt_at = $6,
                       sent_at = case when $2 = 'sent' then $7::timestamptz end, digest_id = $8
                   where delivery_id = any($1::text[]) and state <> 'cancelled'""",
                list(delivery_ids),
                state.value,
                int(tried),
                last_error[:500],
                receipt[:200],
                next_attempt_at,
                at,
                digest_id,
            )

    async def deliveries(self, scope: Scope, *, alert_id: str, failed_only: bool, limit: int) -> list[pb.NotificationDelivery]:
        """Newest first."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                f"""select {_COLUMNS} from delivery d join contact c using (contact_id)
                    where d.agency_id = $1 and ($2 = '' or d.alert_id = $2) and (not $3 or d.state = 'failed')
                    order by d.created_at desc, d.delivery_id limit $4""",
                scope.agency_id,
                alert_id,
                failed_only,
                limit,
            )
        return [_delivery(row) for row in rows]

    async def get_delivery(self, scope: Scope, delivery_id: str) -> pb.NotificationDelivery | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                f"select {_COLUMNS} from delivery d join contact c using (contact_id) where d.delivery_id = $1", delivery_id
            )
        return None if row is None else _delivery(row)

    async def retry(self, scope: Scope, delivery_id: str, now: datetime) -> bool:
        """False: it is not one that was given up, or its contact is gone."""
        async with self._database.transaction(scope) as connection:
            done = await connection.fetchval(
                """update delivery d set state = 'waiting', attempts = 0, next_attempt_at = $2 from contact c
                   where d.delivery_id = $1 and d.state = 'failed' and c.contact_id = d.contact_id and not c.removed
                   returning d.delivery_id""",
                delivery_id,
                now,
            )
        return done is not None

    async def forget(self, scope: Scope, before: datetime) -> None:
        """Deliveries that are over, and contacts that nothing names any more."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("delete from delivery where created_at < $1 and state not in ('waiting', 'held')", before)
            await connection.execute(
                "delete from contact c where removed and not exists (select from delivery d where d.contact_id = c.contact_id)"
            )


def _task(row: Any) -> Task:
    return Task(
        delivery_id=row["delivery_id"],
        agency_id=row["agency_id"],
        alert_id=row["alert_id"],
        reason=row["reason"],
        severity=row["severity"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        contact=pb.Contact.FromString(row["contact"]),
        removed=row["removed"],
        sealed_secret=row["secret"],
        alert=None if row["alert"] is None else pb.Alert.FromString(row["alert"]),
    )


def _delivery(row: Any) -> pb.NotificationDelivery:
    contact = pb.Contact.FromString(row["contact"])
    delivery = pb.NotificationDelivery(
        delivery_id=row["delivery_id"],
        alert_id=row["alert_id"],
        contact_id=row["contact_id"],
        contact_name=contact.name,
        channel=contact.channel,
        reason=row["reason"],
        state=_STATES[row["state"]],
        attempts=row["attempts"],
        last_error=row["last_error"],
        receipt=row["receipt"],
        in_digest=bool(row["digest_id"]),
    )
    delivery.created_at.FromDatetime(row["created_at"].astimezone(UTC))
    if row["state"] in ("waiting", "held"):
        delivery.next_attempt_at.FromDatetime(row["next_attempt_at"].astimezone(UTC))
    if row["sent_at"] is not None:
        delivery.sent_at.FromDatetime(row["sent_at"].astimezone(UTC))
    return delivery
