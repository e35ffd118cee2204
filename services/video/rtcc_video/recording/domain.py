"""What recording is about: policies, holds, segments, gaps, proofs of deletion (R22). No I/O, no clock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from rtcc_chassis import retention
from rtcc_chassis.errors import InvalidInput, Violation

PRE_ROLL_LIMIT_S: Final = 60
POST_ROLL_S: Final = (10, 3600)
LONGEST_WINDOW: Final = timedelta(hours=24)
# two segments this close to each other have nothing between them
_NEXT_TO: Final = timedelta(milliseconds=500)


class Mode(StrEnum):
    """When a camera is recorded."""

    OFF = "off"
    CONTINUOUS = "continuous"
    ON_EVENT = "on_event"


class RecorderState(StrEnum):
    """What a camera's recorder does now."""

    OFF = "off"
    RECORDING = "recording"
    WAITING = "waiting"
    FAILED = "failed"


class GapKind(StrEnum):
    """Why nothing is recorded."""

    CAMERA = "camera"
    NOT_WANTED = "not_wanted"
    CLOCK_STEP = "clock_step"
    SPOOL_FULL = "spool_full"
    STOPPED = "stopped"
    RECORDER_LOST = "recorder_lost"
    OVERLOAD = "overload"
    DELETED = "deleted"
    LOST = "lost"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RecordingPolicy:
    """`camera_id` empty: every camera of the agency without one of its own."""

    camera_id: str
    mode: Mode
    keep_s: int
    pre_roll_s: int = 10
    post_roll_s: int = 60
    changed_at: datetime | None = None
    changed_by: str = ""
    keep_sound: bool = False


@dataclass(frozen=True, slots=True)
class FootageHold:
    """Covers what was recorded of a camera (empty: every one) between two times (None: open)."""

    hold_id: str
    reason: str
    camera_id: str
    starts_at: datetime | None
    ends_at: datetime | None
    placed_at: datetime
    placed_by: str
    released_at: datetime | None = None
    released_by: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """One recorded segment as the index knows it. `camera_started_at` is the camera's own time of day, where it told.

    Its sound is an object beside it with a hash of its own; `sound_sha256` empty: it has none.
    """

    segment_id: str
    agency_id: str
    camera_id: str
    started_at: datetime
    ended_at: datetime
    camera_started_at: datetime | None
    clock_difference_ms: int
    init_id: str
    object_key: str
    sha256: str
    size_bytes: int
    pictures: int
    continues: bool
    starts_with_key: bool
    sound_sha256: str = ""
    sound_bytes: int = 0

    @property
    def sound_key(self) -> str:
        """Where its sound lies; empty: it has none."""
        return f"{self.object_key.removesuffix('.m4s')}.sound.m4s" if self.sound_sha256 else ""

    @property
    def object_keys(self) -> tuple[str, ...]:
        """Of all that is stored of it."""
        return (self.object_key, self.sound_key) if self.sound_sha256 else (self.object_key,)


@dataclass(frozen=True, slots=True)
class Gap:
    """From when to when nothing is recorded, and why. `ended_at` None: it lasts."""

    gap_id: str
    agency_id: str
    camera_id: str
    started_at: datetime
    ended_at: datetime | None
    kind: GapKind
    reason: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """The proof of one batch of one camera that was due under a policy of `keep_s`."""

    deletion_id: str
    camera_id: str
    keep_s: int
    deleted_at: datetime
    segments: int
    size_bytes: int
    oldest_at: datetime
    newest_at: datetime
    leaves: bytes
    digest: str
    sounds: int = 0


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a time window holds."""

    segments: list[Segment] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


def moment(unix_us: int) -> datetime:
    """Unix microseconds as a time of day."""
    return datetime.fromtimestamp(unix_us // 1_000_000, UTC) + timedelta(microseconds=unix_us % 1_000_000)


def microseconds(at: datetime) -> int:
    """The opposite of `moment`."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def check_policy(policy: RecordingPolicy) -> None:
    """Raises `InvalidInput`."""
    found = retention.wrong_keep("policy.keep_s", policy.keep_s)
    if policy.mode is Mode.ON_EVENT:
        if not 0 <= policy.pre_roll_s <= PRE_ROLL_LIMIT_S:
            found.append(Violation("policy.pre_roll_s", f"0 to {PRE_ROLL_LIMIT_S} s can be held in memory"))
        if not POST_ROLL_S[0] <= policy.post_roll_s <= POST_ROLL_S[1]:
            found.append(Violation("policy.post_roll_s", f"is {POST_ROLL_S[0]} to {POST_ROLL_S[1]} s"))
    if found:
        raise InvalidInput(found)


def check_hold(hold: FootageHold) -> None:
    """Raises `InvalidInput`."""
    found = retention.wrong_hold("hold.reason", hold.reason, "hold.ends_at", hold.starts_at, hold.ends_at)
    if found:
        raise InvalidInput(found)


def check_window(starts_at: datetime, ends_at: datetime) -> None:
    """Raises `InvalidInput`."""
    if ends_at <= starts_at:
        raise InvalidInput.one("ends_at", "must be after the start")
    if ends_at - starts_at > LONGEST_WINDOW:
        raise InvalidInput.one("ends_at", "is more than 24 h after the start: ask for a shorter window")


def policy_of(camera_id: str, agency_id: str, policies: dict[tuple[str, str], RecordingPolicy]) -> RecordingPolicy | None:
    """The camera's own policy, else its agency's; None: nobody asked for a recording."""
    return policies.get((agency_id, camera_id)) or policies.get((agency_id, ""))


def coverage(segments: Sequence[Segment], told: Sequence[Gap], starts_at: datetime, ends_at: datetime) -> Coverage:
    """Every part of the window without a segment becomes a gap, with the reasons that were told for it, else "unknown".

    Segments may overlap where the clock stepped back: what is covered is their union.
    """
    ordered = sorted(segments, key=lambda one: (one.started_at, one.ended_at))
    holes, reached = [], starts_at
    for segment in ordered:
        if segment.started_at - reached > _NEXT_TO:
            holes.append((reached, segment.started_at))
        reached = max(reached, segment.ended_at)
    if ends_at - reached > _NEXT_TO:
        holes.append((reached, ends_at))
    found: list[Gap] = []
    for begin, end in holes:
        found += _explained(begin, end, told)
    steps = [gap for gap in told if gap.kind is GapKind.CLOCK_STEP and starts_at <= gap.started_at < ends_at and gap not in found]
    known = {gap.gap_id for gap in found}
    return Coverage(ordered, sorted((*found, *(one for one in steps if one.gap_id not in known)), key=lambda gap: gap.started_at))


def _explained(begin: datetime, end: datetime, told: Sequence[Gap]) -> list[Gap]:
    """The hole cut at the borders of what was told about it."""
    parts: list[Gap] = []
    at = begin
    for gap in sorted(told, key=lambda one: one.started_at):
        gap_end = gap.ended_at or end
        if gap_end <= at or gap.started_at >= end:
            continue
        if gap.started_at - at > _NEXT_TO:
            parts.append(_unknown(at, gap.started_at))
            at = gap.started_at
        until = min(gap_end, end)
        parts.append(Gap(gap.gap_id, gap.agency_id, gap.camera_id, at, until, gap.kind, gap.reason))
        at = until
    if end - at > (_NEXT_TO if parts else timedelta(0)):
        parts.append(_unknown(at, end))
    return parts


def _unknown(begin: datetime, end: datetime) -> Gap:
    return Gap("", "", "", begin, end, GapKind.UNKNOWN, "Nothing is recorded, and no recorder said why.")


def proof_of(deletion_id: str, camera_id: str, keep_s: int, segments: Iterable[Segment], deleted_at: datetime) -> Deletion:
    """Of a batch. The order in which segments were found is part of no proof."""
    batch = list(segments)
    sounds = [segment.sound_sha256 for segment in batch if segment.sound_sha256]
    leaves, digest = retention.sealed(bytes.fromhex(one) for one in (*(segment.sha256 for segment in batch), *sounds))
    return Deletion(
        deletion_id,
        camera_id,
        keep_s,
        deleted_at,
        len(batch),
        sum(segment.size_bytes + segment.sound_bytes for segment in batch),
        min(segment.started_at for segment in batch),
        max(segment.ended_at for segment in batch),
        leaves,
        digest,
        len(sounds),
    )


def proves(deletion: Deletion, sha256: str) -> bool:
    """Whether a segment, or the sound of one, with this hash was in the batch and the proof is whole."""
    return retention.contains(deletion.leaves, deletion.digest, deletion.segments + deletion.sounds, bytes.fromhex(sha256))
