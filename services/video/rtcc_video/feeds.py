"""All cameras: which feeds exist, follows the directory, finds out each camera's stream address."""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from rtcc.registry.v1.registry_pb2 import (
    CAMERA_PULL_ALWAYS,
    CAMERA_PULL_UNSPECIFIED,
    CAMERA_STREAM_ROLE_LOW,
    Camera,
    CameraStreamRole,
)
from rtcc_video.domain import MAIN_STREAM, CameraHealth, CameraState, StreamAddresses
from rtcc_video.engine.accelerator import Accelerator
from rtcc_video.engine.intake import Intake
from rtcc_video.feed import Feed
from rtcc_video.settings import VideoSettings
from rtcc_video.sources.leisure import Leisure, LeisurelyReader
from rtcc_video.sources.libav import LIBAV_SCHEMES, LibavRequest, LibavSource, TranscoderSlots, options_of, place_of
from rtcc_video.sources.rtsp import RtspSource
from rtcc_video.sources.rtsp_messages import UnusableAddress, parse_address
from rtcc_video.sources.rtsp_udp import DATAGRAM_LIMIT_BYTES
from rtcc_video.sources.sound_conversion import SoundConverters
from rtcc_video.sources.sound_inlet import SoundWay
from rtcc_video.sources.source import Sink, Source, SourceFailed

_log = logging.getLogger(__name__)

# so long the relay that takes a camera may be cut off before this one connects to the camera by itself, and for how long it then does
_CUT_OFF_S = 3.0
_BY_ITSELF_S = 30.0
_HERE = ""

# The addresses of a camera's streams, from the registry: (agency, camera) -> addresses. Raises `SourceFailed`.
type ReadAddresses = Callable[[str, str], Awaitable[StreamAddresses]]


@dataclass(slots=True)
class _Known:
    """A camera's feeds by stream, the main one first, then the further ones, best first."""

    agency_id: str
    camera: Camera
    # the relay that takes the camera's pictures and gives them to the others
    origin: str
    feeds: dict[str, Feed]
    roles: dict[str, CameraStreamRole.ValueType] = field(default_factory=dict)
    addresses: StreamAddresses | None = field(default=None, repr=False)
    changes: int = 0

    @property
    def here(self) -> bool:
        """Whether that is this relay."""
        return self.origin == _HERE


class Elsewhere(Protocol):
    """Where cameras are taken when several relays share them; see `cascade.placement`."""

    @property
    def relays(self) -> int: ...

    def origin(self, camera_id: str) -> str: ...

    def here(self, camera_id: str) -> bool: ...

    def sent(self, camera_id: str) -> bool: ...

    def publish(self, camera_id: str, sends: bool) -> None: ...

    def source(self, agency_id: str, feed: Feed) -> Source: ...


class Feeds:
    """Keeps a feed for every stream of every enabled camera that has one."""

    def __init__(
        self,
        settings: VideoSettings,
        read_addresses: ReadAddresses,
        clock: Callable[[], float] = time.monotonic,
        elsewhere: Elsewhere | None = None,
        accelerator: Accelerator | None = None,
    ) -> None:
        self._settings = settings
        self._intake = None if accelerator is None else Intake(accelerator, DATAGRAM_LIMIT_BYTES)
        self._elsewhere = elsewhere
        self._read_addresses = read_addresses
        self._clock = clock
        self._at_once = settings.start() == "at_once"
        self._known: dict[str, _Known] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._networks = [ipaddress.ip_network(text, strict=False) for text in settings.camera_networks]
        self._over_limit: dict[str, Camera] = {}
        self._slots = TranscoderSlots(settings.transcoder_limit)
        self._sound_converters = SoundConverters(settings.sound_converter_limit)
        self._leisurely = LeisurelyReader()
        # told of each packet of metadata inside a camera's main stream: agency, camera, bytes
        self.on_metadata: Callable[[str, str, bytes], None] | None = None
        # told at once when cameras went to other relays
        self.on_moved: Callable[[], None] = lambda: None
        # whether a camera's sound may be asked for; see `SoundPolicy`
        self.sound_allowed: Callable[[Camera], bool] = lambda camera: False

    def __len__(self) -> int:
        return len(self._known)

    def get(self, camera_id: str, stream_id: str = MAIN_STREAM) -> Feed | None:
        """The feed of a camera's stream, or None when it has none."""
        known = self._known.get(camera_id)
        return known.feeds.get(stream_id) if known else None

    def all(self) -> list[Feed]:
        """The main feed of every camera that this relay takes."""
        return [known.feeds[MAIN_STREAM] for known in self._known.values() if known.here]

    def is_here(self, camera_id: str) -> bool:
        """Whether this relay takes the camera's pictures, records them and tells of its health."""
        known = self._known.get(camera_id)
        return known is not None and known.here

    def place(self) -> None:
        """Relays came or went: cameras that moved are taken from where they are now, without letting go of the picture before."""
        moved = False
        for known in self._known.values():
            origin = self._origin(known.camera.camera_id)
            if origin == known.origin:
                continue
            running = [feed for feed in known.feeds.values() if feed.running]
            moved, known.origin = True, origin
            self._arrange(known, known.camera)
            for feed in known.feeds.values():
                if feed in running:
                    feed.hand_over(go_on=known.here or feed.stream.viewers > 0)
                elif feed.stream.viewers:
                    # its device sent here, and may send to another relay now
                    feed.want()
        if moved:
            self.on_moved()

    def sends(self, camera_id: str, sends: bool) -> None:
        """A camera's device begins or ends to send to this relay."""
        if self._elsewhere is not None:
            self._elsewhere.publish(camera_id, sends)

    def trouble(self, camera_id: str) -> str:
        """Why a camera gives no pictures now; "" while it should."""
        known = self._known.get(camera_id)
        return known.feeds[MAIN_STREAM].trouble if known else "The camera has no feed."

    def alternatives(self, camera_id: str) -> list[Feed]:
        """The qualities of one picture that viewers may get, best first: the main stream, then those for small tiles and thin links.

        The further ones connect when they are wanted (`Feed.want`) and rest when nobody watches them.
        """
        known = self._known.get(camera_id)
        return self._alternatives(known) if known is not None else []

    def _alternatives(self, known: _Known) -> list[Feed]:
        low = [feed for stream_id, feed in known.feeds.items() if known.roles.get(stream_id) == CAMERA_STREAM_ROLE_LOW]
        return [known.feeds[MAIN_STREAM], *low]

    async def publish_key_sha256(self, camera_id: str) -> str:
        """The SHA-256 of the key that a camera's device publishes with, asked anew; "" when there is none. Raises `SourceFailed`."""
        known = self._known.get(camera_id)
        return (await self._read_addresses(known.agency_id, camera_id)).publish_key_sha256 if known else ""

    def apply(self, camera_id: str, camera: Camera | None) -> None:
        """The directory says that a camera is new, changed or gone."""
        wanted = camera is not None and camera.enabled and camera.has_stream
        known = self._known.get(camera_id)
        if camera is None or not wanted:
            self._over_limit.pop(camera_id, None)
            if known is not None:
                del self._known[camera_id]
                for feed in known.feeds.values():
                    self._keep(feed.end())
                if self._over_limit:
                    self._add(self._over_limit.pop(next(iter(self._over_limit))))
            return
        if known is None:
            self._add(camera)
            return
        known.camera = camera
        known.changes += 1
        self._keep(asyncio.get_running_loop().create_task(self._follow_change(known, camera)))

    def follow_sound(self, agency_id: str) -> None:
        """The agency's decision about sound may have changed."""
        for known in self._known.values():
            if known.agency_id == agency_id:
                self._follow_sound(known)

    def sound_listeners(self) -> int:
        """How many hear a camera now."""
        return sum(feed.stream.sound.listeners for known in self._known.values() for feed in known.feeds.values())

    def measure(self, viewers: dict[str, int]) -> list[CameraHealth]:
        """Every camera's health; `viewers` counts them by camera. To be called about once a second: what nobody watches rests then."""
        for known in self._known.values():
            for feed in known.feeds.values():
                self._keep(feed.rest_when_idle(self._settings.source_idle_s))
        found = [known.feeds[MAIN_STREAM].measure(viewers.get(camera_id, 0)) for camera_id, known in self._known.items() if known.here]
        reason = f"The video service is at its limit of {self._settings.camera_limit} cameras. Raise camera_limit or add a service."
        left_out = [CameraHealth(camera.camera_id, camera.agency_id, CameraState.FAILED, reason) for camera in self._over_limit.values()]
        return found + left_out

    async def stop(self) -> None:
        """Ends every feed."""
        for task in tuple(self._tasks):
            task.cancel()
        feeds = [feed for known in self._known.values() for feed in known.feeds.values()]
        await asyncio.gather(*(feed.stop() for feed in feeds), *self._tasks, return_exceptions=True)
        await self._sound_converters.stop()
        self._known.clear()

    def _add(self, camera: Camera) -> None:
        relays = self._elsewhere.relays if self._elsewhere is not None else 1
        if len(self._known) >= self._settings.camera_limit * relays:
            self._over_limit[camera.camera_id] = camera
            _log.error("camera %s is left out: the limit of %d cameras is reached", camera.camera_id, self._settings.camera_limit)
            return
        known = self._known[camera.camera_id] = _Known(camera.agency_id, camera, self._origin(camera.camera_id), {})
        self._arrange(known, camera)

    def _arrange(self, known: _Known, camera: Camera) -> None:
        """Brings the feeds in line with the registry's list of streams and with when they are to be connected."""
        wanted = [MAIN_STREAM, *(stream.stream_id for stream in camera.streams)]
        for stream_id in [stream_id for stream_id in known.feeds if stream_id not in wanted]:
            self._keep(known.feeds.pop(stream_id).end())
        known.feeds = {stream_id: known.feeds.get(stream_id) or self._new_feed(camera, stream_id) for stream_id in wanted}
        known.roles = {stream.stream_id: stream.role for stream in camera.streams}
        self._follow_sound(known)
        main, *low = self._alternatives(known)
        main.stream.smaller = low[-1].give if low else None
        published = camera.published and known.here
        if main.published != published:
            main.published = published
            self._keep(main.end())
        main.always = known.here and (camera.pull == CAMERA_PULL_ALWAYS or (camera.pull == CAMERA_PULL_UNSPECIFIED and self._at_once))
        if main.always:
            main.start()

    def _follow_sound(self, known: _Known) -> None:
        """Sound that was forbidden is cut at once and its source opened anew without; for sound that was allowed it is opened anew too."""
        allowed = self.sound_allowed(known.camera)
        for feed in known.feeds.values():
            if feed.stream.sound.allowed == allowed:
                continue
            feed.stream.sound.allow(allowed)
            if allowed:
                feed.hand_over()
                if feed.publishing:
                    feed.sound_report.reason = "Its device began before its sound was allowed: it is heard once the device sends anew."
            else:
                self._keep(asyncio.get_running_loop().create_task(feed.restart()))

    def _new_feed(self, camera: Camera, stream_id: str) -> Feed:
        camera_id = camera.camera_id

        async def open_source() -> Source:
            return await self._open(camera_id, stream_id)

        limits = self._settings.stream_limits()
        return Feed(camera_id, camera.agency_id, open_source, limits, self._clock, stream_id=stream_id, always=False)

    async def _follow_change(self, known: _Known, camera: Camera) -> None:
        """A changed camera may have moved, been renamed, or got another stream: only the last needs a restart."""
        seen = known.changes
        before = known.addresses
        self._arrange(known, camera)
        if not known.here:
            known.addresses = None
            return
        try:
            addresses = await self._read_addresses(known.agency_id, camera.camera_id)
        except SourceFailed:
            known.addresses = None
            return
        if seen != known.changes:
            return
        known.addresses = addresses
        changed = [feed for stream_id, feed in known.feeds.items() if before is None or before.of(stream_id) != addresses.of(stream_id)]
        await asyncio.gather(*(feed.restart() for feed in changed))

    async def _open(self, camera_id: str, stream_id: str) -> Source:
        known = self._known.get(camera_id)
        if known is None or stream_id not in known.feeds:
            raise SourceFailed("The camera was removed.", lasting=True)
        feed = known.feeds[stream_id]
        by_itself = feed.cut_off_s > _CUT_OFF_S and not known.camera.published
        if not known.here and self._elsewhere is not None and not by_itself:
            return self._elsewhere.source(known.agency_id, feed)
        if known.addresses is None:
            known.addresses = await self._read_addresses(known.agency_id, camera_id)
        source = await self._source_of(known.addresses.of(stream_id), feed)
        return source if known.here else _ForAWhile(source, feed.hand_over)

    async def _source_of(self, url: str, feed: Feed) -> Source:
        if not url:
            raise SourceFailed("The stream has no address. Enter one in the camera registry.", lasting=True)
        if url.startswith("file:"):
            # Brings libav and 16 MB with it, which an installation without clips needn't carry.
            from rtcc_video.sources.clip import ClipSource, find_clip

            return ClipSource(find_clip(self._settings.files_folder, url.removeprefix("file:")), self.sound_way(feed))
        if url.partition("://")[0] in LIBAV_SCHEMES:
            await self._check_network(*place_of(url))
            return self._by_libav(url, feed, options_of(url))
        try:
            address = parse_address(url)
        except UnusableAddress as error:
            raise SourceFailed(str(error), lasting=True) from error
        await self._check_network(address.host, address.port)
        if feed.converted:
            # libav would ask the camera for its sound too, only to drop it
            wanted = "video+audio+data" if feed.stream.sound.allowed else "video+data"
            options = {"rtsp_transport": "udp" if address.udp else "tcp", "allowed_media_types": wanted}
            return self._by_libav(url, feed, options)
        leisure = Leisure(self._leisurely, lambda: feed.stream.watched_live, self._intake)
        return RtspSource(address, self._settings.rtsp(), leisure, self.sound_way(feed))

    def sound_way(self, feed: Feed) -> SoundWay | None:
        """Where a source that is about to be opened gives its sound; None: its sound isn't allowed, and must not be asked for."""
        intake = feed.stream.sound.open()
        return None if intake is None else SoundWay(intake, self._sound_converters, feed.sound_report)

    def _by_libav(self, url: str, feed: Feed, options: dict[str, str]) -> Source:
        plain = url.replace("rtspu://", "rtsp://", 1)
        request = LibavRequest(plain, bool(feed.converted), options, self._settings.transcoder_kbps, self._settings.transcoder_height_px)
        on_data = partial(self.on_metadata, feed.agency_id, feed.camera_id) if self.on_metadata and feed.stream_id == MAIN_STREAM else None
        return LibavSource(request, self._slots, feed.conversion, on_data, self.sound_way(feed))

    async def _check_network(self, host: str, port: int) -> None:
        if not self._networks:
            return
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port)
        except OSError as error:
            raise SourceFailed("The camera's name isn't known to the network. Correct its stream address.") from error
        for entry in found:
            place = ipaddress.ip_address(str(entry[4][0]).partition("%")[0])
            if not any(place in network for network in self._networks):
                raise SourceFailed("The camera stands outside the networks that camera_networks allows.", lasting=True)

    def _origin(self, camera_id: str) -> str:
        elsewhere = self._elsewhere
        return _HERE if elsewhere is None or elsewhere.here(camera_id) else elsewhere.origin(camera_id)

    def _keep(self, task: asyncio.Task[None] | None) -> None:
        """Holds a task until it is done, so that it isn't collected half-way and `stop` can wait for it."""
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


class _ForAWhile:
    """The camera itself, while the relay that should take it is cut off: after a while that one is tried again."""

    def __init__(self, source: Source, try_again: Callable[[], None]) -> None:
        self._source = source
        self._try_again = try_again

    async def run(self, sink: Sink) -> None:
        """See `Source`."""
        timer = asyncio.get_running_loop().call_later(_BY_ITSELF_S, self._try_again)
        try:
            await self._source.run(sink)
        finally:
            timer.cancel()
