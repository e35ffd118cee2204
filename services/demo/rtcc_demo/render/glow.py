"""Soft light: bloom round lamps and lights, added to a finished picture."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from rtcc_demo.world.vehicles import Colour

Picture = NDArray[np.uint8]


@cache
def _spot(radius: int) -> NDArray[np.float32]:
    axis = np.arange(-radius, radius + 1, dtype=np.float32) / max(1, radius)
    squared = axis[:, None] ** 2 + axis[None, :] ** 2
    spot: NDArray[np.float32] = np.exp(-squared * 7.0).astype(np.float32) + 0.5 * np.exp(-squared * 60.0).astype(np.float32)
    return spot[:, :, None]


def add_glow(picture: Picture, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
    """Brightens the picture in place round (x, y), pixels; `strength` 1 saturates the middle."""
    reach = min(max(2, round(radius)), 320)
    spot = _spot(reach)
    left, top = round(x) - reach, round(y) - reach
    height, width = picture.shape[:2]
    x0, y0, x1, y1 = max(0, left), max(0, top), min(width, left + 2 * reach + 1), min(height, top + 2 * reach + 1)
    if x0 >= x1 or y0 >= y1:
        return
    part = picture[y0:y1, x0:x1]
    light = spot[y0 - top : y1 - top, x0 - left : x1 - left] * (np.array(colour, dtype=np.float32) * strength)
    np.copyto(part, np.minimum(part + light, 255.0).astype(np.uint8))
