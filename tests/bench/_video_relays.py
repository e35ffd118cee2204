"""The relays written in Python that are measured, each in a process of its own: `python _video_relays.py KIND CLIP [STREAMS]`.

Kinds: `ours` (pure Python), `ours-helper` (with the C helper), `aiortc-passthrough`, `aiortc-reencode`. JSON lines on standard input ask,
JSON lines on standard output answer: {"do": "open", "offer": SDP} -> {"answer": SDP}; {"do": "published"} -> the time of day at which each
of ours' pictures came in, by its RTP time stamp.
"""

import asyncio
import itertools
import json
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from _video_stream import FRAMES_PER_SECOND, own_address, paced, read_units

from rtcc_chassis.event_loop import run_on_event_loop
from rtcc_video.engine.h264 import AccessUnit

type OpenViewer = Callable[[str], Awaitable[str]]

BACKGROUND: list[asyncio.Task[None]] = []
PUBLISHED: dict[int, float] = {}
# ten minutes of one stream; a long run mustn't grow by its own notes
REMEMBERED = 18_000


async def serve_ours(units: list[AccessUnit], with_helper: bool, streams: int = 1) -> OpenViewer:
    """The video service's own use cases: every viewer is a partner whose right is decided at the start and again every second.

    Viewers are dealt out to `streams` cameras, which all play the clip, a little after one another.
    """
    from rtcc.registry.v1.registry_pb2 import AGREEMENT_STATUS_ACTIVE, Agreement, Camera
    from rtcc_chassis.access import Access
    from rtcc_chassis.access.policies import PolicyEngine
    from rtcc_chassis.members import Members
    from rtcc_chassis.relays import read_lease
    from rtcc_chassis.scope import Scope
    from rtcc_video.app import Rights, VideoApp
    from rtcc_video.cascade.placement import Placement
    from rtcc_video.engine.accelerator import load
    from rtcc_video.engine.endpoint import Endpoint, EndpointSettings
    from rtcc_video.engine.stream import StreamLimits
    from rtcc_video.feed import Feed
    from rtcc_video.settings import VideoSettings
    from rtcc_video.snapshots import Snapshots

    class Mirror(dict[str, Any]):
        def values(self) -> list[Any]:  # type: ignore[override] # as a directory mirror gives them
            return list(super().values())

    async def never() -> Any:
        await asyncio.Event().wait()

    names = [f"c{number}" for number in range(streams)]
    feeds = {name: Feed(name, "east", never, StreamLimits(), time.monotonic) for name in names}

    class Feeds:
        def get(self, camera_id: str) -> Feed:
            return feeds[camera_id]

        def measure(self, viewers: dict[str, int]) -> list[Any]:
            return [feed.measure(viewers.get(name, 0)) for name, feed in feeds.items()]

    settings = VideoSettings(viewer_limit=2000, agency_viewer_limit=2000)
    accelerator = load() if with_helper else None
    endpoint = Endpoint(
        EndpointSettings(bind_host="0.0.0.0", public_addresses=(own_address(),), viewer_limit=2000), accelerator=accelerator
    )
    await endpoint.start()
    cameras = Mirror({name: Camera(camera_id=name, agency_id="east", enabled=True, has_stream=True) for name in names})
    agreement = Agreement(
        agreement_id="a1", grantor_agency_id="east", grantee_agency_id="west", status=AGREEMENT_STATUS_ACTIVE, camera_ids=names,
        cameras_live=True,
    )  # fmt: skip
    access = Access(PolicyEngine.load(), None)  # type: ignore[arg-type] # nothing is recorded: the audit log is another service
    rights = Rights(access, cameras, Mirror(a1=agreement), Mirror(), lambda: datetime.now(UTC))
    snapshots = Snapshots(settings.snapshot_width_px, settings.snapshot_age_s, time.monotonic)
    alone = Placement("0" * 16, Members("video", read_lease), alone=True)
    app = VideoApp(settings, rights, Feeds(), endpoint, snapshots, lambda: datetime.now(UTC), lambda *_: None, alone)  # type: ignore[arg-type] # one feed

    async def play(feed: Feed, after_s: float) -> None:
        def publish(number: int, unit: AccessUnit) -> None:
            now_s = time.time()
            feed.stream.publish(AccessUnit(unit.nals, number * 90_000 // FRAMES_PER_SECOND, unit.key))
            PUBLISHED[feed.stream.last_timestamp & 0xFFFFFFFF] = now_s
            if len(PUBLISHED) > REMEMBERED:
                del PUBLISHED[next(iter(PUBLISHED))]

        await asyncio.sleep(after_s)
        await paced(units, publish)

    async def tick_forever() -> None:
        while True:
            await asyncio.sleep(1.0)
            app.measure()
            app.end_views_without_right(lambda view: view.scope.agency_id != view.owner_agency_id)

    for position, feed in enumerate(feeds.values()):
        BACKGROUND.append(asyncio.create_task(play(feed, position / streams)))
    BACKGROUND.append(asyncio.create_task(tick_forever()))
    turns = itertools.cycle(names)

    async def open_viewer(offer: str) -> str:
        name = secrets.token_hex(8)
        scope = Scope(
            "west", f"person-{name}", "person", frozenset({"operator"}), display_name=name, session_id=name,
            signed_in_at=datetime.now(UTC), purpose="stolen vehicle", case_number="W-1",
        )  # fmt: skip
        return app.open_viewer(scope, next(turns), offer).answer_sdp

    return open_viewer


async def serve_aiortc(units: list[AccessUnit], reencode: bool) -> OpenViewer:
    """aiortc forwarding the same pictures: as they are (MediaPlayer(decode=False)), or decoded once and encoded for each viewer."""
    from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
    from aiortc.contrib.media import MediaRelay

    class Source(MediaStreamTrack):
        kind = "video"

        def __init__(self) -> None:
            super().__init__()
            self.queue: asyncio.Queue[Any] = asyncio.Queue()

        async def recv(self) -> Any:
            return await self.queue.get()

    source, relay = Source(), MediaRelay()
    decoder = av.CodecContext.create("h264", "r")

    def publish(number: int, unit: AccessUnit) -> None:
        packet = av.Packet(unit.annex_b())
        packet.pts, packet.time_base = number * 90_000 // FRAMES_PER_SECOND, Fraction(1, 90_000)
        if not reencode:
            source.queue.put_nowait(packet)
            return
        for frame in decoder.decode(packet):
            frame.pts, frame.time_base = packet.pts, packet.time_base
            source.queue.put_nowait(frame)

    BACKGROUND.append(asyncio.create_task(paced(units, publish)))
    kept: list[RTCPeerConnection] = []

    async def open_viewer(offer: str) -> str:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        kept.append(connection)
        connection.addTrack(relay.subscribe(source, buffered=not reencode))
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)

    return open_viewer


async def serve_relay(kind: str, clip: Path, streams: int) -> None:
    """The child: opens viewers and reports its own use of the machine until its standard input ends."""
    units = read_units(clip)
    if kind.startswith("ours"):
        open_viewer = await serve_ours(units, kind == "ours-helper", streams)
    else:
        open_viewer = await serve_aiortc(units, kind == "aiortc-reencode")
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        request = json.loads(line)
        if request["do"] == "open":
            answer: dict[str, Any] = {"answer": await open_viewer(request["offer"])}
        else:
            answer = {"published": PUBLISHED}
        print(json.dumps(answer), flush=True)
    # Taking leave of dozens of peers one by one is no part of the measurement.
    os._exit(0)


if __name__ == "__main__":
    # aiortc as it is shipped, ours as the service runs
    run = run_on_event_loop if sys.argv[1].startswith("ours") else asyncio.run
    run(serve_relay(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1))
