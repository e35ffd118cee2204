"""One camera: its source kept running, its stream, its health."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

from rtcc_video.domain import MAIN_STREAM, CameraHealth, CameraState, Rate, as_cause, retry_delay_s, state_of
from rtcc_video.engine.h264 import AccessUnit, MalformedBitstream
from rtcc_video.engine.stream import LiveStream, StreamLimits, UnforwardableVideo
from rtcc_video.sources.sound_inlet import SoundReport
from rtcc_video.sources.source import Conversion, NeedsConversion, Source, SourceFailed
from rtcc_video.timing import SourceClock

_log = logging.getLogger(__name__)

_STEADY_AFTER_S = 10.0
_SHORTEST_REST_S = 3.0
# so many unreadable pictures in a row: not noise but something else than H.264
_BROKEN_UNITS_LIMIT = 30
# so long a source goes on beside the one that follows it
HAND_OVER_S = 6.0

type OpenSource = Callable[[], Awaitable[Source]]


class Feed:
    """Runs one stream of a camera again and again with back-off, and forwards its pictures.

    `open_source` makes the source anew for each try (the address may have changed); `clock` gives monotonic seconds. `always`: connected
    whether somebody watches or not; else `want` connects it, and `rest_when_idle` ends it some time after the last watcher.
    """

    def __init__(
        self,
        camera_id: str,
        agency_id: str,
        open_source: OpenSource,
        limits: StreamLimits,
        clock: Callable[[], float],
        *,
        stream_id: str = MAIN_STREAM,
        always: bool = True,
    ) -> None:
        self.camera_id = camera_id
        self.agency_id = agency_id
        self.stream_id = stream_id
        self.always = always
        # its device sends by itself: nothing is opened, and `publishing` says whether it does
        self.published = False
        self.publishing = False
        # asks who sends for a key picture, where that is possible
        self.ask_for_key_picture: Callable[[], None] | None = None
        # what has to be converted ("H265", "H264 with B-frames"); "": nothing. What its process does stands in `conversion`
        self.converted = ""
        self.conversion = Conversion()
        # what is known of its sound, where that is allowed
        self.sound_report = SoundReport()
        self.stream = LiveStream(limits, clock)
        self._open_source = open_source
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._turn: _Turn | None = None
        # the source before, which goes on until the new one gives a picture
        self._leaving: asyncio.Task[None] | None = None
        self._leaving_turn: _Turn | None = None
        self._leaving_until: asyncio.TimerHandle | None = None
        self._failure = ""
        self._failed_s = 0.0
        self._connected = False
        self._connected_s = 0.0
        self._failures = 0
        self._retry_now = asyncio.Event()
        self._wanted_s = clock()
        self._timing = SourceClock()
        self._resting = ""
        self._broken_units = 0
        # since when another relay can't be reached that should give the pictures
        self._cut_off_s: float | None = None
        self._key_s: float | None = None
        self._key_interval_s = 0.0
        self._frames = Rate()
        self._octets = Rate()

    @property
    def running(self) -> bool:
        """Whether the source is wanted, or its device sends."""
        return self._task is not None or self.publishing

    @property
    def trouble(self) -> str:
        """Why no pictures come, in words; "" while they should."""
        return as_cause(self._failure) or ("" if self._connected else "The camera isn't connected yet.")

    @property
    def cut_off_s(self) -> float:
        """For how long the relay that should give the pictures couldn't be reached."""
        return 0.0 if self._cut_off_s is None else self._clock() - self._cut_off_s

    @property
    def watched(self) -> bool:
        """Whether anybody takes the pictures."""
        return self.stream.watched

    @property
    def watched_live(self) -> bool:
        """Whether somebody waits for each picture."""
        return self.stream.watched_live

    def start(self) -> None:
        """Begins; harmless when it runs already, or its device begins by itself."""
        if self._task is None and not self.published:
            self._turn = _Turn(self)
            self._task = asyncio.get_running_loop().create_task(self._run_forever(self._turn), name=f"camera-{self.camera_id}")

    def want(self) -> None:
        """Somebody is about to watch: begins, or goes on, for a while at least."""
        self._wanted_s = self._clock()
        self.start()
        if self.ask_for_key_picture is not None and not self.stream.group:
            self.ask_for_key_picture()

    def give(self) -> LiveStream:
        """The stream for a viewer whose link carries no more: connected, or about to be."""
        self.want()
        return self.stream

    def begin_publishing(self, ask_for_key_picture: Callable[[], None]) -> None:
        """The device begins to send."""
        self.publishing = True
        self.ask_for_key_picture = ask_for_key_picture
        self._failure = ""

    def end_publishing(self, failure: str) -> None:
        """The device stopped, in peace ("") or with a `failure` that somebody must mend."""
        self.publishing, self._connected = False, False
        self.ask_for_key_picture = None
        self._failure = failure
        self.stream.rest()

    def rest_when_idle(self, idle_s: float) -> asyncio.Task[None] | None:
        """Ends a source that nobody has watched or wanted for `idle_s`; call it now and then. Returns as `end`."""
        now_s = self._clock()
        if self.stream.watched:
            self._wanted_s = now_s
        if (self.always and not self.converted) or self._task is None or now_s - self._wanted_s <= idle_s:
            return None
        return self.end()

    def end(self) -> asyncio.Task[None] | None:
        """Ends the source without waiting; returns what is still to come to its end."""
        self._end_leaving()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            self._failure, self._failures, self._connected = "", 0, False
            # asked anew at the next start: the camera may have been set to something else meanwhile
            self._resting = f"The camera sends {self.converted}, which is converted while somebody watches." if self.converted else ""
            self.converted = ""
            self.stream.rest()
        return task

    async def stop(self) -> None:
        """Ends the source and waits until it is gone."""
        task = self.end()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    async def restart(self) -> None:
        """Ends the source and begins with a fresh address."""
        wanted = self._task is not None
        await self.stop()
        if wanted:
            self.start()

    def hand_over(self, *, go_on: bool = True) -> None:
        """Opens the source anew, elsewhere: the one before goes on until the new one gives a picture, or for some seconds.

        `go_on` False: nobody here wants the pictures any more, and only those who still take them have these seconds to go elsewhere.
        """
        if self._task is None:
            return
        self._end_leaving()
        self._leaving, self._leaving_turn, self._task = self._task, self._turn, None
        self._leaving_until = asyncio.get_running_loop().call_later(HAND_OVER_S, self._end_leaving)
        self._failure, self._failures, self._cut_off_s, self.converted = "", 0, None, ""
        if go_on:
            self.start()

    def runs(self, turn: "_Turn") -> bool:
        """Whether this run of a source still counts."""
        return turn is self._turn or (self._leaving is not None and turn is self._leaving_turn)

    def hands_over_to(self, turn: "_Turn") -> bool:
        """Whether this run waits for its first picture beside the one before."""
        return turn is self._turn and self._leaving is not None

    def take_over(self, nals: tuple[bytes, ...]) -> None:
        """The new source has its first picture: the one before ends."""
        self._end_leaving()
        self.on_parameter_sets(nals)

    def _end_leaving(self) -> None:
        leaving, self._leaving, self._leaving_turn = self._leaving, None, None
        if leaving is not None:
            leaving.cancel()
            if self._task is None:
                self._connected = False
                self.stream.rest()
        if self._leaving_until is not None:
            self._leaving_until.cancel()
            self._leaving_until = None

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
        if not self.running:
            reason = reason or ("Its device isn't sending now." if self.published else self._resting)
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
            self._key_interval_s if moving else 0.0,
            (self.conversion.codec or "H264") if moving else "",
            self.conversion.cores if self.conversion.converts else 0.0,
            sound_allowed=stream.sound.allowed,
            sound_reason=self.sound_report.reason if stream.sound.allowed and moving else "",
            sound_cores=self.sound_report.cores,
        )

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        """See `sources.Sink`."""
        self._connected = True
        self._connected_s = self._clock()
        self._timing = SourceClock()
        self._broken_units = 0
        self._key_s = None
        self.stream.restart_clock()
        try:
            self.stream.learn_parameter_sets(nals)
        except MalformedBitstream as error:
            raise SourceFailed(str(error), lasting=True) from error

    def on_unit(self, unit: AccessUnit) -> None:
        """See `sources.Sink`."""
        now_s = self._clock()
        timestamp = self._timing.stamp(unit.timestamp, now_s)
        try:
            self.stream.publish(unit if timestamp == unit.timestamp else replace(unit, timestamp=timestamp))
        except UnforwardableVideo as error:
            raise NeedsConversion("H264 with B-frames", str(error)) from error
        except MalformedBitstream as error:
            # One damaged picture is dropped like a lost one.
            self._broken_units += 1
            if self._broken_units >= _BROKEN_UNITS_LIMIT:
                raise SourceFailed(str(error), lasting=True) from error
            return
        self._broken_units = 0
        self._cut_off_s = None
        if unit.key:
            self._key_interval_s = 0.0 if self._key_s is None else now_s - self._key_s
            self._key_s = now_s
        self._failure = ""
        if self._failures and self._clock() - self._connected_s > _STEADY_AFTER_S:
            self._failures = 0

    async def _run_forever(self, turn: "_Turn") -> None:
        while True:
            lasting, first_s = False, None
            self._retry_now.clear()
            try:
                source = await self._open_source()
                await source.run(turn)
                failure = "The source ended by itself; it is opened again."
            except NeedsConversion as error:
                if not self.converted and turn is self._turn:
                    self.converted = error.codec
                    self._connected = False
                    continue
                failure, lasting = error.reason, True
            except SourceFailed as error:
                failure, lasting, first_s = error.reason, error.lasting, error.retry_s
                if error.cut_off and self._cut_off_s is None:
                    self._cut_off_s = self._clock()
            except Exception:
                _log.exception("camera %s: its source broke in an unforeseen way", self.camera_id)
                failure = "The video service failed on this camera's stream; tell its operator."
            if turn is not self._turn:
                # it was leaving anyway
                return
            self._failure, self._connected = failure, False
            self._failed_s = self._clock()
            self._failures += 1
            if self._failures in (1, 5) or self._failures % 50 == 0:
                _log.warning("camera %s: %s (failure %d in a row)", self.camera_id, self._failure, self._failures)
            delay_s = retry_delay_s(self._failures, lasting, first_s) * random.uniform(0.8, 1.2)
            try:
                async with asyncio.timeout(delay_s):
                    await self._retry_now.wait()
            except TimeoutError:
                continue


class _Turn:
    """What one run of a feed's source gives its pictures to: while the run before goes on, nothing passes before the first key picture."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._begun = False
        self._parameter_sets: tuple[bytes, ...] = ()

    def on_parameter_sets(self, nals: tuple[bytes, ...]) -> None:
        """See `sources.Sink`."""
        self._begun = not self._feed.hands_over_to(self)
        if self._begun:
            self._feed.on_parameter_sets(nals)
        else:
            self._parameter_sets = nals

    def on_unit(self, unit: AccessUnit) -> None:
        """See `sources.Sink`."""
        if not self._feed.runs(self):
            return
        if not self._begun:
            if not unit.key:
                return
            self._begun = True
            self._feed.take_over(self._parameter_sets)
        self._feed.on_unit(unit)
