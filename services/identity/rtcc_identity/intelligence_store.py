"""Criminal intelligence and its disseminations in PostgreSQL."""

from datetime import UTC, datetime

import asyncpg

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope
from rtcc_identity.app.intelligence import review_by_of

_MOST = 200


class PostgresIntelligence:
    """Every method sees only what its scope may see: never another agency's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, scope: Scope, intelligence: pb.Intelligence) -> bool:
        """New, or validated anew."""
        try:
            async with self._database.transaction(scope) as connection:
                await connection.execute(
                    """insert into intelligence (intelligence_id, agency_id, person_record_id, review_by, body) values ($1, $2, $3, $4, $5)
                       on conflict (intelligence_id) do update set person_record_id = excluded.person_record_id,
                           review_by = excluded.review_by, body = excluded.body""",
                    intelligence.intelligence_id,
                    scope.agency_id,
                    intelligence.person_record_id,
                    review_by_of(intelligence),
                    intelligence.SerializeToString(),
                )
        except asyncpg.InsufficientPrivilegeError:
            # row-level security: another agency's
            return False
        return True

    async def disseminate(self, scope: Scope, person_record_id: str, now: datetime) -> list[pb.Intelligence]:
        """Newest review first. Without the log of who was told there is no answer: one transaction."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select body from intelligence where agency_id = $1 and person_record_id = $2 and review_by > $3
                   order by review_by desc limit $4""",
                scope.agency_id,
                person_record_id,
                now,
                _MOST,
            )
            found = [pb.Intelligence.FromString(row["body"]) for row in rows]
            await connection.execute(
                """insert into dissemination (agency_id, intelligence_id, principal_id, principal_name, purpose, case_number,
                                              disseminated_at)
                   select $1, item, $2, $3, $4, $5, $6 from unnest($7::text[]) as item""",
                scope.agency_id,
                scope.principal_id,
                scope.display_name,
                scope.purpose,
                scope.case_number,
                now,
                [one.intelligence_id for one in found],
            )
        return found

    async def disseminations(self, scope: Scope, intelligence_id: str) -> list[pb.Dissemination] | None:
        """Also of what was purged since."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                """select * from dissemination where agency_id = $1 and intelligence_id = $2
                   order by disseminated_at desc, dissemination_number desc limit $3""",
                scope.agency_id,
                intelligence_id,
                _MOST,
            )
            known = rows or await connection.fetchval(
                "select true from intelligence where agency_id = $1 and intelligence_id = $2", scope.agency_id, intelligence_id
            )
        if not known:
            return None
        found = []
        for row in rows:
            one = pb.Dissemination(
                principal_id=row["principal_id"],
                principal_name=row["principal_name"],
                agency_id=row["agency_id"],
                purpose=row["purpose"],
                case_number=row["case_number"],
            )
            one.disseminated_at.FromDatetime(row["disseminated_at"].astimezone(UTC))
            found.append(one)
        return found

    async def overdue(self, scope: Scope, now: datetime) -> dict[str, str]:
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch(
                "select intelligence_id, agency_id from intelligence where review_by <= $1 order by review_by limit $2", now, _MOST
            )
        return {row["intelligence_id"]: row["agency_id"] for row in rows}

    async def purge(self, scope: Scope, intelligence_id: str, now: datetime) -> None:
        async with self._database.transaction(scope) as connection:
            await connection.execute("delete from intelligence where intelligence_id = $1 and review_by <= $2", intelligence_id, now)
