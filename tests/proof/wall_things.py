"""Walls of cameras, as a colleague left them."""

from proof.world import World
from rtcc.video.v1 import wall_pb2


async def saved_wall(world: World, agency_id: str, name: str, tiles: int, slots: list[wall_pb2.WallSlot]) -> str:
    """The id of a wall that the whole agency sees."""
    wall = wall_pb2.Wall(name=name, tiles=tiles, slots=slots)
    answer = await world.platform.ask("SaveWall", world.everything(agency_id), wall_pb2.SaveWallRequest(wall=wall))
    return str(answer.wall.wall_id)
