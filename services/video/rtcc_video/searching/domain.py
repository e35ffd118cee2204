"""Windows, spans of motion, questions and leads. No I/O, no clock."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from rtcc_chassis.errors import InvalidInput

MINUTE: Final = timedelta(minutes=1)
UNKNOWN: Final = 0
SCENE_CHANGE: Final = 255
DEFAULT_THRESHOLD: Final = 48
MOST_CAMERAS: Final = 200
MOST_MOTION_CAMERAS: Final = 16
MOST_LEADS: Final = 200
LONGEST_SEARCH: Final = timedelta(days=7)
COLOURS: Final = ("black", "white", "grey", "red", "orange", "brown", "yellow", "green", "blue", "purple")
MOTION: Final = "motion"
SCENE: Final = "scene_change"
NOTICE: Final = (
    "Leads, not proof: a number says how sure a program is, not whether it is right. Look at the picture and its surroundings before "
    "anybody acts on it. Nobody is recognised here."
)
_MOST_BUCKETS: Final = 1440
_MOST_SPANS: Final = 2000
# two stretches of motion with less than this between them are one
_JOIN_S: Final = 3


@dataclass(frozen=True, slots=True)
class MotionMinute:
    """60 bytes from a whole minute on: 0 not known, 1 to 254 one more than the score, 255 the scene changed."""

    camera_id: str
    minute: datetime
    scores: bytes


@dataclass(frozen=True, slots=True)
class MotionSpan:
    """From the first second to the end of the last. `peak`: 0 to 253."""

    started_at: datetime
    ended_at: datetime
    peak: int
    peak_at: datetime
    scene_change: bool


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, 0 to 1 of its width and height from the top left."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Lead:
    """Something to look at."""

    lead_id: str
    camera_id: str
    agency_id: str
    at: datetime
    kind: str
    score: float
    box: Box | None = None
    colour: str = ""
    model: str = ""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for. `kinds` empty: whatever a model saw."""

    starts_at: datetime
    ends_at: datetime
    kinds: tuple[str, ...] = ()
    colour: str = ""
    least_score: float = 0.0
    limit: int = 60

    @property
    def of_models(self) -> bool:
        """Whether it asks for anything that only a model can see."""
        return not self.kinds or bool(set(self.kinds) - {MOTION, SCENE})


def check_question(question: Question) -> None:
    """Raises `InvalidInput`."""
    if question.ends_at <= question.starts_at:
        raise InvalidInput.one("ends_at", "must be after the start")
    if question.ends_at - question.starts_at > LONGEST_SEARCH:
        raise InvalidInput.one("ends_at", "is more than 7 days after the start: ask for a shorter window")
    if len(question.kinds) > 20 or any(not 0 < len(kind) <= 60 or not kind.isprintable() for kind in question.kinds):
        raise InvalidInput.one("kinds", "are at most 20, each 1 to 60 printable characters")
    if question.colour and question.colour not in COLOURS:
        raise InvalidInput.one("colour", f"is one of: {', '.join(COLOURS)}")
    if not 0 <= question.least_score <= 1:
        raise InvalidInput.one("least_score", "is 0 to 1")
    if not 1 <= question.limit <= MOST_LEADS:
        raise InvalidInput.one("limit", f"is 1 to {MOST_LEADS}")


def check_threshold(threshold: int) -> int:
    """The threshold that counts; 0: the default. Raises `InvalidInput`."""
    if not 0 <= threshold <= 253:
        raise InvalidInput.one("threshold", "is 1 to 253, or 0 for the default")
    return threshold or DEFAULT_THRESHOLD


def step_of(starts_at: datetime, ends_at: datetime) -> int:
    """Whole seconds, so that a window has at most 1440 steps."""
    return max(1, -(-int((ends_at - starts_at).total_seconds()) // _MOST_BUCKETS))


def seconds_of(minutes: Iterable[MotionMinute]) -> Iterator[tuple[int, int]]:
    """(Unix second, byte) of what is known, in the order of the minutes."""
    for one in minutes:
        first = int(one.minute.timestamp())
        for offset, value in enumerate(one.scores):
            if value != UNKNOWN:
                yield first + offset, value


def buckets(minutes: Sequence[MotionMinute], starts_at: datetime, ends_at: datetime) -> bytes:
    """The highest byte of each step of the window."""
    step, first = step_of(starts_at, ends_at), int(starts_at.timestamp())
    found = bytearray(-(-int((ends_at - starts_at).total_seconds()) // step) or 1)
    for second, value in seconds_of(minutes):
        at = (second - first) // step
        if 0 <= at < len(found) and value > found[at]:
            found[at] = value
    return bytes(found)


def spans(minutes: Sequence[MotionMinute], starts_at: datetime, ends_at: datetime, threshold: int) -> list[MotionSpan]:
    """What reaches the threshold in the window, in order. A change of scene is a span of its own."""
    first, last = starts_at.timestamp(), ends_at.timestamp()
    found: list[MotionSpan] = []
    run: list[tuple[int, int]] = []
    for second, value in seconds_of(minutes):
        if not first - 1 < second < last or value - 1 < threshold:
            continue
        if run and (second - run[-1][0] > _JOIN_S or (value == SCENE_CHANGE) != (run[-1][1] == SCENE_CHANGE)):
            found.append(_span(run))
            run = []
        run.append((second, value))
    if run:
        found.append(_span(run))
    return found[:_MOST_SPANS]


def _span(run: Sequence[tuple[int, int]]) -> MotionSpan:
    peak = max(value for _, value in run)
    # of a plateau the middle: there whoever came into the picture is in it
    highest = [second for second, value in run if value == peak]
    peak_second = highest[len(highest) // 2]
    return MotionSpan(_at(run[0][0]), _at(run[-1][0] + 1), min(peak - 1, 253), _at(peak_second), peak == SCENE_CHANGE)


def motion_leads(minutes: Mapping[tuple[str, str], Sequence[MotionMinute]], question: Question) -> list[Lead]:
    """(agency, camera) -> minutes. One lead for each stretch of motion; `least_score` says what counts as motion."""
    threshold = max(DEFAULT_THRESHOLD, round(question.least_score * 253))
    found = []
    for (agency_id, camera_id), of_camera in minutes.items():
        for span in spans(of_camera, question.starts_at, question.ends_at, threshold):
            kind = SCENE if span.scene_change else MOTION
            if kind in question.kinds:
                name = f"{kind}-{camera_id}-{int(span.peak_at.timestamp())}"
                found.append(Lead(name, camera_id, agency_id, span.peak_at, kind, span.peak / 253, ended_at=span.ended_at))
    return found


def best(leads: Iterable[Lead], limit: int) -> list[Lead]:
    """The surest first, the newest of equals."""
    return sorted(leads, key=lambda lead: (-lead.score, -lead.at.timestamp(), lead.lead_id))[:limit]


def _at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
