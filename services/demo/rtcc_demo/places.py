"""What the demo's agencies prepare for incidents: a floor plan of one building, and the public tip line."""

from __future__ import annotations

import base64
from collections.abc import Awaitable
from typing import Any, Protocol

from rtcc_demo.render.floor_plan import HEIGHT_PX, HOUSE, WIDTH_PX, draw_floor_plan
from rtcc_demo.world.city import AGENCY_NAMES


class Hands(Protocol):
    """An administrator's session."""

    def post(self, path: str, body: dict[str, Any], step: str) -> Awaitable[dict[str, Any] | None]: ...


async def prepare_places(hands: Hands, agency_id: str) -> None:
    """May be repeated: a plan that exists stays, and an open line stays open."""
    line = {
        "open": True,
        "notice": f"What you tell here is read by {AGENCY_NAMES[agency_id]}. This is a demo: everything in it is invented.",
        "emergency_line": "In an emergency call 112.",
    }
    await hands.post("/v1/tip-line", {"tip_line": line}, "tip line")
    if HOUSE.agency_id == agency_id:
        await hands.post("/v1/floor-plans", floor_plan_request(), "floor plan")


def floor_plan_request() -> dict[str, Any]:
    """The body of POST /v1/floor-plans."""
    corners = ((0, 0), (WIDTH_PX, 0), (WIDTH_PX, HEIGHT_PX), (0, HEIGHT_PX))
    plan = {
        "floor_plan_id": HOUSE.floor_plan_id,
        "name": HOUSE.name,
        "floor": HOUSE.floor,
        "address": HOUSE.address,
        "coordinate": _coordinate(*HOUSE.place),
        "control_points": [{"x_px": x, "y_px": y, "coordinate": _coordinate(*HOUSE.corner(x, y))} for x, y in corners],
        "marks": [{"kind": mark.kind, "label": mark.label, "x_px": mark.x_px, "y_px": mark.y_px} for mark in HOUSE.marks],
    }
    return {"floor_plan": plan, "image": base64.b64encode(draw_floor_plan(HOUSE)).decode()}


def _coordinate(longitude_deg: float, latitude_deg: float) -> dict[str, float]:
    return {"latitude_deg": latitude_deg, "longitude_deg": longitude_deg}
