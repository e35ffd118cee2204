"""Draws the floor plan of an invented building, and says where its corners lie on the map."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from rtcc_demo.world.city import EAST, Corner
from rtcc_demo.world.geometry import to_degrees, to_metres

WIDTH_PX, HEIGHT_PX = 1200, 800
METRES_PER_PX = 0.03
_WALL_PX = 10
_WALL, _FLOOR, _ROOM, _TEXT = "#20303f", "#ffffff", "#eef3f8", "#20303f"


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of the plan, in pixels from its upper left corner."""

    kind: str
    label: str
    x_px: int
    y_px: int


@dataclass(frozen=True, slots=True)
class Building:
    """`turn_deg`: clockwise from north to the plan's upper edge seen as east."""

    agency_id: str
    floor_plan_id: str
    name: str
    floor: str
    address: str
    place: Corner
    turn_deg: float
    rooms: tuple[tuple[str, int, int, int, int], ...]
    doors: tuple[tuple[int, int, int, int], ...]
    marks: tuple[Mark, ...]

    def corner(self, x_px: float, y_px: float) -> Corner:
        """Where a point of the image lies: `place` is its middle."""
        right_m, down_m = (x_px - WIDTH_PX / 2) * METRES_PER_PX, (y_px - HEIGHT_PX / 2) * METRES_PER_PX
        turn = math.radians(self.turn_deg)
        east_m, north_m = to_metres(*self.place)
        return to_degrees(
            (
                east_m + right_m * math.cos(turn) - down_m * math.sin(turn),
                north_m - right_m * math.sin(turn) - down_m * math.cos(turn),
            )
        )


HOUSE = Building(
    agency_id=EAST,
    floor_plan_id="snellmaninkatu-10-1",
    name="Snellmaninkatu 10",
    floor="1",
    address="Snellmaninkatu 10",
    place=(24.95120, 60.17260),
    turn_deg=12.0,
    rooms=(
        ("Lobby", 40, 300, 420, 500),
        ("Reading room", 40, 40, 560, 300),
        ("Store", 40, 500, 420, 760),
        ("Lecture room", 560, 40, 1160, 300),
        ("Corridor", 420, 300, 1160, 500),
        ("Laboratory", 420, 500, 860, 760),
        ("Boiler", 860, 500, 1160, 760),
    ),
    doors=(
        (40, 380, 40, 430), (420, 380, 420, 430), (480, 300, 540, 300), (700, 300, 760, 300), (600, 500, 660, 500),
        (980, 500, 1040, 500), (1160, 380, 1160, 430), (200, 500, 260, 500),
    ),
    marks=(
        Mark("exit", "Main entrance", 40, 405),
        Mark("exit", "Yard door", 1160, 405),
        Mark("stairs", "Stairs up", 1100, 340),
        Mark("elevator", "Lift", 470, 340),
        Mark("hazard", "Gas cylinders", 740, 640),
        Mark("utility", "Main water valve", 1010, 640),
    ),
)  # fmt: skip


def draw_floor_plan(building: Building) -> bytes:
    """A PNG of WIDTH_PX x HEIGHT_PX."""
    image = Image.new("RGB", (WIDTH_PX, HEIGHT_PX), _FLOOR)
    draw = ImageDraw.Draw(image)
    for name, left, top, right, bottom in building.rooms:
        draw.rectangle((left, top, right, bottom), fill=_ROOM, outline=_WALL, width=_WALL_PX)
        draw.text(((left + right) / 2, (top + bottom) / 2), name, fill=_TEXT, anchor="mm", font_size=28)
    for left, top, right, bottom in building.doors:
        draw.line((left, top, right, bottom), fill=_FLOOR, width=_WALL_PX + 4)
    for step in range(6):
        draw.line((1060 + step * 14, 320, 1060 + step * 14, 370), fill=_WALL, width=3)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
