"""Floor plans; their images are objects."""

from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.database import Database
from rtcc_chassis.scope import Scope


class FloorPlanStore:
    """Every method sees only what its scope may see."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, scope: Scope, plan: pb.FloorPlan, object_key: str) -> bool:
        async with self._database.transaction(scope) as connection:
            inserted = await connection.fetchval(
                """insert into floor_plan (floor_plan_id, agency_id, object_key, revision, body) values ($1, $2, $3, $4, $5)
                   on conflict (floor_plan_id) do nothing returning true""",
                plan.floor_plan_id,
                plan.agency_id,
                object_key,
                plan.revision,
                plan.SerializeToString(),
            )
        return bool(inserted)

    async def get(self, scope: Scope, floor_plan_id: str) -> tuple[pb.FloorPlan, str] | None:
        async with self._database.transaction(scope) as connection:
            row = await connection.fetchrow("select body, object_key from floor_plan where floor_plan_id = $1", floor_plan_id)
        return None if row is None else (pb.FloorPlan.FromString(row["body"]), row["object_key"])

    async def list_plans(self, scope: Scope) -> list[pb.FloorPlan]:
        """By building and floor."""
        async with self._database.transaction(scope) as connection:
            rows = await connection.fetch("select body from floor_plan where agency_id = $1", scope.agency_id)
        plans = [pb.FloorPlan.FromString(row["body"]) for row in rows]
        return sorted(plans, key=lambda plan: (plan.name, plan.floor, plan.floor_plan_id))

    async def update(self, scope: Scope, plan: pb.FloorPlan) -> bool:
        async with self._database.transaction(scope) as connection:
            updated = await connection.fetchval(
                "update floor_plan set revision = $2, body = $3 where floor_plan_id = $1 and revision = $2 - 1 returning true",
                plan.floor_plan_id,
                plan.revision,
                plan.SerializeToString(),
            )
        return bool(updated)

    async def delete(self, scope: Scope, floor_plan_id: str) -> pb.FloorPlan | None:
        """The plan that was there; its image stays where a timeline may name it."""
        async with self._database.transaction(scope) as connection:
            body = await connection.fetchval("delete from floor_plan where floor_plan_id = $1 returning body", floor_plan_id)
        return None if body is None else pb.FloorPlan.FromString(body)
