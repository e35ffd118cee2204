"""Wiring of the views over HTTPS."""

import asyncio
import time
from typing import Final

from prometheus_client import Counter, Gauge

from rtcc.video.v1.hls_pb2_grpc import add_HlsServiceServicer_to_server
from rtcc_chassis.context import ServiceContext
from rtcc_video.app import Rights, VideoApp
from rtcc_video.hls.app import LiveHls
from rtcc_video.hls.rpc import HlsServicer
from rtcc_video.settings import VideoSettings

_TICK_S: Final = 1.0

VIEWERS = Gauge("rtcc_video_hls_viewers", "Open live views over HTTPS; they are among rtcc_video_viewers.")
CAMERAS = Gauge("rtcc_video_hls_cameras", "Streams that are packed for them.")
WINDOW_BYTES = Gauge("rtcc_video_hls_window_bytes", "What is kept of these streams in memory.")
PARTS = Counter("rtcc_video_hls_parts", "Parts made, each of about a third of a second.")
SENT = Counter("rtcc_video_hls_sent_bytes", "Bytes of playlists and media that were answered.")


def serve_hls(ctx: ServiceContext, settings: VideoSettings, app: VideoApp, rights: Rights) -> LiveHls:
    """Adds the calls, and ends views that nobody fetches."""
    live = LiveHls(app, rights, settings.hls(), time.monotonic, lambda: time.time_ns() // 1000, lambda size: PARTS.inc(), SENT.inc)
    app.close_elsewhere = live.close
    ctx.rpc.add(add_HlsServiceServicer_to_server, HlsServicer(live))
    ctx.lifecycle.spawn(_tick_forever(live), "video-hls")
    return live


async def _tick_forever(live: LiveHls) -> None:
    while True:
        await asyncio.sleep(_TICK_S)
        live.end_idle()
        VIEWERS.set(len(live))
        CAMERAS.set(live.cameras)
        WINDOW_BYTES.set(live.window_bytes)
