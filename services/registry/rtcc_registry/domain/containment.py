"""Whether one simple polygon lies inside another: what "narrower" means for an agreement's area.

Plane geometry on degrees, as everywhere in the platform for areas that don't cross the antimeridian.
"""

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]

# About 1 mm: corners that a person snapped onto the agreed border count as on it.
TOLERANCE_DEG = 1e-8


def ring_within(inner: Sequence[Point], outer: Sequence[Point]) -> bool:
    """True when no part of `inner` lies outside of `outer`; touching the border is allowed.

    Each edge of `inner` is cut where it meets an edge of `outer`; between two cuts it can't change sides, so the middle of
    each piece decides. `outer` has no holes, hence a boundary inside means an interior inside.
    """
    if len(inner) < 3 or len(outer) < 3:
        return False
    for start, end in _edges(inner):
        cuts = sorted({0.0, 1.0, *(cut for edge in _edges(outer) for cut in _cuts(start, end, *edge))})
        for low, high in pairwise(cuts):
            middle = (low + high) / 2
            if not point_within((start[0] + (end[0] - start[0]) * middle, start[1] + (end[1] - start[1]) * middle), outer):
                return False
    return all(point_within(corner, outer) for corner in inner)


def point_within(point: Point, ring: Sequence[Point]) -> bool:
    """Inside by the even-odd rule, or on the border."""
    y, x = point
    inside = False
    for (y1, x1), (y2, x2) in _edges(ring):
        if _distance_squared(point, (y1, x1), (y2, x2)) <= TOLERANCE_DEG**2:
            return True
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            inside = not inside
    return inside


def crosses_itself(ring: Sequence[Point]) -> bool:
    """Whether two edges that aren't neighbours meet: then inside and outside aren't defined."""
    edges = _edges(ring)
    for first in range(len(edges)):
        for second in range(first + 2, len(edges)):
            neighbours = first == 0 and second == len(edges) - 1
            if not neighbours and _meet(*edges[first], *edges[second]):
                return True
    return False


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    sides = [_side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)]
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    touching = ((c, a, b), (d, a, b), (a, c, d), (b, c, d))
    return any(side == 0 and _distance_squared(p, q, r) == 0 for side, (p, q, r) in zip(sides, touching, strict=True))


def _side(a: Point, b: Point, p: Point) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def _edges(ring: Sequence[Point]) -> list[tuple[Point, Point]]:
    return list(zip(ring, [*ring[1:], ring[0]], strict=True))


def _cuts(a: Point, b: Point, c: Point, d: Point) -> list[float]:
    """Where a-b meets c-d, as fractions of a-b; for parallel lines the ends of c-d projected onto it."""
    ry, rx = b[0] - a[0], b[1] - a[1]
    sy, sx = d[0] - c[0], d[1] - c[1]
    length_squared = ry * ry + rx * rx
    if length_squared == 0:
        return []
    fractions = [
        ((p[0] - a[0]) * ry + (p[1] - a[1]) * rx) / length_squared for p in (c, d) if _distance_squared(p, a, b) <= TOLERANCE_DEG**2
    ]
    cross = ry * sx - rx * sy
    if cross != 0:
        along = ((c[0] - a[0]) * sx - (c[1] - a[1]) * sy) / cross
        across = ((c[0] - a[0]) * rx - (c[1] - a[1]) * ry) / cross
        if -1e-12 <= across <= 1 + 1e-12:
            fractions.append(along)
    return [fraction for fraction in fractions if 0 < fraction < 1]


def _distance_squared(p: Point, a: Point, b: Point) -> float:
    dy, dx = b[0] - a[0], b[1] - a[1]
    length_squared = dy * dy + dx * dx
    t = 0.0 if length_squared == 0 else min(1.0, max(0.0, ((p[0] - a[0]) * dy + (p[1] - a[1]) * dx) / length_squared))
    return (a[0] + t * dy - p[0]) ** 2 + (a[1] + t * dx - p[1]) ** 2
