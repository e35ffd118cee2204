"""Bounds of live views over HTTPS."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """Bounds of one stream's window.

    A part holds as many pictures as fit into `part_s`, and one at least. A segment ends before the first key picture after `segment_s`,
    or anywhere before `longest_s`. Segments of `kept_s` stay, and older ones back to the newest key picture, but none that is over `most_s`
    or `window_bytes` in all.
    """

    part_s: float = 0.334
    segment_s: float = 1.0
    longest_s: float = 2.4
    kept_s: float = 8.0
    most_s: float = 12.0
    part_bytes: int = 1_000_000
    segment_bytes: int = 3_000_000
    window_bytes: int = 10_000_000


@dataclass(frozen=True, slots=True)
class HlsLimits:
    """How many views over HTTPS there may be, of one person and in all, and of how many cameras.

    A view that nobody fetches for `idle_s`, or that is older than `view_s`, ends.
    """

    viewers: int = 200
    person_viewers: int = 24
    cameras: int = 64
    idle_s: float = 10.0
    view_s: float = 12 * 3600.0
    window: WindowLimits = WindowLimits()
