"""The use cases: list, save and remove walls. A wall grants nothing: each camera on it is asked for by who looks."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace

from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, Exhausted, NotFound
from rtcc_chassis.identifiers import derived_id, new_id
from rtcc_chassis.scope import Scope
from rtcc_video.walls.domain import MOST_WALLS, Wall, check_wall
from rtcc_video.walls.store import WallStore

# Whether people of an agency may look at a camera now: its own, or one that an agreement grants.
type Shows = Callable[[str, str], bool]


class Walls:
    """See the module."""

    def __init__(self, store: WallStore, shows: Shows, clock: Clock) -> None:
        self._store = store
        self._shows = shows
        self._clock = clock

    async def list_all(self, scope: Scope) -> list[Wall]:
        found = await self._store.seen(scope)
        touched(*(f"wall:{wall.wall_id}" for wall in found))
        return found

    async def save(self, scope: Scope, wall: Wall) -> Wall:
        """Raises `InvalidInput`, `NotFound`, `Conflict` when somebody changed it since, `Exhausted`.

        A camera that stands on the wall already may stay when it was removed or its agreement has ended.
        """
        wanted = replace(
            wall, name=wall.name.strip(), owner_id=scope.principal_id, changed_at=self._clock(), changed_by=scope.principal_id,
            changed_by_name=scope.display_name,
        )  # fmt: skip
        check_wall(wanted)
        standing = await self._store.find(scope, wall.wall_id[:80]) if wall.wall_id else None
        known = {slot.camera_id for slot in standing.slots} if standing is not None else set()
        for slot in wanted.slots:
            if slot.camera_id and slot.camera_id not in known and not self._shows(scope.agency_id, slot.camera_id):
                raise NotFound("camera", slot.camera_id)
        stored = await self._change(scope, wanted) if wall.wall_id else await self._make(scope, wanted)
        touched(f"wall:{stored.wall_id}", new_value=_json(stored))
        return stored

    async def remove(self, scope: Scope, wall_id: str) -> None:
        """Raises `NotFound`."""
        if not await self._store.remove(scope, wall_id[:80]):
            raise NotFound("wall", wall_id[:80])
        touched(f"wall:{wall_id}")

    async def _make(self, scope: Scope, wanted: Wall) -> Wall:
        if await self._store.count(scope) >= MOST_WALLS:
            raise Exhausted("the walls of your agency", MOST_WALLS)
        key = scope.idempotency_key
        made = derived_id("wall", scope.agency_id, scope.principal_id, key) if key else new_id()
        return await self._store.add(scope, replace(wanted, wall_id=made))

    async def _change(self, scope: Scope, wanted: Wall) -> Wall:
        stored = await self._store.replace(scope, wanted)
        if stored is not None:
            return stored
        standing = await self._store.find(scope, wanted.wall_id[:80])
        if standing is None:
            raise NotFound("wall", wanted.wall_id[:80])
        raise Conflict(f"{standing.changed_by_name or 'Somebody'} changed this wall meanwhile: load it again.")


def _json(wall: Wall) -> str:
    slots = [asdict(slot) for slot in wall.slots]
    return json.dumps({"name": wall.name, "tiles": wall.tiles, "personal": wall.personal, "slots": slots})
