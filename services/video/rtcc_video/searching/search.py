"""The use cases: motion of some cameras, and leads among all recordings that the caller may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from rtcc.geo.v1.geo_pb2 import BoundingBox
from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_chassis.access import touched
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.scope import Scope
from rtcc_video.app import Rights
from rtcc_video.recording.domain import check_window
from rtcc_video.searching.domain import (
    MOST_CAMERAS,
    MOST_MOTION_CAMERAS,
    MOTION,
    SCENE,
    Lead,
    MotionMinute,
    Question,
    best,
    check_question,
    motion_leads,
)
from rtcc_video.searching.store import SearchStore

LIST_MOTION: Final = "footage.list_motion"
SEARCH: Final = "footage.search"
_LEAST_MOTION: Final = 49
_MINUTES_A_LEAD: Final = 4


class Owners(Protocol):
    """In whose name a camera's recordings are read; see `Footage.owner`."""

    async def owner(self, scope: Scope, action: str, camera_id: str) -> Scope: ...


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave. Pictures: of the segments in the window that begin with a key picture."""

    leads: list[Lead]
    more: bool
    cameras: int
    pictures_examined: int
    pictures_not_examined: int


class FootageSearch:
    """Rights are asked for each camera as if it were played; another agency's index is read in the owner's name."""

    def __init__(self, store: SearchStore, owners: Owners, rights: Rights) -> None:
        self._store = store
        self._owners = owners
        self._rights = rights

    async def motion(
        self, scope: Scope, camera_ids: Sequence[str], starts_at: datetime, ends_at: datetime
    ) -> dict[str, list[MotionMinute]]:
        """Camera -> minutes, in the order asked. Raises `InvalidInput`, `NotFound`, `Refused`, `PurposeRequired`."""
        check_window(starts_at, ends_at)
        wanted = _distinct(camera_ids, MOST_MOTION_CAMERAS)
        if not wanted:
            raise InvalidInput.one("camera_ids", "name 1 to 16 cameras")
        found: dict[str, list[MotionMinute]] = {}
        for camera_id in wanted:
            owner = await self._owners.owner(scope, LIST_MOTION, camera_id)
            found |= await self._store.motion(owner, [camera_id], starts_at, ends_at)
        return found

    async def search(self, scope: Scope, question: Question, camera_ids: Sequence[str], area: BoundingBox | None) -> Found:
        """Raises `InvalidInput`, and for cameras that were named `NotFound`, `Refused`, `PurposeRequired`."""
        check_question(question)
        _check_area(area)
        by_owner = await self._cameras(scope, _distinct(camera_ids, MOST_CAMERAS), area)
        wanted = f"search:{' '.join((*question.kinds, question.colour)).strip() or 'anything'}"
        for owner_id in {scope.agency_id, *by_owner}:
            touched(wanted, owner_agency_id=owner_id)
        leads: list[Lead] = []
        examined, segments = 0, 0
        for owner_id, cameras in by_owner.items():
            owner = Scope.service("video", owner_id)
            if question.of_models:
                seen = await self._store.detections(owner, cameras, question)
                leads += seen
                done, all_of_it = await self._store.examined(owner, cameras, question.starts_at, question.ends_at)
                examined, segments = examined + done, segments + all_of_it
            if {MOTION, SCENE} & set(question.kinds) and not question.colour:
                limit = _MINUTES_A_LEAD * question.limit
                loud = await self._store.loud_minutes(owner, cameras, question.starts_at, question.ends_at, _LEAST_MOTION, limit)
                leads += motion_leads({(owner_id, camera_id): minutes for camera_id, minutes in loud.items()}, question)
        more = len(leads) > question.limit
        leads = best(leads, question.limit)
        for lead in leads:
            touched(f"lead:{lead.lead_id}", owner_agency_id=lead.agency_id)
        return Found(leads, more, sum(map(len, by_owner.values())), examined, max(0, segments - examined))

    async def _cameras(self, scope: Scope, named: Sequence[str], area: BoundingBox | None) -> dict[str, list[str]]:
        """Owner -> the cameras to search."""
        found: dict[str, list[str]] = {}
        if named:
            for camera_id in named:
                owner = await self._owners.owner(scope, SEARCH, camera_id)
                camera = self._rights.cameras.get(camera_id)
                if area is None or (camera is not None and _within(camera, area)):
                    found.setdefault(owner.agency_id, []).append(camera_id)
            return found
        allowed = [
            camera
            for camera in self._rights.cameras.values()
            if (area is None or _within(camera, area)) and self._rights.may_recorded(scope, SEARCH, camera)
        ]
        if len(allowed) > MOST_CAMERAS:
            raise InvalidInput.one("camera_ids", f"{len(allowed)} cameras would be searched, {MOST_CAMERAS} can be: name some, or an area")
        for camera in allowed:
            self._rights.require_recorded(scope, SEARCH, camera)
            found.setdefault(camera.agency_id, []).append(camera.camera_id)
        return found


def _distinct(camera_ids: Sequence[str], most: int) -> list[str]:
    wanted = list(dict.fromkeys(camera_ids))
    if len(wanted) > most:
        raise InvalidInput.one("camera_ids", f"are at most {most}")
    return wanted


def _check_area(area: BoundingBox | None) -> None:
    if area is None:
        return
    if not (-90 <= area.south_deg < area.north_deg <= 90 and -180 <= area.west_deg <= 180 and -180 <= area.east_deg <= 180):
        raise InvalidInput.one("area", "needs south below north within 90 degrees, and west and east within 180")


def _within(camera: Camera, area: BoundingBox) -> bool:
    """West beyond east: the area lies across the 180th meridian."""
    at = camera.coordinate
    if not area.south_deg <= at.latitude_deg <= area.north_deg:
        return False
    if area.west_deg <= area.east_deg:
        return area.west_deg <= at.longitude_deg <= area.east_deg
    return at.longitude_deg >= area.west_deg or at.longitude_deg <= area.east_deg
