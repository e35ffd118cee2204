"""All recorders of this process: which cameras, under which policy, through the spool to the store, and what goes wrong."""

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from prometheus_client import Counter, Gauge

from rtcc_chassis.errors import RtccError
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_video.engine.stream import LiveStream
from rtcc_video.recording.domain import Gap, GapKind, Mode, RecorderState, RecordingPolicy, Segment, moment, policy_of
from rtcc_video.recording.recorder import CameraRecorder, Clocks
from rtcc_video.recording.segmenter import RawSegment, SegmentLimits
from rtcc_video.recording.spool import Spool, Spooled, SpoolFull, Taken
from rtcc_video.recording.uploader import SPOOL_BYTES, SPOOL_LIMIT_BYTES, Uploader

_log = logging.getLogger(__name__)

_POLICIES_EVERY_S: Final = 5.0
_IN_MEMORY_LIMIT_BYTES: Final = 128 * 1024 * 1024
_ALARM_AFTER_S: Final = 10.0
_ALARM_SHARE: Final = 0.8

RECORDERS = Gauge("rtcc_video_recorders", "Cameras by what their recorder does.", ["state"])
LOST = Counter("rtcc_video_lost_segments", "Segments that could not be kept, each told as a gap.", ["kind"])
for _kind in ("overload", "spool_full"):
    # a series that begins with its first loss would hide that one from every rate
    LOST.labels(_kind)


class RecordedCamera(Protocol):
    """What is needed of a camera's feed."""

    camera_id: str
    agency_id: str
    stream: LiveStream

    def want(self) -> None: ...


class Cameras(Protocol):
    """The cameras that this process has streams of."""

    def all(self) -> Sequence[RecordedCamera]: ...

    def trouble(self, camera_id: str) -> str: ...


class Store(Protocol):
    """The part of the index that is needed here."""

    async def policies(self, scope: Scope) -> dict[tuple[str, str], RecordingPolicy]: ...

    async def standing(self, scope: Scope, camera_ids: Sequence[str]) -> dict[str, tuple[datetime | None, Gap | None]]: ...

    async def put_gaps(self, scope: Scope, gaps: Sequence[Gap]) -> None: ...


class Recording:
    """Runs every camera's recorder. `on_trouble` is told, with the agencies concerned, when it begins and when it ends.

    `measure(agency, camera, segment)` gets every segment that is safe, in the thread that writes them; it must not raise.
    """

    def __init__(
        self,
        cameras: Cameras,
        store: Store,
        spool: Spool,
        uploader: Uploader,
        limits: SegmentLimits,
        on_trouble: Callable[[frozenset[str], str], None],
        clocks: Clocks | None = None,
        measure: Callable[[str, str, RawSegment], None] | None = None,
    ) -> None:
        self._cameras = cameras
        self._measure = measure
        self._store = store
        self._spool = spool
        self._uploader = uploader
        self._limits = limits
        self._on_trouble = on_trouble
        self._clocks = clocks or Clocks()
        self._recorders: dict[str, CameraRecorder] = {}
        self._policies: dict[tuple[str, str], RecordingPolicy] = {}
        self._queue: asyncio.Queue[tuple[CameraRecorder, RawSegment]] = asyncio.Queue()
        self._queued_bytes = 0
        self._gaps: dict[str, Gap] = {}
        self._reported = ""
        self._refresh_due = asyncio.Event()
        self.spool_limit_bytes = spool.limit_bytes
        SPOOL_LIMIT_BYTES.set(spool.limit_bytes)

    @property
    def spool_bytes(self) -> int:
        """What waits for the object store."""
        return self._spool.used_bytes

    def recover(self) -> None:
        """Takes what an earlier life left in the spool. Blocks; raises `OSError`."""
        found = self._spool.recover()
        if found:
            _log.info("%d segments of an earlier run wait in the spool", len(found))
        for spooled in found:
            self._uploader.put(spooled)

    def states(self) -> dict[str, tuple[RecorderState, str, bool]]:
        """Camera -> what its recorder does, why it doesn't record, and whether it hears the camera's sound."""
        return {camera_id: (*recorder.state, recorder.hears_sound) for camera_id, recorder in self._recorders.items()}

    def refresh(self) -> None:
        """A policy changed: look at once."""
        self._refresh_due.set()

    def wanted(self, camera_id: str) -> None:
        """An event names this camera."""
        if (recorder := self._recorders.get(camera_id)) is not None:
            recorder.wanted()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write_for_ever())
            tasks.create_task(self._uploader.run())
            tasks.create_task(self._look_for_ever())

    async def stop(self) -> None:
        """Keeps what every camera has in memory, and says that recording was stopped on purpose."""
        for recorder in self._recorders.values():
            recorder.end(GapKind.STOPPED, "The video service was stopped.")
        while not self._queue.empty():
            await self._write(*self._queue.get_nowait())
        with contextlib.suppress(RtccError):
            await self._put_gaps()

    async def _look_for_ever(self) -> None:
        policies_due_s = 0.0
        while True:
            if time.monotonic() >= policies_due_s or self._refresh_due.is_set():
                self._refresh_due.clear()
                with contextlib.suppress(RtccError):
                    self._policies = await self._store.policies(Scope.platform("video"))
                    policies_due_s = time.monotonic() + _POLICIES_EVERY_S
            try:
                await self._follow_cameras()
                await self._put_gaps()
            except RtccError as error:
                _log.warning("the index of recordings is away: %s", error.message)
            self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._refresh_due.wait()

    def let_go(self) -> None:
        """Ends what isn't ours to record any more, at once: another relay may record it from this moment on."""
        present = {camera.camera_id: camera for camera in self._cameras.all()}
        for camera_id, recorder in list(self._recorders.items()):
            camera = present.get(camera_id)
            if camera is None or camera.stream is not recorder.stream:
                recorder.end(
                    GapKind.STOPPED, "The camera was removed, disabled or given to another agency, or another relay records it from now on."
                )
                del self._recorders[camera_id]

    async def _follow_cameras(self) -> None:
        self.let_go()
        present = {camera.camera_id: camera for camera in self._cameras.all()}
        wanted = {
            camera_id: camera
            for camera_id, camera in present.items()
            if camera_id not in self._recorders and policy_of(camera_id, camera.agency_id, self._policies) is not None
        }
        if wanted:
            standing = await self._store.standing(Scope.platform("video"), sorted(wanted))
            still = {camera.camera_id for camera in self._cameras.all()}
            for camera_id, camera in wanted.items():
                if camera_id not in still:
                    continue
                self._recorders[camera_id] = recorder = CameraRecorder(
                    camera_id,
                    camera.agency_id,
                    camera.stream,
                    self._limits,
                    self._clocks,
                    self._keep,
                    self._on_gap,
                    lambda wanted_id=camera_id: self._cameras.trouble(wanted_id),  # type: ignore[misc] # the default binds this camera
                )
                recorder.trail.resume(*standing[camera_id])
        for camera_id, recorder in self._recorders.items():
            policy = policy_of(camera_id, recorder.agency_id, self._policies)
            recorder.follow(policy)
            if policy is not None and policy.mode is not Mode.OFF:
                present[camera_id].want()

    def _look(self) -> None:
        states = {state: 0 for state in RecorderState}
        for recorder in self._recorders.values():
            recorder.look()
            states[recorder.state[0]] += 1
        for state, count in states.items():
            RECORDERS.labels(state.value).set(count)
        SPOOL_BYTES.set(self._spool.used_bytes)
        reason = self._trouble()
        if bool(reason) != bool(self._reported):
            self._on_trouble(frozenset(recorder.agency_id for recorder in self._recorders.values()), reason)
            (_log.error if reason else _log.info)("recording: %s", reason or "everything is stored again")
        self._reported = reason

    def _trouble(self) -> str:
        used, limit = self._spool.used_bytes, self._spool.limit_bytes
        if used > _ALARM_SHARE * limit:
            return (
                f"The spool of recorded video is {100 * used // limit} % full: {self._uploader.failure or 'the object store is too slow'}"
            )
        since_s = self._uploader.failing_since_s
        if since_s is not None and time.monotonic() - since_s > _ALARM_AFTER_S:
            return f"Recorded video waits on the local disk, up to {limit >> 20} MiB: {self._uploader.failure}"
        return ""

    def _keep(self, recorder: CameraRecorder, raw: RawSegment) -> None:
        size = raw.size_bytes
        if self._queued_bytes + size > _IN_MEMORY_LIMIT_BYTES:
            LOST.labels("overload").inc()
            recorder.lost(raw, GapKind.OVERLOAD, "The server's disk is slower than the cameras.")
            return
        self._queued_bytes += size
        self._queue.put_nowait((recorder, raw))

    async def _write_for_ever(self) -> None:
        while True:
            await self._write(*await self._queue.get())

    async def _write(self, recorder: CameraRecorder, raw: RawSegment) -> None:
        try:
            spooled, taken = await asyncio.to_thread(self._spool_segment, recorder, raw)
        except SpoolFull as error:
            LOST.labels("spool_full").inc()
            recorder.lost(raw, GapKind.SPOOL_FULL, f"Nowhere to keep it: {error}, and the object store doesn't take it.")
        except OSError as error:
            LOST.labels("spool_full").inc()
            recorder.lost(raw, GapKind.SPOOL_FULL, f"The spool can't be written: {error.strerror}.")
        else:
            recorder.stored(raw)
            self._uploader.put(spooled, taken)
        finally:
            self._queued_bytes -= raw.size_bytes

    def _spool_segment(self, recorder: CameraRecorder, raw: RawSegment) -> tuple[Spooled, Taken]:
        data, sound = raw.to_bytes(), raw.sound_bytes()
        segment = describe(recorder, raw, data, sound)
        spooled = self._spool.put(segment, raw.init, data, sound)
        if self._measure is not None:
            self._measure(recorder.agency_id, recorder.camera_id, raw)
        return spooled, Taken(segment, raw.init, data, sound)

    def _on_gap(self, gap: Gap) -> None:
        self._gaps[gap.gap_id] = gap

    async def _put_gaps(self) -> None:
        if self._gaps:
            gaps = dict(self._gaps)
            await self._store.put_gaps(Scope.platform("video"), list(gaps.values()))
            for gap_id, gap in gaps.items():
                if self._gaps.get(gap_id) is gap:
                    del self._gaps[gap_id]


def describe(recorder: CameraRecorder, raw: RawSegment, data: bytes, sound: bytes) -> Segment:
    """The index row of a segment."""
    started, segment_id = moment(raw.started_us), new_id()
    camera_started = moment(raw.camera_started_us) if raw.camera_started_us is not None else None
    difference_us = raw.received_us - raw.camera_started_us if raw.camera_started_us is not None else 0
    return Segment(
        segment_id=segment_id,
        agency_id=recorder.agency_id,
        camera_id=recorder.camera_id,
        started_at=started,
        ended_at=moment(raw.ended_us),
        camera_started_at=camera_started,
        clock_difference_ms=difference_us // 1000,
        init_id=raw.init.init_id,
        object_key=f"footage/{recorder.camera_id}/{started.astimezone(UTC):%Y/%m/%d/%H}/{raw.started_us}-{segment_id}.m4s",
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        pictures=len(raw.pictures),
        continues=raw.continues,
        starts_with_key=raw.starts_with_key,
        sound_sha256=hashlib.sha256(sound).hexdigest() if sound else "",
        sound_bytes=len(sound),
    )
