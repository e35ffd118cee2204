"""Makes parts of a picture unrecognisable, in its own colour space, so that all else keeps the bytes it had before coding."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from rtcc_video.redaction.domain import Mode, Redaction, Style

# A mosaic has at most this many blocks across a region's shorter side: a face of six by eight blocks names nobody.
_BLOCKS: Final = 6
_SMALLEST_BLOCK_PX: Final = 16
# limited range BT.601 grey
_COVER: Final = (40, 128, 128)
# what a coded picture's blocks and a moving region smear over its border
_MARGIN_PX: Final = 4

# Rows and columns of a plane of 4:2:0, uint8.
type Plane = np.ndarray[Any, np.dtype[np.uint8]]


def planes_of(picture: Plane, width: int, height: int) -> tuple[Plane, Plane, Plane]:
    """Views on Y, U and V of an I420 picture of (3 * height / 2, width); both are even."""
    flat = picture.reshape(-1)
    luma, chroma = width * height, width * height // 4
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma : luma + 2 * chroma].reshape(half),
    )


def redact(picture: Plane, width: int, height: int, redaction: Redaction, at_us: int) -> None:
    """Changes an I420 picture in place to what may be seen of it at that moment."""
    planes = planes_of(picture, width, height)
    margin_px = _MARGIN_PX if redaction.mode is Mode.INSIDE else -_MARGIN_PX
    rectangles = [_pixels(box, width, height, margin_px) for region in redaction.regions if (box := region.box(at_us)) is not None]
    if redaction.mode is Mode.INSIDE:
        for rectangle in rectangles:
            _obscure(planes, rectangle, redaction.style)
        return
    scaled = tuple(zip(planes, (1, 2, 2), strict=True))
    shown = [(rectangle, [_cut(plane, rectangle, scale).copy() for plane, scale in scaled]) for rectangle in rectangles]
    _obscure(planes, (0, 0, width, height), redaction.style)
    for rectangle, kept in shown:
        for (plane, scale), content in zip(scaled, kept, strict=True):
            _cut(plane, rectangle, scale)[:] = content


def _pixels(box: tuple[float, float, float, float], width: int, height: int, margin_px: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) at even places: in doubt, and by the margin, more is hidden than was asked for."""
    left, top, wide, high = box
    edges = (left * width, top * height, (left + wide) * width, (top + high) * height)
    if margin_px > 0:
        x0, y0, x1, y1 = int(edges[0]) & ~1, int(edges[1]) & ~1, int(edges[2]) + 2 & ~1, int(edges[3]) + 2 & ~1
    else:
        x0, y0, x1, y1 = int(edges[0]) + 2 & ~1, int(edges[1]) + 2 & ~1, int(edges[2]) & ~1, int(edges[3]) & ~1
    return max(0, x0 - margin_px), max(0, y0 - margin_px), min(width, x1 + margin_px), min(height, y1 + margin_px)


def _cut(plane: Plane, rectangle: tuple[int, int, int, int], scale: int) -> Plane:
    left, top, right, bottom = (max(0, edge) // scale for edge in rectangle)
    return plane[top:bottom, left:right]


def _obscure(planes: Sequence[Plane], rectangle: tuple[int, int, int, int], style: Style) -> None:
    left, top, right, bottom = rectangle
    if right <= left or bottom <= top:
        return
    if style is Style.COVER:
        for plane, scale, value in zip(planes, (1, 2, 2), _COVER, strict=True):
            _cut(plane, rectangle, scale)[:] = value
        return
    block = max(_SMALLEST_BLOCK_PX, -(-min(right - left, bottom - top) // _BLOCKS)) & ~1
    for plane, scale in zip(planes, (1, 2, 2), strict=True):
        _mosaic(_cut(plane, rectangle, scale), block // scale)


def _mosaic(part: Plane, block: int) -> None:
    rows, columns = part.shape
    row_starts, column_starts = np.arange(0, rows, block), np.arange(0, columns, block)
    sums = np.add.reduceat(np.add.reduceat(part.astype(np.uint32), row_starts, axis=0), column_starts, axis=1)
    row_sizes = np.diff(np.append(row_starts, rows))
    column_sizes = np.diff(np.append(column_starts, columns))
    means = (sums // np.outer(row_sizes, column_sizes)).astype(np.uint8)
    part[:] = np.repeat(np.repeat(means, row_sizes, axis=0), column_sizes, axis=1)
