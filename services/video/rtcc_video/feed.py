"""One camera: its source kept running, its stream, its health."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from rtcc_video.domain import CameraHealth, CameraState, Rate, as_cause, retry_delay_s, state_of
from rtcc_video.engine.h264 import AccessUnit, MalformedBitstream
from rtcc_video.engine.stream import LiveStream, StreamLimits, UnforwardableVideo
from rtcc_video.sources.source import Source, SourceFailed

_log = logging.getLogger(__name__)

_STEADY_AFTER_S = 10.0
_SHORTEST_REST_S = 3.0

type OpenSource = Callable[[], Awaitable[Source]]


class Feed:
    """Runs a camera's source again and again with back-off, and forwards its pictures to the stream.

    `open_source` makes the source anew for each try (the address may have changed); `clock` gives monotonic seconds.
    """

    def __init__(self, camera_id: str, agency_id: str, open_source: OpenSource, limits: StreamLimits, clock: Callable[[], float]) -> None:
        self.camera_id = camera_id
        self.agency_id = agency_id
        self.stream = LiveStream(limits, clock)
        self._open_source = open_source
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._failure = ""
        self._failed_s = 0.0
        self._connected = False
        self._connected_s = 0.0
        self._failures = 0
        self._retry_now = asyncio.Event()
        self._frames = Rate()
        self._octets = Rate()

    @property
    def running(self) -> bool:
        """Whether the source is wanted."""
        return self._task is not None

    def start(self) -> None:
        """Begins; harmless when it runs already."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run_forever(), name=f"camera-{self.camera_id}")

    def end(self) -> asyncio.Task[None] | None:
        """Ends the source without waiting; returns what is still to come to its end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        return task

    async def stop(self) -> None:
        """Ends the source and waits until it is gone."""
        task = self.end()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    async def restart(self) -> None:
        """Ends the source and begins with a fresh address."""
        wanted = self.running
        await self.stop()
        self._failure, self._failures, self._connected = "", 0, False
        if wanted:
            self.start()

    def retry(self) -> None:
        """Ends a wait between tries: somebody wants to see it now. At most every 3 s, or a broken camera would get no rest."""
        if self._failure and self._clock() - self._failed_s > _SHORTEST_REST_S:
            self._retry_now.set()

    def measure(self, viewers: int) -> CameraHealth:
        """The health now; to be called about once a second, for the rates are taken between calls."""
        now_s = self._clock()
        stream = self.stream
        self._frames = self._frames.advanced(stream.frames_total, now_s)
        self._octets = self._octets.advanced(stream.octets_total, now_s)
        age_s = None if stream.last_unit_s is None else now_s - stream.last_unit_s
        state = state_of(self._connected, self._failure, age_s, self.running)
        moving = state in (CameraState.LIVE, CameraState.STALLED)
        parameters = stream.sequence_parameters
        reason = self._failure
        if state is CameraState.STALLED and age_s is not None:
            reason = "The camera is connected but sends no new pictures."
        return CameraHealth(
            self.camera_id,
            self.agency_id,
            state,
            as_cause(reason),
            self._frames.per_second if moving else 0.0,
            self._octets.per_second * 8 / 1000 if moving else 0.0,
            parameters.width_px if parameters else 0,
            parameters.height_px if parameters else 0,
            age_s,
            viewers,
        )

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        """See `sources.Sink`."""
        self._connected = True
        self._connected_s = self._clock()
        self.stream.restart_clock()
        try:
            self.stream.learn_parameter_sets(nals)
        except MalformedBitstream as error:
            raise SourceFailed(str(error), lasting=True) from error

    def on_unit(self, unit: AccessUnit) -> None:
        """See `sources.Sink`."""
        try:
            self.stream.publish(unit)
        except (UnforwardableVideo, MalformedBitstream) as error:
            raise SourceFailed(str(error), lasting=True) from error
        self._failure = ""
        if self._failures and self._clock() - self._connected_s > _STEADY_AFTER_S:
            self._failures = 0

    async def _run_forever(self) -> None:
        while True:
            lasting = False
            self._retry_now.clear()
            try:
                source = await self._open_source()
                await source.run(self)
                self._failure = "The source ended by itself; it is opened again."
            except SourceFailed as error:
                self._failure, lasting = error.reason, error.lasting
            except Exception:
                _log.exception("camera %s: its source broke in an unforeseen way", self.camera_id)
                self._failure = "The video service failed on this camera's stream; tell its operator."
            self._connected = False
            self._failed_s = self._clock()
            self._failures += 1
            if self._failures in (1, 5) or self._failures % 50 == 0:
                _log.warning("camera %s: %s (failure %d in a row)", self.camera_id, self._failure, self._failures)
            delay_s = retry_delay_s(self._failures, lasting) * random.uniform(0.8, 1.2)
            try:
                async with asyncio.timeout(delay_s):
                    await self._retry_now.wait()
            except TimeoutError:
                continue
