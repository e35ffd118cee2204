"""Floor plans: taken in, laid on the map, marked."""

import asyncio
import json

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.access import Resource, touched
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_incidents.app.acting import Acting, id_for
from rtcc_incidents.app.ports import FloorPlans, Images
from rtcc_incidents.domain import floor_plans, pictures

IMAGE_BYTES = 8 * 1024 * 1024


class FloorPlansApp:
    """A plan belongs to a building of one agency."""

    def __init__(self, store: FloorPlans, images: Images, acting: Acting) -> None:
        self._store = store
        self._images = images
        self._acting = acting
        self._decoding = asyncio.Semaphore(1)

    async def create(self, scope: Scope, request: pb.CreateFloorPlanRequest) -> pb.FloorPlan:
        """The image is written anew without metadata, then the plan is laid by its control points. Raises InvalidInput, Conflict."""
        wanted = request.floor_plan
        plan = floor_plans.checked(wanted)
        async with self._decoding:
            picture = await asyncio.to_thread(pictures.drawing, request.image, "image", IMAGE_BYTES)
        plan.floor_plan_id = wanted.floor_plan_id or id_for(scope, "floor_plan")
        if len(plan.floor_plan_id) > 64 or not all(c.isalnum() or c in "-_" for c in plan.floor_plan_id):
            raise InvalidInput.one("floor_plan.floor_plan_id", "must be 1 to 64 of letters, digits, '-' and '_', or empty for a new one")
        plan.agency_id, plan.revision = scope.agency_id, 1
        plan.width_px, plan.height_px, plan.content_type = picture.width_px, picture.height_px, picture.content_type
        floor_plans.set_marks(plan, wanted.marks, new_id)
        self._finish(scope, plan)
        key = f"floor-plans/{plan.floor_plan_id}.{picture.content_type.removeprefix('image/')}"
        self._acting.access.require(scope, "floor_plan.create", Resource("floor_plan", plan.floor_plan_id, scope.agency_id))
        await self._images.put(scope, scope.agency_id, key, picture.data, picture.content_type)
        if not await self._store.insert(scope, plan, key):
            before = await self._store.get(scope, plan.floor_plan_id)
            if before is None or not scope.idempotency_key:
                raise Conflict(f"A floor plan with the id {plan.floor_plan_id!r} exists already.")
            return before[0]
        touched(f"floor_plan:{plan.floor_plan_id}", new_value=_as_json(plan))
        return plan

    async def list_plans(self, scope: Scope, address: str, coordinate: Coordinate | None) -> list[pb.FloorPlan]:
        """All of the agency, or those of one place."""
        plans = await self._store.list_plans(scope)
        if address or coordinate is not None:
            plans = [plan for plan in plans if floor_plans.is_of_place(plan, address, coordinate)]
        touched(*(f"floor_plan:{plan.floor_plan_id}" for plan in plans))
        return plans

    async def image(self, scope: Scope, floor_plan_id: str) -> tuple[bytes, str]:
        """(the image, its type). Raises NotFound."""
        plan, key = await self._loaded(scope, "floor_plan.read_image", floor_plan_id)
        return await self._images.get(scope, plan.agency_id, key), plan.content_type

    async def update(self, scope: Scope, request: pb.UpdateFloorPlanRequest) -> pb.FloorPlan:
        """Better control points move the marks with the plan: their place in the image stays."""
        plan, _ = await self._loaded(scope, "floor_plan.update", request.floor_plan_id)
        if request.revision and request.revision != plan.revision:
            raise Conflict(f"The floor plan was changed meanwhile (revision {plan.revision}): read it again, then decide.")
        before = _as_json(plan)
        if request.control_points:
            del plan.control_points[:]
            plan.control_points.extend(request.control_points)
        if request.replace_marks:
            floor_plans.set_marks(plan, request.marks, new_id)
        plan.revision += 1
        self._finish(scope, plan)
        if not await self._store.update(scope, plan):
            raise Conflict("The floor plan was changed at the same moment: read it again, then decide.")
        touched(f"floor_plan:{plan.floor_plan_id}", old_value=before, new_value=_as_json(plan))
        return plan

    async def delete(self, scope: Scope, floor_plan_id: str) -> None:
        """It isn't found any more; the image stays for timelines that name it."""
        plan, _ = await self._loaded(scope, "floor_plan.delete", floor_plan_id)
        await self._store.delete(scope, floor_plan_id)
        touched(f"floor_plan:{floor_plan_id}", old_value=_as_json(plan))

    async def _loaded(self, scope: Scope, action: str, floor_plan_id: str) -> tuple[pb.FloorPlan, str]:
        found = await self._store.get(scope, floor_plan_id)
        if found is None:
            raise NotFound("floor plan", floor_plan_id)
        self._acting.access.require(scope, action, Resource("floor_plan", floor_plan_id, found[0].agency_id))
        return found

    def _finish(self, scope: Scope, plan: pb.FloorPlan) -> None:
        floor_plans.lay(plan)
        plan.changed_at.FromDatetime(self._acting.clock())
        plan.changed_by_name = scope.display_name


def _as_json(plan: pb.FloorPlan) -> str:
    residual, marks = round(plan.residual_rms_m, 3), len(plan.marks)
    return json.dumps({"name": plan.name, "floor": plan.floor, "address": plan.address, "residual_rms_m": residual, "marks": marks})
