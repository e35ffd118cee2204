"""Wiring of several relays: this one's lease, whose the cameras are, the way between relays, and its leaving."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from prometheus_client import Counter, Gauge

from rtcc.video.v1.relay_pb2 import RelayLease
from rtcc.video.v1.relay_pb2_grpc import add_RelayServiceServicer_to_server
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import RtccError
from rtcc_chassis.members import BEAT_S, Members, subject_of
from rtcc_chassis.relays import Relay, read_lease
from rtcc_chassis.settings import InvalidSetting
from rtcc_video.app import Rights
from rtcc_video.cascade.elsewhere import OtherRelays
from rtcc_video.cascade.fence import Fence
from rtcc_video.cascade.origin import Origin, TlsFiles
from rtcc_video.cascade.placement import Placement
from rtcc_video.cascade.rpc import Recordings, RelayServicer, Viewers
from rtcc_video.engine.endpoint import Endpoint
from rtcc_video.feeds import Feeds
from rtcc_video.settings import VideoSettings

_log = logging.getLogger(__name__)

# until every relay that lives has been heard
_SETTLE_S: Final = 2.4 * BEAT_S
_LEFT_EVERY_S: Final = 0.1
# while this relay isn't heard and goes on
_ASK_EVERY_S: Final = 0.75
# a console opens the new view, and lets go of the old one when the new one has a picture: what isn't gone then won't go
_QUIET_S: Final = 3.0

RELAYS = Gauge("rtcc_video_relays", "Relays that live, as this one hears them, this one among them.")
RELAY_CHANGES = Counter("rtcc_video_relay_changes", "Relays that came or went.", ["kind"])
ORIGINS = Gauge("rtcc_video_origin_cameras", "Cameras that this relay takes and gives to the others.")
LOAD = Gauge("rtcc_video_load", "How busy this relay is: its share of a processor core, or of its viewer limit; 1: full.")
CUT_OFF = Gauge("rtcc_video_cut_off", "Whether this relay isn't heard by the others (1) and has let go of its cameras.")
DRAINING = Gauge("rtcc_video_draining", "Whether this relay is going away (1) and gets nothing new.")
for _kind in ("came", "lost", "left"):
    RELAY_CHANGES.labels(_kind)


class Cascade:
    """This relay among the others. Made before the feeds, then given what it serves."""

    def __init__(self, ctx: ServiceContext, settings: VideoSettings, endpoint: Endpoint) -> None:
        self._ctx = ctx
        self._settings = settings
        self._endpoint = endpoint
        self._place = settings.cascade_place()
        self.members: Members[Relay] = Members(ctx.name, read_lease)
        self.placement = Placement(secrets.token_hex(8), self.members, alone=self._place is None)
        self.elsewhere = OtherRelays(ctx, self.placement, settings.unit_limit_bytes)
        self._fence = Fence(self.placement.relay_id, settings.relay_lease_s, settings.relay_cut_off_s)
        self.origin: Origin | None = None
        self._load = 0.0
        self.members.on_change(self._count)

    async def settle(self) -> None:
        """Hears who lives: a relay that began without would take every camera for its own."""
        await self.members.follow(self._ctx.bus)
        self._ctx.lifecycle.spawn(self.members.run(self._ctx.bus), "video relays")
        if self._place is not None:
            await asyncio.sleep(_SETTLE_S)

    async def serve(self, feeds: Feeds, rights: Rights, viewers: Viewers, recordings: Recordings) -> None:
        """Gives pictures to other relays from now on, and tells that this relay lives as soon as it can be called."""
        if self._place is not None:
            self.origin = Origin(feeds, self.placement.here, _tls(self._ctx))
            try:
                await self.origin.start(*self._place)
            except OSError as error:
                raise InvalidSetting("RTCC_VIDEO_CASCADE_LISTEN", f"{self._settings.cascade_listen}: {error.strerror}") from error
            self._ctx.lifecycle.spawn(self.origin.run(), "video cascade")
        self.placement.on_change(feeds.place)
        feeds.place()
        self._ctx.rpc.add(
            add_RelayServiceServicer_to_server,
            RelayServicer(rights, feeds, self.placement, self.origin, self._cascade_address, viewers, recordings, self._heard),
        )
        self._ctx.lifecycle.spawn(self._announce_forever(), "video lease")
        self._ctx.lifecycle.spawn(self._measure_forever(feeds), "video relay measures")
        if self._place is not None:
            self._ctx.lifecycle.spawn(self._fence_forever(), "video fence")

    async def leave(self, left: Callable[[], int], end_publications: Callable[[], None]) -> None:
        """Gives up every camera and waits until viewers, and relays that take streams, have gone elsewhere; `left()` counts them.

        Devices that send here can be told by the end of their sessions alone. It comes last: until then their pictures go on to who moves,
        and what begins to send anew goes to another relay by itself.
        """
        if not any(not relay.draining for relay in self.placement.others()):
            return
        DRAINING.set(1)
        _log.info("this relay drains: %d views and streams to move", left())
        self.placement.drain()
        await self._announce()
        fewest, since_s = left(), time.monotonic()
        while fewest and time.monotonic() - since_s < max(_QUIET_S, self._settings.drain_s / 2):
            await asyncio.sleep(_LEFT_EVERY_S)
            if left() < fewest:
                fewest, since_s = left(), time.monotonic()
        end_publications()

    async def stop(self) -> None:
        """The last word, so that nobody waits for the lease to run out."""
        await self._announce(gone=True)
        if self.origin is not None:
            await self.origin.stop()

    async def _announce_forever(self) -> None:
        measured_s, used_s = time.monotonic(), time.process_time()
        while True:
            await asyncio.sleep(BEAT_S)
            now_s, now_used_s = time.monotonic(), time.process_time()
            share = (now_used_s - used_s) / max(now_s - measured_s, 0.001)
            self._load += 0.2 * (min(1.0, share) - self._load)
            measured_s, used_s = now_s, now_used_s
            await self._announce()

    async def _announce(self, *, gone: bool = False) -> None:
        if not self._ctx.rpc.port:
            return
        addresses, port, _ = self._endpoint.announced
        viewers = len(self._endpoint.viewers)
        load = min(1.0, max(self._load, viewers / max(1, self._settings.viewer_limit)))
        LOAD.set(load)
        lease = RelayLease(
            relay_id=self.placement.relay_id,
            rpc_address=f"{self._host()}:{self._ctx.rpc.port}",
            media_addresses=addresses,
            media_port=port,
            load=load,
            viewers=viewers,
            draining=self.placement.draining,
            gone=gone,
            lease_ms=round(self._settings.relay_lease_s * 1000),
            publishing_camera_ids=sorted(self.placement.publishing),
        )
        try:
            await self._ctx.bus.publish_core(subject_of(self._ctx.name), lease)
        except RtccError as error:
            _log.warning("this relay's lease isn't told now: %s", error.message)

    async def _measure_forever(self, feeds: Feeds) -> None:
        while True:
            RELAYS.set(self.placement.relays)
            ORIGINS.set(len(feeds.all()))
            await asyncio.sleep(1.0)

    def _heard(self) -> list[str]:
        return [] if self._fence.in_doubt(self.members.unheard_s) else sorted(self.members.live())

    async def _fence_forever(self) -> None:
        """Lets go of the cameras when this relay can't be heard any more and others have them, and takes them back when it is heard."""
        while True:
            await asyncio.sleep(BEAT_S)
            doubtful = self._fence.in_doubt(self.members.unheard_s)
            if doubtful and not self.placement.cut_off:
                answers = await self.elsewhere.heard()
                # it may have been heard meanwhile
                if self._fence.must_let_go(self.members.unheard_s, answers):
                    _log.warning("this relay isn't heard over NATS for %.1f s: it lets go of its cameras", self.members.unheard_s)
                    self.placement.let_go(True)
                elif self._fence.in_doubt(self.members.unheard_s):
                    await asyncio.sleep(_ASK_EVERY_S)
            elif not doubtful and self.placement.cut_off:
                _log.info("this relay is heard again")
                self.placement.let_go(False)
            CUT_OFF.set(self.placement.cut_off)

    def _host(self) -> str:
        host = self._settings.relay_address or self._ctx.settings.rpc_listen.rpartition(":")[0].strip("[]")
        return f"[{host}]" if ":" in host else host

    def _cascade_address(self) -> str:
        return f"{self._host()}:{self.origin.port if self.origin is not None else 0}"

    def _count(self, relay_id: str, before: Relay | None, now: Relay | None) -> None:
        if relay_id == self.placement.relay_id or (before is not None and now is not None):
            return
        if now is not None:
            RELAY_CHANGES.labels("came").inc()
        elif before is not None:
            RELAY_CHANGES.labels("left" if before.draining else "lost").inc()
            self._ctx.lifecycle.spawn(self._ctx.channels.forget(before.rpc_address), "video forgets a relay")


def _tls(ctx: ServiceContext) -> TlsFiles | None:
    settings = ctx.settings
    if not settings.tls_certificate_file:
        return None
    return TlsFiles(Path(settings.tls_certificate_file), Path(settings.tls_key_file))
