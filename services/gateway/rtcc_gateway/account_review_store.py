"""When accounts were used and who reviewed them, in PostgreSQL."""

from datetime import datetime

from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_gateway.account_review import AccountReview

_MOST_REVIEWS = 20


class AccountReviewStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def used(self, scope: Scope) -> dict[str, datetime]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select person_id, used_at from account where agency_id = $1", scope.agency_id)
        return {row["person_id"]: row["used_at"] for row in rows}

    async def idle_since(self, scope: Scope, floor: datetime) -> list[str]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select person_id from account where used_at < $1 order by used_at", floor)
        return [row["person_id"] for row in rows]

    async def mark_used(self, scope: Scope, person_id: str, now: datetime) -> None:
        async with self._database.transaction(scope) as connection:
            await connection.execute("update account set used_at = $2 where person_id = $1", person_id, now)

    async def add_review(self, scope: Scope, review: AccountReview) -> None:
        async with self._database.transaction(scope) as connection:
            await connection.execute(
                """insert into account_review (agency_id, reviewed_at, reviewed_by, reviewed_by_name, note, accounts, enabled)
                   values ($1, $2, $3, $4, $5, $6, $7)""",
                scope.agency_id,
                review.reviewed_at,
                review.reviewed_by,
                review.reviewed_by_name,
                review.note,
                review.accounts,
                review.enabled,
            )

    async def reviews(self, scope: Scope) -> list[AccountReview]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select reviewed_at, reviewed_by, reviewed_by_name, note, accounts, enabled from account_review
                   where agency_id = $1 order by reviewed_at desc limit $2""",
                scope.agency_id,
                _MOST_REVIEWS,
            )
        return [AccountReview(**row) for row in rows]
