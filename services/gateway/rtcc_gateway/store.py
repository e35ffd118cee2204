"""The gateway's tables. Before sign-in the agency isn't known yet, so those steps run in the platform's scope."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_gateway.domain import Session, too_many
from rtcc_gateway.ports import TryAnswer
from rtcc_gateway.records import Account, Challenge, DemoLink, Enrolment, Passkey

_SESSION_COLUMNS = (
    "session_id, person_id, agency_id, method, started_at, fresh_at, active_at, last_seen_at, locked, lock_exempt, "
    "source_address, user_agent"
)


class GatewayStore:
    """SQL next to its method."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- tries (R2) --------------------------------------------------------------------------------------------------

    async def begin_try(self, scope: Scope, login: str, agency_id: str, try_id: str, now: datetime, tries: int, window_s: int) -> TryAnswer:
        """Write a try down before it is checked; "locked" when the login is locked or has no try left."""
        async with self._database.transaction(scope) as connection:
            await _one_at_a_time(connection, login)
            if await connection.fetchval("select 1 from sign_in_lock where login = $1", login):
                return "locked"
            if too_many(await _tries(connection, login, now, window_s), now, tries, window_s):
                return "locked"
            await connection.execute(
                "insert into sign_in_try (try_id, login, agency_id, tried_at) values ($1, $2, $3, $4)", try_id, login, agency_id, now
            )
            return "allowed"

    async def fail_try(self, scope: Scope, login: str, agency_id: str, now: datetime, tries: int, window_s: int) -> TryAnswer:
        """The try was bad; "locked" when it was the last one."""
        async with self._database.transaction(scope) as connection:
            await _one_at_a_time(connection, login)
            if not too_many(await _tries(connection, login, now, window_s), now, tries, window_s):
                return "allowed"
            await connection.execute(
                "insert into sign_in_lock (login, agency_id, locked_at) values ($1, $2, $3) on conflict (login) do nothing",
                login,
                agency_id,
                now,
            )
            return "locked"

    async def forgive_try(self, scope: Scope, try_id: str) -> None:
        """The try was right."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("delete from sign_in_try where try_id = $1", try_id)

    async def forgive_login(self, scope: Scope, login: str) -> None:
        """A whole sign-in was right: earlier bad tries count no more."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("delete from sign_in_try where login = $1", login)

    async def release(self, scope: Scope, login: str) -> bool:
        """Undo the lock; whether there was one."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("delete from sign_in_try where login = $1", login)
            return await connection.fetchval("delete from sign_in_lock where login = $1 returning 1", login) is not None

    # -- challenges --------------------------------------------------------------------------------------------------

    async def add_challenge(self, scope: Scope, token_hash: bytes, challenge: Challenge) -> None:
        """Remember what the next step must match."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                "insert into challenge (token_hash, agency_id, person_id, kind, data, expires_at) values ($1, $2, $3, $4, $5, $6)",
                token_hash, challenge.agency_id, challenge.person_id, challenge.kind, json.dumps(dict(challenge.data)),
                challenge.expires_at,
            )  # fmt: skip

    async def challenge(self, scope: Scope, token_hash: bytes, now: datetime) -> Challenge | None:
        """Look without using it up."""
        async with self._database.transaction(scope) as connection:
            return _challenge(
                await connection.fetchrow("select * from challenge where token_hash = $1 and expires_at > $2", token_hash, now)
            )

    async def take_challenge(self, scope: Scope, token_hash: bytes, now: datetime) -> Challenge | None:
        """Use it up: the second taker gets None."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("delete from challenge where token_hash = $1 and expires_at > $2 returning *", token_hash, now)
            return _challenge(row)

    # -- accounts ----------------------------------------------------------------------------------------------------

    async def account(self, scope: Scope, person_id: str) -> Account | None:
        """A person's proofs; None for one that never enrolled."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("select * from account where person_id = $1", person_id)
            return Account(**row) if row else None

    async def mark_used(self, scope: Scope, person_id: str, now: datetime) -> None:
        """R7 counts from here."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("update account set used_at = $2 where person_id = $1", person_id, now)

    async def set_password(self, scope: Scope, person_id: str, password_hash: str) -> None:
        """Replace the password."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("update account set password_hash = $2 where person_id = $1", person_id, password_hash)

    async def take_totp_step(self, scope: Scope, person_id: str, step: int) -> bool:
        """A code works once: False when its time step was used before."""
        async with self._database.transaction(scope) as connection:
            taken = await connection.fetchval(
                "update account set totp_last_step = $2 where person_id = $1 and totp_last_step < $2 returning 1", person_id, step
            )
            return taken is not None

    async def passkey(self, scope: Scope, credential_id: bytes) -> Passkey | None:
        """One credential."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("select * from passkey where credential_id = $1", credential_id)
            return Passkey(**row) if row else None

    async def passkeys_of(self, scope: Scope, person_id: str) -> Sequence[Passkey]:
        """All credentials of a person."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select * from passkey where person_id = $1 order by created_at", person_id)
            return [Passkey(**row) for row in rows]

    async def use_passkey(self, scope: Scope, credential_id: bytes, sign_count: int, now: datetime) -> None:
        """Remember the authenticator's counter."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                "update passkey set sign_count = $2, used_at = $3 where credential_id = $1", credential_id, sign_count, now
            )

    # -- enrolment and demo links ------------------------------------------------------------------------------------

    async def create_enrolment(self, scope: Scope, enrolment: Enrolment) -> None:
        """A new link ends the earlier ones of the person."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("delete from enrolment where person_id = $1", enrolment.person_id)
            await connection.execute(
                "insert into enrolment (token_hash, person_id, agency_id, totp_sealed, created_at, expires_at)"
                " values ($1, $2, $3, $4, $5, $6)",
                enrolment.token_hash, enrolment.person_id, enrolment.agency_id, enrolment.totp_sealed, enrolment.created_at,
                enrolment.expires_at,
            )  # fmt: skip

    async def enrolment(self, scope: Scope, token_hash: bytes, now: datetime) -> Enrolment | None:
        """An open link."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("select * from enrolment where token_hash = $1 and expires_at > $2", token_hash, now)
            return Enrolment(**row) if row else None

    async def count_bad_code(self, scope: Scope, token_hash: bytes, limit: int) -> None:
        """A link dies of too many wrong codes."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("update enrolment set bad_codes = bad_codes + 1 where token_hash = $1", token_hash)
            await connection.execute("delete from enrolment where token_hash = $1 and bad_codes >= $2", token_hash, limit)

    async def complete_enrolment(self, scope: Scope, token_hash: bytes, account: Account, passkey: Passkey | None) -> bool:
        """Use the link up and replace the person's proofs, in one transaction; False when somebody else used it first."""
        async with self._database.transaction(scope) as connection:
            if await connection.fetchval("delete from enrolment where token_hash = $1 returning 1", token_hash) is None:
                return False
            await connection.execute("delete from passkey where person_id = $1", account.person_id)
            await connection.execute("delete from account where person_id = $1", account.person_id)
            await connection.execute(
                "insert into account (person_id, agency_id, password_hash, totp_sealed, totp_last_step, created_at, used_at)"
                " values ($1, $2, $3, $4, $5, $6, $7)",
                account.person_id, account.agency_id, account.password_hash, account.totp_sealed, account.totp_last_step,
                account.created_at, account.used_at,
            )  # fmt: skip
            if passkey is not None:
                await connection.execute(
                    "insert into passkey (credential_id, person_id, agency_id, public_key, sign_count, name, created_at, used_at)"
                    " values ($1, $2, $3, $4, $5, $6, $7, $8)",
                    passkey.credential_id, passkey.person_id, passkey.agency_id, passkey.public_key, passkey.sign_count, passkey.name,
                    passkey.created_at, passkey.used_at,
                )  # fmt: skip
            return True

    async def create_demo_link(self, scope: Scope, token_hash: bytes, link: DemoLink) -> None:
        """A one-time sign-in."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                "insert into demo_link (token_hash, person_id, agency_id, next_path, expires_at) values ($1, $2, $3, $4, $5)",
                token_hash, link.person_id, link.agency_id, link.next_path, link.expires_at,
            )  # fmt: skip

    async def take_demo_link(self, scope: Scope, token_hash: bytes, now: datetime) -> DemoLink | None:
        """Use it up."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(
                "delete from demo_link where token_hash = $1 and expires_at > $2 returning person_id, agency_id, next_path, expires_at",
                token_hash, now,
            )  # fmt: skip
            return DemoLink(**row) if row else None

    # -- sessions ----------------------------------------------------------------------------------------------------

    async def add_session(self, scope: Scope, token_hash: bytes, session: Session) -> None:
        """A browser signed in."""
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                f"insert into session (token_hash, {_SESSION_COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
                token_hash, session.session_id, session.person_id, session.agency_id, session.method, session.started_at, session.fresh_at,
                session.active_at, session.last_seen_at, session.locked, session.lock_exempt, session.source_address, session.user_agent,
            )  # fmt: skip

    async def session_by_token(self, scope: Scope, token_hash: bytes) -> Session | None:
        """The session of a cookie."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(f"select {_SESSION_COLUMNS} from session where token_hash = $1", token_hash)
            return Session(**row) if row else None

    async def session(self, scope: Scope, session_id: str) -> Session | None:
        """One session by its public id."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow(f"select {_SESSION_COLUMNS} from session where session_id = $1", session_id)
            return Session(**row) if row else None

    async def update_session(self, scope: Scope, session: Session) -> bool:
        """Store its times and lock; False when it was ended meanwhile."""
        async with self._database.transaction(scope) as connection:
            updated = await connection.fetchval(
                "update session set fresh_at = $2, active_at = $3, last_seen_at = $4, locked = $5 where session_id = $1 returning 1",
                session.session_id, session.fresh_at, session.active_at, session.last_seen_at, session.locked,
            )  # fmt: skip
            return updated is not None

    async def end_session(self, scope: Scope, session_id: str) -> bool:
        """Forget it; whether it was there."""
        async with self._database.transaction(scope) as connection:
            return await connection.fetchval("delete from session where session_id = $1 returning 1", session_id) is not None

    async def sessions_of_person(self, scope: Scope, person_id: str) -> Sequence[Session]:
        """Where a person is signed in."""
        async with self._database.transaction(scope) as connection:
            return [
                Session(**row) for row in await connection.fetch(f"select {_SESSION_COLUMNS} from session where person_id = $1", person_id)
            ]

    async def sessions_of_agency(self, scope: Scope) -> Sequence[Session]:
        """Every session the scope may see, newest first."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(f"select {_SESSION_COLUMNS} from session order by started_at desc limit 1000")
            return [Session(**row) for row in rows]

    async def count_sessions(self, scope: Scope) -> dict[str, int]:
        """Sessions that nobody ended, by agency."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select agency_id, count(*) as sessions from session group by agency_id")
        return {row["agency_id"]: row["sessions"] for row in rows}

    async def purge(self, scope: Scope, now: datetime, session_floor: datetime, try_floor: datetime) -> None:
        """Forget what has expired; locks of logins that nobody has go after a day, so a scan can't fill the table."""
        async with self._database.transaction(scope) as connection:
            await connection.execute("delete from challenge where expires_at <= $1", now)
            await connection.execute("delete from enrolment where expires_at <= $1", now)
            await connection.execute("delete from demo_link where expires_at <= $1", now)
            await connection.execute("delete from session where started_at <= $1", session_floor)
            await connection.execute("delete from sign_in_try where tried_at <= $1", try_floor)
            await connection.execute("delete from sign_in_lock where agency_id = '' and locked_at <= $1", now - timedelta(days=1))


async def _one_at_a_time(connection: Any, login: str) -> None:
    await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 1))", login)


async def _tries(connection: Any, login: str, now: datetime, window_s: int) -> list[datetime]:
    rows = await connection.fetch(
        "select tried_at from sign_in_try where login = $1 and tried_at > $2", login, now - timedelta(seconds=window_s)
    )
    return [row["tried_at"] for row in rows]


def _challenge(row: Any) -> Challenge | None:
    if row is None:
        return None
    return Challenge(row["kind"], row["person_id"], row["agency_id"], json.loads(row["data"]), row["expires_at"])
