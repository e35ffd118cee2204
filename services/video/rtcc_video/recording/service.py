"""Wiring of recording and footage inside the video service."""

import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from rtcc.alerting.v1.alerting_pb2 import ALERT_STATE_CLOSED, Alert
from rtcc.event.v1 import event_pb2
from rtcc.video.v1.evidence_pb2_grpc import add_EvidenceServiceServicer_to_server
from rtcc.video.v1.footage_pb2 import CameraRecording
from rtcc.video.v1.footage_pb2_grpc import add_FootageServiceServicer_to_server
from rtcc.video.v1.redaction_pb2_grpc import add_RedactionServiceServicer_to_server
from rtcc.video.v1.relay_pb2 import DescribeRelayResponse
from rtcc_chassis.consumer import Delivery
from rtcc_chassis.context import ServiceContext
from rtcc_chassis.errors import RtccError
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import Scope
from rtcc_chassis.settings import InvalidSetting
from rtcc_chassis.streams import ALERTS, event_subject
from rtcc_video.app import Rights
from rtcc_video.feeds import Feeds
from rtcc_video.recording.evidence_rpc import EvidenceServicer, LedgerCustody
from rtcc_video.recording.export_store import ExportStore
from rtcc_video.recording.exports import Exports, Place
from rtcc_video.recording.footage import Footage
from rtcc_video.recording.recording import Recording
from rtcc_video.recording.retention import Retention
from rtcc_video.recording.rpc import FootageServicer
from rtcc_video.recording.spool import Spool
from rtcc_video.recording.store import FootageStore
from rtcc_video.recording.uploader import Uploader
from rtcc_video.redaction.rpc import RedactionServicer
from rtcc_video.searching.motion_index import MotionIndex
from rtcc_video.searching.service import serve_search
from rtcc_video.searching.store import SearchStore
from rtcc_video.settings import VideoSettings
from rtcc_video.snapshots import Snapshots

_log = logging.getLogger(__name__)
_MINE_EVERY_S = 1.0
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class OtherRelays(Protocol):
    """What is needed of the other relays, which record other cameras."""

    def here(self, key: str) -> bool: ...

    async def describe(self, scope: Scope) -> list[DescribeRelayResponse]: ...


async def serve_footage(
    ctx: ServiceContext, settings: VideoSettings, feeds: Feeds, rights: Rights, snapshots: Snapshots, others: OtherRelays
) -> Callable[[Scope], tuple[list[CameraRecording], int, int]]:
    """Brings the database up to date, adds the calls, and starts the recorders where a spool is configured.

    Returns what the recorders of this process do, by agency, for the other relays.
    """
    await ctx.database.migrate(MIGRATIONS)
    store = FootageStore(ctx.database)
    motion = MotionIndex(SearchStore(ctx.database), ctx.clock, key_pictures=settings.motion_key_pictures)
    recording = await _recording(ctx, settings, feeds, store, motion) if settings.spool_folder is not None else None

    def owns(agency_id: str, camera_id: str) -> bool:
        camera = rights.cameras.get(camera_id)
        return camera is not None and camera.agency_id == agency_id

    retention = Retention(store, ctx.objects, ctx.access, ctx.clock, owns, recording.refresh if recording else _nothing)
    footage = Footage(store, ctx.objects, rights, snapshots, ctx.clock)
    servicer = FootageServicer(
        footage,
        retention,
        store,
        owns,
        recording.states if recording else dict,
        (lambda: (recording.spool_bytes, recording.spool_limit_bytes)) if recording else (lambda: (0, 0)),
        ctx.clock,
        others.describe,
    )
    ctx.rpc.add(add_FootageServiceServicer_to_server, servicer)
    sweep = _where_it_is_mine(others, "sweep of footage", lambda: retention.run(settings.retention_sweep_s))
    ctx.lifecycle.spawn(sweep, "video retention")
    examiner = await serve_search(ctx, settings, footage, rights)
    if examiner is not None:
        ctx.lifecycle.spawn(_where_it_is_mine(others, "examination of footage", examiner.run), "video examiner")
    place = _place(settings)
    exports = Exports(
        ExportStore(ctx.database), store, ctx.objects, LedgerCustody(ctx), rights, ctx.access, place, ctx.clock, footage.owner
    )
    ctx.rpc.add(add_EvidenceServiceServicer_to_server, EvidenceServicer(exports))
    ctx.rpc.add(add_RedactionServiceServicer_to_server, RedactionServicer(exports))
    if place is not None:
        ctx.lifecycle.spawn(exports.run(), "video exports")
    return servicer.recorders


async def _where_it_is_mine(others: OtherRelays, what: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """For ever: work that one relay alone does, the one whose it is by the hashing that places cameras."""
    while True:
        if others.here(what):
            running = asyncio.create_task(work(), name=what)
            try:
                while others.here(what):
                    done, _ = await asyncio.wait([running], timeout=_MINE_EVERY_S)
                    if done:
                        running.result()
                        return
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        await asyncio.sleep(_MINE_EVERY_S)


def _place(settings: VideoSettings) -> Place | None:
    """Where exports are put together; None without a key."""
    if settings.evidence_key_file is None:
        return None
    try:
        key = load_pem_private_key(settings.evidence_key_file.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise InvalidSetting("RTCC_VIDEO_EVIDENCE_KEY_FILE", f"{settings.evidence_key_file} holds no private key: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidSetting(
            "RTCC_VIDEO_EVIDENCE_KEY_FILE", "exports are signed with Ed25519: make one with openssl genpkey -algorithm ed25519"
        )
    folder = settings.spool_folder / "exports" if settings.spool_folder is not None else Path(tempfile.gettempdir()) / "rtcc-exports"
    return Place(folder, key)


async def _recording(ctx: ServiceContext, settings: VideoSettings, feeds: Feeds, store: FootageStore, motion: MotionIndex) -> Recording:
    if settings.spool_folder is None:
        raise ValueError("recording needs a spool folder")
    spool = Spool(settings.spool_folder, settings.spool_limit_bytes)
    uploader = Uploader(spool, ctx.objects, store, time.monotonic)
    told = _Troubles(ctx)
    recording = Recording(feeds, store, spool, uploader, settings.segment_limits(), told.put, measure=motion.measure)
    await asyncio.to_thread(recording.recover)
    feeds.on_moved = recording.let_go

    async def on_alerts(deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            for camera_id in cameras_named(Alert.FromString(delivery.data)):
                recording.wanted(camera_id)

    async def stop() -> None:
        await recording.stop()
        with contextlib.suppress(RtccError):
            await motion.write()

    ctx.lifecycle.on_drain(stop)
    ctx.lifecycle.spawn(motion.run(), "video motion")
    ctx.lifecycle.spawn(recording.run(), "video recording")
    ctx.lifecycle.spawn(told.run(), "video recording alarms")
    ctx.lifecycle.spawn(ctx.bus.tail(ALERTS, ["alert.>"], on_alerts, start="new").run(), "video recording on alerts")
    return recording


def cameras_named(alert: Alert) -> list[str]:
    """The cameras that an open alert's context names, and the one that read the plate; of the alert's own agency alone."""
    if alert.state == ALERT_STATE_CLOSED:
        return []
    found = [choice.camera_id for choice in alert.context.cameras if choice.agency_id in ("", alert.agency_id)]
    if alert.event.WhichOneof("body") == "plate_read" and alert.event.plate_read.camera_id:
        found.append(alert.event.plate_read.camera_id)
    return list(dict.fromkeys(found))


class _Troubles:
    """Tells each agency that is recorded, as a technical alarm, that recordings are in danger, and that they are safe again."""

    def __init__(self, ctx: ServiceContext) -> None:
        self._ctx = ctx
        self._queue: asyncio.Queue[event_pb2.Event] = asyncio.Queue(maxsize=1000)

    def put(self, agencies: frozenset[str], reason: str) -> None:
        state = event_pb2.ALARM_STATE_ACTIVE if reason else event_pb2.ALARM_STATE_RESTORED
        for agency_id in sorted(agencies):
            alarm = event_pb2.Alarm(
                alarm_id="video-recording", panel_id="video", alarm_type="technical", state=state, site_name="Video recording",
                note=reason[:200] or "Everything recorded is stored again.",
            )  # fmt: skip
            event = event_pb2.Event(event_id=new_id(), agency_id=agency_id, source_id="video", kind="alarm", alarm=alarm)
            event.occurred_at.FromDatetime(self._ctx.clock())
            event.received_at.FromDatetime(self._ctx.clock())
            try:
                self._queue.put_nowait(event)
            except asyncio.QueueFull:
                _log.error("the alarm about recordings of %s can't be told: 1,000 wait", agency_id)

    async def run(self) -> None:
        """For ever; a bus that is away is waited for."""
        while True:
            event = await self._queue.get()
            while True:
                try:
                    subject = event_subject(event.agency_id, "alarm")
                    await self._ctx.bus.publish(subject, event, message_id=event.event_id, agency_id=event.agency_id, event_type="alarm")
                    break
                except RtccError as error:
                    _log.warning("an alarm about recordings waits: %s", error.message)
                    await asyncio.sleep(2.0)


def _nothing() -> None:
    """Without recorders nobody has to hear of a policy."""
