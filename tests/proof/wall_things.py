"""Walls of cameras, as a colleague left them."""

from proof.world import World, patiently
from rtcc.video.v1 import wall_pb2


async def saved_wall(world: World, agency_id: str, name: str, tiles: int, slots: list[wall_pb2.WallSlot]) -> str:
    """The id of a wall that the whole agency sees."""
    request = wall_pb2.SaveWallRequest(wall=wall_pb2.Wall(name=name, tiles=tiles, slots=slots))

    async def saved() -> str:
        # the video service hears of its cameras and agreements a moment after the registry has them
        return str((await world.platform.ask("SaveWall", world.everything(agency_id), request)).wall.wall_id)

    return await patiently(saved)
