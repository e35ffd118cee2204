"""A wall of cameras: what is a valid one. No I/O, no clock."""

from dataclasses import dataclass
from datetime import datetime
from math import isqrt
from typing import Final

from rtcc_chassis.errors import InvalidInput

TILES: Final = (1, 4, 9, 16)
LONGEST_NAME: Final = 60
MOST_WALLS: Final = 200
_LONGEST_ID: Final = 80
# what the column holds
_MOST_REVISIONS: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Slot:
    """A square of cells, `cell` its upper left one; shows a camera, or follows the alerts."""

    cell: int
    span: int
    camera_id: str
    follow_alerts: bool


@dataclass(frozen=True, slots=True)
class Wall:
    """`owner_id` is who made it; a personal one is seen by nobody else. `revision` 0: not stored yet."""

    wall_id: str
    name: str
    tiles: int
    slots: tuple[Slot, ...]
    personal: bool
    owner_id: str
    revision: int
    changed_at: datetime
    changed_by: str
    changed_by_name: str


def check_wall(wall: Wall) -> None:
    """Raises `InvalidInput` with the field that is wrong."""
    if not wall.name or len(wall.name) > LONGEST_NAME or not wall.name.isprintable():
        raise InvalidInput.one("wall.name", f"is needed, 1 to {LONGEST_NAME} printable characters")
    if wall.tiles not in TILES:
        raise InvalidInput.one("wall.tiles", "is 1, 4, 9 or 16")
    if wall.revision > _MOST_REVISIONS:
        raise InvalidInput.one("wall.revision", f"is at most {_MOST_REVISIONS}")
    side = isqrt(wall.tiles)
    taken: set[int] = set()
    for number, slot in enumerate(wall.slots):
        field = f"wall.slots[{number}]"
        if not 1 <= slot.span <= side:
            raise InvalidInput.one(f"{field}.span", f"is 1 to {side} cells")
        row, column = divmod(slot.cell, side)
        if row + slot.span > side or column + slot.span > side:
            raise InvalidInput.one(f"{field}.cell", f"makes the slot stick out of {side} by {side} cells")
        cells = {(row + down) * side + column + right for down in range(slot.span) for right in range(slot.span)}
        if cells & taken:
            raise InvalidInput.one(f"{field}.cell", "lies over another slot")
        taken |= cells
        if bool(slot.camera_id) == slot.follow_alerts:
            raise InvalidInput.one(f"{field}.camera_id", "is needed, or follow_alerts instead of it")
        if len(slot.camera_id) > _LONGEST_ID or not slot.camera_id.isprintable():
            raise InvalidInput.one(f"{field}.camera_id", f"is at most {_LONGEST_ID} printable characters long")
