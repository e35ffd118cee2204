"""All cameras: which feeds exist, follows the directory, finds out each camera's stream address."""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_video.domain import CameraHealth, CameraState
from rtcc_video.feed import Feed
from rtcc_video.settings import VideoSettings
from rtcc_video.sources.rtsp import RtspSource
from rtcc_video.sources.rtsp_messages import RtspAddress, UnusableAddress, parse_address
from rtcc_video.sources.source import Source, SourceFailed

_log = logging.getLogger(__name__)

# The stream address of a camera, from the registry: (agency, camera) -> url. Raises `SourceFailed`.
type ReadAddress = Callable[[str, str], Awaitable[str]]


@dataclass(slots=True)
class _Known:
    feed: Feed
    address: str | None = field(default=None, repr=False)
    changes: int = 0


class Feeds:
    """Keeps a feed for every enabled camera that has a stream."""

    def __init__(self, settings: VideoSettings, read_address: ReadAddress, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._read_address = read_address
        self._clock = clock
        self._at_once = settings.start() == "at_once"
        self._known: dict[str, _Known] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._networks = [ipaddress.ip_network(text, strict=False) for text in settings.camera_networks]
        self._over_limit: dict[str, Camera] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, camera_id: str) -> Feed | None:
        """The feed of a camera, or None when it has none."""
        known = self._known.get(camera_id)
        return known.feed if known else None

    def apply(self, camera_id: str, camera: Camera | None) -> None:
        """The directory says that a camera is new, changed or gone."""
        wanted = camera is not None and camera.enabled and camera.has_stream
        known = self._known.get(camera_id)
        if camera is None or not wanted:
            self._over_limit.pop(camera_id, None)
            if known is not None:
                del self._known[camera_id]
                self._keep(known.feed.end())
                if self._over_limit:
                    self._add(self._over_limit.pop(next(iter(self._over_limit))))
            return
        if known is None:
            self._add(camera)
        else:
            known.changes += 1
            self._keep(asyncio.get_running_loop().create_task(self._follow_change(known)))

    def measure(self, viewers: dict[str, int]) -> list[CameraHealth]:
        """Every camera's health; `viewers` counts them by camera."""
        found = [known.feed.measure(viewers.get(camera_id, 0)) for camera_id, known in self._known.items()]
        reason = f"The video service is at its limit of {self._settings.camera_limit} cameras. Raise camera_limit or add a service."
        left_out = [CameraHealth(camera.camera_id, camera.agency_id, CameraState.FAILED, reason) for camera in self._over_limit.values()]
        return found + left_out

    async def stop(self) -> None:
        """Ends every feed."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*(known.feed.stop() for known in self._known.values()), *self._tasks, return_exceptions=True)
        self._known.clear()

    def _add(self, camera: Camera) -> None:
        if len(self._known) >= self._settings.camera_limit:
            self._over_limit[camera.camera_id] = camera
            _log.error("camera %s is left out: the limit of %d cameras is reached", camera.camera_id, self._settings.camera_limit)
            return
        camera_id, agency_id = camera.camera_id, camera.agency_id

        async def open_source() -> Source:
            return await self._open(camera_id, agency_id)

        feed = Feed(camera_id, agency_id, open_source, self._settings.stream_limits(), self._clock)
        self._known[camera_id] = _Known(feed)
        if self._at_once:
            feed.start()

    async def _follow_change(self, known: _Known) -> None:
        """A changed camera may have moved, been renamed, or got another stream: only the last needs a restart."""
        seen = known.changes
        before = known.address
        try:
            address = await self._read_address(known.feed.agency_id, known.feed.camera_id)
        except SourceFailed:
            known.address = None
            return
        if seen == known.changes and address != before:
            known.address = address
            await known.feed.restart()

    async def _open(self, camera_id: str, agency_id: str) -> Source:
        known = self._known.get(camera_id)
        if known is None:
            raise SourceFailed("The camera was removed.", lasting=True)
        if known.address is None:
            known.address = await self._read_address(agency_id, camera_id)
        return await self._source_of(known.address)

    async def _source_of(self, url: str) -> Source:
        if url.startswith("file:"):
            # Brings libav and 16 MB with it, which an installation without clips needn't carry.
            from rtcc_video.sources.clip import ClipSource, find_clip

            return ClipSource(find_clip(self._settings.files_folder, url.removeprefix("file:")))
        try:
            address = parse_address(url)
        except UnusableAddress as error:
            raise SourceFailed(str(error), lasting=True) from error
        await self._check_network(address)
        return RtspSource(address, self._settings.rtsp())

    async def _check_network(self, address: RtspAddress) -> None:
        if not self._networks:
            return
        try:
            found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port)
        except OSError as error:
            raise SourceFailed("The camera's name isn't known to the network. Correct its stream address.") from error
        for entry in found:
            place = ipaddress.ip_address(str(entry[4][0]).partition("%")[0])
            if not any(place in network for network in self._networks):
                raise SourceFailed("The camera stands outside the networks that camera_networks allows.", lasting=True)

    def _keep(self, task: asyncio.Task[None] | None) -> None:
        """Holds a task until it is done, so that it isn't collected half-way and `stop` can wait for it."""
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
