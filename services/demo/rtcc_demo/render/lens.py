"""A pinhole camera over a street: x to the right, y along the street, z up, in metres; pixels from the top left corner."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
NEAREST_M = 0.4


def cut_near(seen: Points) -> Points:
    """A polygon in camera points without its part nearer than NEAREST_M (Sutherland-Hodgman against one plane)."""
    if seen[:, 2].min() >= NEAREST_M:
        return seen
    kept = []
    for begin, end in zip(seen, np.roll(seen, -1, axis=0), strict=True):
        if begin[2] >= NEAREST_M:
            kept.append(begin)
        if (begin[2] >= NEAREST_M) != (end[2] >= NEAREST_M):
            kept.append(begin + (end - begin) * ((NEAREST_M - begin[2]) / (end[2] - begin[2])))
    return np.array(kept).reshape(-1, 3)


@dataclass(frozen=True)
class Lens:
    """Stands at `place`, looks along the street, turned right by `yaw_deg` and down by `pitch_deg`."""

    place: tuple[float, float, float]
    yaw_deg: float
    pitch_deg: float
    field_of_view_deg: float
    width: int
    height: int

    @cached_property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return self.width / 2 / math.tan(math.radians(self.field_of_view_deg) / 2)

    @cached_property
    def axes(self) -> Points:
        """Rows: right, down, forward, as unit vectors of the street's system."""
        yaw, pitch = math.radians(self.yaw_deg), math.radians(self.pitch_deg)
        right = (math.cos(yaw), -math.sin(yaw), 0.0)
        forward = (math.sin(yaw) * math.cos(pitch), math.cos(yaw) * math.cos(pitch), -math.sin(pitch))
        down = (-math.sin(yaw) * math.sin(pitch), -math.cos(yaw) * math.sin(pitch), -math.cos(pitch))
        return np.array([right, down, forward])

    def seen(self, points: Points) -> Points:
        """(n, 3) street points as the camera has them: right, down, forward in metres."""
        seen: Points = (points - self.place) @ self.axes.T
        return seen

    def pixels(self, seen: Points) -> Points:
        """Camera points to (n, 3): pixel x, pixel y, depth in metres. Points nearer than NEAREST_M come out at that depth."""
        pixels = seen.copy()
        pixels[:, :2] *= (self.focal_px / np.maximum(seen[:, 2], NEAREST_M))[:, None]
        pixels[:, :2] += (self.width / 2, self.height / 2)
        return pixels

    def project(self, points: Points) -> Points:
        """Street points to pixels and depth."""
        return self.pixels(self.seen(points))

    def rays(self) -> Points:
        """(height, width, 3): the direction of each pixel's ray, not normalised (1 along the axis)."""
        columns = (np.arange(self.width) + 0.5 - self.width / 2) / self.focal_px
        rows = (np.arange(self.height) + 0.5 - self.height / 2) / self.focal_px
        right, down, forward = self.axes
        rays: Points = forward + columns[None, :, None] * right + rows[:, None, None] * down
        return rays

    def scaled(self, factor: int) -> Lens:
        """The same view with `factor` times the pixels."""
        return Lens(self.place, self.yaw_deg, self.pitch_deg, self.field_of_view_deg, self.width * factor, self.height * factor)
