"""How agencies set their rules, in PostgreSQL."""

from rtcc.alerting.v1 import alerting_pb2 as pb
from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope


class RuleStore:
    """Only what differs from the rules as delivered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, scope: Scope, rule: pb.AlertRule) -> pb.AlertRule | None:
        """The answer is what stood before."""
        async with self._database.transaction(scope) as connection:
            before = await connection.fetchval(
                "select body from alert_rule where agency_id = $1 and rule = $2 for update", scope.agency_id, rule.rule
            )
            await connection.execute(
                """insert into alert_rule (agency_id, rule, body) values ($1, $2, $3)
                   on conflict (agency_id, rule) do update set body = excluded.body, revision = alert_rule.revision + 1""",
                scope.agency_id,
                rule.rule,
                rule.SerializeToString(),
            )
        return None if before is None else pb.AlertRule.FromString(before)

    async def of_agency(self, scope: Scope) -> dict[str, pb.AlertRule]:
        """By rule."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select rule, body from alert_rule where agency_id = $1", scope.agency_id)
        return {row["rule"]: pb.AlertRule.FromString(row["body"]) for row in rows}

    async def version(self, scope: Scope) -> tuple[int, int]:
        """What changes whenever a rule of any agency is set."""
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("select count(*) as rules, coalesce(sum(revision), 0)::bigint as revisions from alert_rule")
        return row["rules"], row["revisions"]

    async def every(self, scope: Scope) -> dict[tuple[str, str], pb.AlertRule]:
        """By (agency, rule), for the platform's own scope."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select agency_id, rule, body from alert_rule")
        return {(row["agency_id"], row["rule"]): pb.AlertRule.FromString(row["body"]) for row in rows}
