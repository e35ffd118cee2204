"""What a camera's health is and when it changes; who watches what. No I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from rtcc_chassis.scope import Scope

# A camera that shows one picture in two seconds is slow, not stalled.
STALLED_AFTER_S = 4.0
_SMOOTHING = 0.4


class CameraState(StrEnum):
    """Where a camera stands between nothing and moving pictures."""

    IDLE = "idle"
    CONNECTING = "connecting"
    LIVE = "live"
    STALLED = "stalled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """One camera now. `reason` says why it isn't live and what to do. `last_frame_age_s` is None before the first frame."""

    camera_id: str
    agency_id: str
    state: CameraState
    reason: str = ""
    frames_per_second: float = 0.0
    kilobits_per_second: float = 0.0
    width_px: int = 0
    height_px: int = 0
    last_frame_age_s: float | None = None
    viewers: int = 0
    keyframe_interval_s: float = 0.0
    codec: str = ""
    transcoder_cores: float = 0.0
    controlled_by: str = ""
    sound_allowed: bool = False
    sound_reason: str = ""
    sound_cores: float = 0.0

    def differs(self, before: "CameraHealth | None") -> bool:
        """Whether somebody must be told at once: what is compared here changed."""
        return before is None or self._told_at_once != before._told_at_once

    @property
    def _told_at_once(self) -> tuple[object, ...]:
        return (
            self.state,
            self.reason,
            self.width_px,
            self.height_px,
            self.viewers,
            self.codec,
            self.controlled_by,
            self.sound_allowed,
            self.sound_reason,
        )


def state_of(connected: bool, failure: str, last_frame_age_s: float | None, wanted: bool) -> CameraState:
    """The state: a failure counts until pictures come again; pictures that stopped coming are stalled before anything fails."""
    if not wanted:
        return CameraState.IDLE
    if failure:
        return CameraState.FAILED
    if not connected or last_frame_age_s is None:
        return CameraState.CONNECTING
    return CameraState.LIVE if last_frame_age_s <= STALLED_AFTER_S else CameraState.STALLED


@dataclass(frozen=True, slots=True)
class Rate:
    """A counter's speed, smoothed; `measured_s` is a moment of the monotonic clock."""

    total: int = 0
    measured_s: float = 0.0
    per_second: float = 0.0

    def advanced(self, total: int, now_s: float) -> "Rate":
        """The rate after another look at the counter; a counter that went back starts anew."""
        elapsed_s = now_s - self.measured_s
        if self.measured_s == 0.0 or total < self.total:
            return Rate(total, now_s, 0.0)
        if elapsed_s <= 0:
            return self
        current = (total - self.total) / elapsed_s
        smoothed = current if self.per_second == 0.0 else self.per_second + _SMOOTHING * (current - self.per_second)
        return Rate(total, now_s, smoothed if smoothed >= 0.05 else 0.0)


def retry_delay_s(failures: int, lasting: bool, first_s: float | None = None) -> float:
    """How long to wait after so many failures in a row: 1 s doubling to 30 s; 60 s where something must be changed first.

    `first_s`: another first pause, doubling to 4 s: for what is near, and mended or replaced within moments.
    """
    if lasting:
        return 60.0
    doublings = min(max(failures - 1, 0), 5)
    return min(30.0, 2.0**doublings) if first_s is None else min(4.0, first_s * 2.0**doublings)


@dataclass(frozen=True, slots=True)
class View:
    """Somebody watching a camera. `agreement_id` is empty for the owner's own people."""

    viewer_id: str
    camera_id: str
    owner_agency_id: str
    scope: Scope
    agreement_id: str
    since: datetime

    def belongs_to(self, scope: Scope) -> bool:
        """Whether it is this caller's own view."""
        return self.scope.agency_id == scope.agency_id and self.scope.principal_id == scope.principal_id

    def with_roles(self, roles: frozenset[str]) -> "View":
        """The same view of a person whose roles were changed meanwhile."""
        return replace(self, scope=replace(self.scope, roles=roles))


MAIN_STREAM = "main"


@dataclass(frozen=True, slots=True)
class StreamAddresses:
    """Where a camera's streams are, credentials and all: never shown. `further`: by stream id.

    `publish_key_sha256`: of the key that its device publishes with; "" when no device may. `control`: where it is moved, if it can be.
    """

    main: str = field(default="", repr=False)
    further: Mapping[str, str] = field(default_factory=dict, repr=False)
    publish_key_sha256: str = field(default="", repr=False)
    control: str = field(default="", repr=False)

    def of(self, stream_id: str) -> str:
        """The address of one stream; "" when it has none."""
        return self.main if stream_id == MAIN_STREAM else self.further.get(stream_id, "")


def as_cause(text: str) -> str:
    """A reason cut to what fits beside a camera's name."""
    return text if len(text) <= 300 else text[:299] + "…"
