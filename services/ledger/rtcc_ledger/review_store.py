"""Weeks and looks in PostgreSQL; only inserts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rtcc_chassis.database import Database
from rtcc_chassis.scope import PLATFORM_LOG, Scope
from rtcc_ledger.app import StoredLeaf
from rtcc_ledger.reviews import RIGHTS, WEEK, Flagged, Review, Week

_DENIED, _FAILED = 2, 3
# bytes that are no entry stand at the beginning of time: the verification names them
_NO_EARLIER = datetime(2000, 1, 1, tzinfo=UTC)
_ACROSS = "principal_agency_id <> owner_agency_id and principal_agency_id <> '' and owner_agency_id <> ''"
_FLAGGED = f"(outcome in ({_DENIED}, {_FAILED}) or action = any($4::text[]) or ({_ACROSS}))"


class ReviewStore:
    """Every method sees the log of its scope's agency."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def weeks(self, scope: Scope, since: datetime, until: datetime) -> list[Week]:
        """Complete weeks between, newest first. Those in which nothing was recorded aren't there: nobody needs to look."""
        agency_id = _log_of(scope)
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                f"""select date_trunc('week', recorded_at, 'UTC') as starts_at, count(*) as entries,
                           count(distinct nullif(principal_id, '')) as people,
                           count(*) filter (where outcome = {_DENIED}) as refused, count(*) filter (where outcome = {_FAILED}) as failed,
                           count(*) filter (where action = any($4::text[])) as rights_changed,
                           count(*) filter (where {_ACROSS}) as across_agencies
                    from ledger_entry where agency_id = $1 and recorded_at >= $2 and recorded_at < $3
                    group by 1 order by 1 desc""",
                agency_id,
                max(since, _NO_EARLIER),
                until,
                list(RIGHTS),
            )
            looks = await connection.fetch(
                "select * from ledger_review where agency_id = $1 and week_starts_at >= $2 order by reviewed_at desc", agency_id, since
            )
        by_week: dict[datetime, list[Review]] = {}
        for look in looks:
            by_week.setdefault(look["week_starts_at"], []).append(_review(look))
        return [Week(**row, reviews=tuple(by_week.get(row["starts_at"], ()))) for row in rows]

    async def flagged(self, scope: Scope, starts_at: datetime, before_leaf: int, limit: int) -> list[Flagged]:
        """Newest first."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                f"""select leaf_index, leaf_hash, body, outcome, action, {_ACROSS} as across from ledger_entry
                    where agency_id = $1 and recorded_at >= $2 and recorded_at < $3 and {_FLAGGED} and leaf_index < $5
                    order by leaf_index desc limit $6""",
                _log_of(scope),
                starts_at,
                starts_at + WEEK,
                list(RIGHTS),
                before_leaf,
                limit,
            )
        return [Flagged(StoredLeaf(row["leaf_index"], bytes(row["leaf_hash"]), bytes(row["body"])), _reasons(row)) for row in rows]

    async def flagged_of(self, scope: Scope, starts_at: datetime, principal_id: str) -> int:
        """How many of a person's own acts merit a look."""
        async with self._database.transaction(scope) as connection:
            count: int = await connection.fetchval(
                f"""select count(*) from ledger_entry
                    where agency_id = $1 and recorded_at >= $2 and recorded_at < $3 and {_FLAGGED} and principal_id = $5""",
                _log_of(scope),
                starts_at,
                starts_at + WEEK,
                list(RIGHTS),
                principal_id,
            )
        return count

    async def add(self, scope: Scope, starts_at: datetime, review: Review) -> None:
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                """insert into ledger_review (agency_id, week_starts_at, reviewed_at, reviewed_by, reviewed_by_name, note, findings,
                                              own_entries)
                   values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing""",
                _log_of(scope),
                starts_at,
                review.reviewed_at,
                review.reviewed_by,
                review.reviewed_by_name,
                review.note,
                review.findings,
                review.own_entries,
            )

    async def overdue(self, scope: Scope, now: datetime, weeks: int) -> dict[str, int]:
        """By agency, weeks of the last `weeks` that ended more than a week ago and that nobody looked at."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                # a look at the index for each week, however many entries it has
                """select t.agency_id, count(*) filter (where exists (
                           select 1 from ledger_entry e where e.agency_id = t.agency_id
                               and e.recorded_at >= w and e.recorded_at < w + interval '7 days')
                       and not exists (
                           select 1 from ledger_review r where r.agency_id = t.agency_id and r.week_starts_at = w)) as overdue
                   from ledger_tree t cross join generate_series($1::timestamptz, $2::timestamptz - interval '7 days', interval '7 days') w
                   where t.agency_id <> $3 group by t.agency_id""",
                _monday(now) - (weeks + 1) * WEEK,
                _monday(now - WEEK),
                PLATFORM_LOG,
            )
        return {row["agency_id"]: row["overdue"] for row in rows}


def _monday(moment: datetime) -> datetime:
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - WEEK / 7 * day.weekday()


def _log_of(scope: Scope) -> str:
    return scope.log_agency_id


def _reasons(row: Any) -> tuple[str, ...]:
    found: Sequence[tuple[bool, str]] = (
        (row["outcome"] == _DENIED, "refused"),
        (row["outcome"] == _FAILED, "failed"),
        (row["action"] in RIGHTS, "rights_changed"),
        (bool(row["across"]), "across_agencies"),
    )
    return tuple(reason for holds, reason in found if holds)


def _review(row: Any) -> Review:
    return Review(row["reviewed_at"], row["reviewed_by"], row["reviewed_by_name"], row["note"], row["findings"], row["own_entries"])
