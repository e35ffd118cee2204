"""Takes the key pictures of recorded segments to the model's process, and what it saw into the index. One for all cameras.

The table of examined segments is the queue's memory: after a restart it goes on where it was, and a segment that came late (from the
spool after an outage) is found too.
"""

import asyncio
import json
import logging
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from prometheus_client import Counter, Gauge

from rtcc_chassis.errors import NotFound, RtccError
from rtcc_chassis.identifiers import derived_id
from rtcc_chassis.scope import Scope
from rtcc_video.recording.domain import Segment
from rtcc_video.recording.fmp4 import Init, MalformedMp4
from rtcc_video.recording.footage import key_picture
from rtcc_video.searching.child import Child, ChildDied, ChildFailed
from rtcc_video.searching.domain import COLOURS, Box, Lead
from rtcc_video.searching.model import ModelDeclaration

_log = logging.getLogger(__name__)

_LENGTH = struct.Struct("!I")
_BATCH: Final = 32
_IDLE_S: Final = 2.0
_WAIT_S: Final = 10.0
_PICTURE_LIMIT_BYTES: Final = 16_000_000
# how far behind the newest examined segment the usual look begins; all of the backlog is looked through now and then
_LATE: Final = timedelta(minutes=10)
_WHOLE_LOOK_S: Final = 300.0

EXAMINED = Counter("rtcc_video_examined_pictures", "Key pictures of recordings for the configured model.", ["outcome"])
for _outcome in ("done", "failed", "dropped"):
    # a series that begins with its first loss would hide that one from every rate
    EXAMINED.labels(_outcome)
LAG = Gauge("rtcc_video_examination_lag_seconds", "How old the picture is that the model looks at now; 0: nothing waits.")
TROUBLE = Gauge("rtcc_video_examination_trouble", "1 while a model is configured and can't be used.")


@dataclass(frozen=True, slots=True)
class Model:
    """What is configured."""

    model_file: Path
    sha256: str
    declaration_file: Path
    declaration: ModelDeclaration
    memory_limit_mb: int

    @property
    def name(self) -> str:
        """As it stands beside what it saw."""
        return self.sha256[:12]


class Index(Protocol):
    """The part of the index that is needed here."""

    async def waiting(self, scope: Scope, since: datetime, limit: int) -> list[Segment]: ...

    async def count_waiting(self, scope: Scope, since: datetime, until: datetime) -> int: ...

    async def put_examination(self, scope: Scope, segment: Segment, outcome: str, model: str, leads: Sequence[Lead]) -> None: ...


class Inits(Protocol):
    """Where initialisation segments are."""

    async def inits(self, scope: Scope, init_ids: Sequence[str]) -> dict[str, Init]: ...


class Objects(Protocol):
    """Where the bytes are."""

    async def get(self, scope: Scope, agency_id: str, key: str) -> bytes: ...


class DetectorProcess:
    """The child that holds the model."""

    def __init__(self, model: Model) -> None:
        files = (str(model.model_file), model.sha256, str(model.declaration_file), str(model.memory_limit_mb))
        self._child = Child("rtcc_video.searching.detector_child", files)

    async def look(self, picture: bytes) -> list[list[str | float]]:
        """Raises `ChildFailed` when the model can't be used, `ChildDied`, and `ValueError` when the picture can't be understood."""
        if len(picture) > _PICTURE_LIMIT_BYTES:
            raise ValueError("the key picture is too large")
        status, body = await self._child.ask(_LENGTH.pack(len(picture)) + picture)
        if status:
            raise ValueError(body.decode("utf-8", "replace")[:300])
        found: list[list[str | float]] = json.loads(body)
        return found

    async def stop(self) -> None:
        """Ends the child."""
        await self._child.stop()


class Examiner:
    """`backlog`: what is older isn't looked at any more, is counted as dropped, and a search says so."""

    def __init__(
        self, index: Index, inits: Inits, objects: Objects, model: Model, backlog: timedelta, clock: Callable[[], datetime]
    ) -> None:
        self._index = index
        self._inits = inits
        self._objects = objects
        self._model = model
        self._backlog = backlog
        self._clock = clock
        self._process = DetectorProcess(model)
        self._known: dict[tuple[str, str], Init] = {}
        self._since: datetime | None = None
        self._whole_due_s = 0.0
        self.trouble = ""

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                try:
                    busy = await self.work()
                except RtccError as error:
                    _log.warning("examining recordings waits: %s", error.message)
                    busy = False
                except ChildFailed as error:
                    if str(error) != self.trouble:
                        _log.error("recordings aren't examined: %s", error)
                    self.trouble = str(error)
                    TROUBLE.set(1)
                    await asyncio.sleep(_WAIT_S)
                    continue
                if not busy:
                    await asyncio.sleep(_IDLE_S)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Ends the model's process."""
        await self._process.stop()

    async def work(self) -> bool:
        """One batch; whether more may wait. Raises `RtccError`, `ChildFailed`."""
        loop_s = asyncio.get_running_loop().time()
        oldest = self._clock() - self._backlog
        await self._drop(oldest)
        if loop_s >= self._whole_due_s or self._since is None:
            self._since, self._whole_due_s = oldest, loop_s + _WHOLE_LOOK_S
        since = max(oldest, self._since)
        segments = await self._index.waiting(Scope.platform("video"), since, _BATCH)
        LAG.set(max(0.0, (self._clock() - segments[0].started_at).total_seconds()) if segments else 0.0)
        for segment in segments:
            await self._examine(segment)
        if segments:
            self._since = max(since, segments[-1].started_at - _LATE)
        return len(segments) == _BATCH

    async def _drop(self, oldest: datetime) -> None:
        """Counts what has become too old since the last look."""
        if self._since is not None and oldest > self._since:
            count = await self._index.count_waiting(Scope.platform("video"), self._since, oldest)
            if count:
                EXAMINED.labels("dropped").inc(count)
                _log.warning("the model is too slow: %d key pictures older than %s weren't examined", count, self._backlog)
            self._since = oldest

    async def _examine(self, segment: Segment) -> None:
        owner = Scope.service("video", segment.agency_id)
        try:
            picture, taken_at = await self._picture(owner, segment)
            seen = await self._look(picture)
            outcome, leads = "done", [_lead(one, number, segment, taken_at, self._model.name) for number, one in enumerate(seen)]
        except NotFound:
            # deleted meanwhile, or lost: nobody can look at it
            outcome, leads = "failed", []
        except (MalformedMp4, KeyError, ValueError) as error:
            _log.info("segment %s isn't examined: %s", segment.segment_id, error)
            outcome, leads = "failed", []
        await self._index.put_examination(owner, segment, outcome, self._model.name, leads)
        EXAMINED.labels(outcome).inc()

    async def _look(self, picture: bytes) -> list[list[str | float]]:
        """A picture that ends the process twice is given up. Raises `ChildFailed`, `ValueError`."""
        try:
            found = await self._process.look(picture)
        except ChildDied:
            try:
                found = await self._process.look(picture)
            except ChildDied as error:
                raise ValueError(str(error)) from error
        if self.trouble:
            _log.info("recordings are examined again")
        self.trouble = ""
        TROUBLE.set(0)
        return found

    async def _picture(self, owner: Scope, segment: Segment) -> tuple[bytes, datetime]:
        key = (segment.agency_id, segment.init_id)
        if key not in self._known:
            found = await self._inits.inits(owner, [segment.init_id])
            if len(self._known) > 500:
                self._known.clear()
            self._known[key] = found[segment.init_id]
        data = await self._objects.get(owner, segment.agency_id, segment.object_key)
        return key_picture(self._known[key].data, data, segment, segment.started_at)


def _lead(seen: Sequence[str | float], number: int, segment: Segment, taken_at: datetime, model: str) -> Lead:
    """Raises `ValueError` for an answer of another shape: the child isn't believed blindly."""
    kind, *numbers, colour = seen
    if not isinstance(kind, str) or len(numbers) != 5 or (colour and colour not in COLOURS):
        raise ValueError("the model's process answered something else than what it saw")
    score, left, top, width, height = (float(one) for one in numbers)
    lead_id = derived_id("footage detection", segment.segment_id, model, str(number))
    return Lead(lead_id, segment.camera_id, segment.agency_id, taken_at, kind, score, Box(left, top, width, height), str(colour), model)
