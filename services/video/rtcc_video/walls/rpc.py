"""rtcc.video.v1.WallService: messages to domain and back."""

from datetime import UTC, datetime
from typing import Any

from rtcc.video.v1 import wall_pb2 as pb
from rtcc.video.v1 import wall_pb2_grpc
from rtcc_chassis.errors import InvalidInput
from rtcc_chassis.scope import current_scope
from rtcc_video.walls.domain import TILES, Slot, Wall
from rtcc_video.walls.walls import Walls


class WallServicer(wall_pb2_grpc.WallServiceServicer):
    """The gate has checked rights before; it audits after."""

    def __init__(self, walls: Walls) -> None:
        self._walls = walls

    async def ListWalls(self, request: pb.ListWallsRequest, context: Any) -> pb.ListWallsResponse:
        return pb.ListWallsResponse(walls=map(_message, await self._walls.list_all(current_scope())))

    async def SaveWall(self, request: pb.SaveWallRequest, context: Any) -> pb.SaveWallResponse:
        if not request.HasField("wall"):
            raise InvalidInput.one("wall", "is needed")
        if len(request.wall.slots) > max(TILES):
            raise InvalidInput.one("wall.slots", f"are at most {max(TILES)}")
        return pb.SaveWallResponse(wall=_message(await self._walls.save(current_scope(), _wall(request.wall))))

    async def RemoveWall(self, request: pb.RemoveWallRequest, context: Any) -> pb.RemoveWallResponse:
        await self._walls.remove(current_scope(), request.wall_id)
        return pb.RemoveWallResponse()


def _wall(message: pb.Wall) -> Wall:
    slots = tuple(Slot(slot.cell, slot.span or 1, slot.camera_id, slot.follow_alerts) for slot in message.slots)
    # who, and when, is said by the use case
    nobody = (datetime.fromtimestamp(0, UTC), "", "")
    return Wall(message.wall_id, message.name, message.tiles, slots, message.personal, "", message.revision, *nobody)


def _message(wall: Wall) -> pb.Wall:
    message = pb.Wall(
        wall_id=wall.wall_id, name=wall.name, tiles=wall.tiles, personal=wall.personal, revision=wall.revision,
        changed_by=wall.changed_by, changed_by_name=wall.changed_by_name,
        slots=[pb.WallSlot(cell=one.cell, span=one.span, camera_id=one.camera_id, follow_alerts=one.follow_alerts) for one in wall.slots],
    )  # fmt: skip
    message.changed_at.FromDatetime(wall.changed_at)
    return message
