"""What leaves and enters by NATS: camera health and drones' places out, ends of sessions in, audit entries of ended views out."""

import asyncio
import json
import logging
from collections.abc import Iterable, Sequence

from rtcc_chassis.access import Access, AuditDraft, Outcome
from rtcc_chassis.bus import Bus
from rtcc_chassis.errors import RtccError
from rtcc_chassis.scope import Scope
from rtcc_video.domain import CameraHealth, View
from rtcc_video.drone_video import DroneVideos
from rtcc_video.engine.viewer import CloseReason, ViewerCounters
from rtcc_video.publications import Publication
from rtcc_video.rpc import health_message

_log = logging.getLogger(__name__)

# The gateway's announcements, JSON: session_id, and reason ("" when it didn't end).
SESSION_SUBJECT = "gateway.session"

_ENDED = "camera.view_ended"
_PUBLICATION_ENDED = "camera.publishing_ended"
_AUDIT_TRIES = 30
_AUDIT_RETRY_S = 2.0
_DRONE_VIDEO_EVERY_S = 0.1


def health_subject(agency_id: str) -> str:
    """Where an agency's camera health is told (core NATS: it is sent again anyway)."""
    return f"camera_health.{agency_id}"


async def publish_health(bus: Bus, cameras: Iterable[CameraHealth]) -> None:
    """Tells each camera's health to its agency; a bus that is away is no failure, for the next round says it again."""
    for health in cameras:
        if not health.agency_id:
            continue
        try:
            await bus.publish_core(health_subject(health.agency_id), health_message(health))
        except RtccError as error:
            _log.warning("camera health isn't told now: %s", error.message)
            return


def drone_video_subject(agency_id: str) -> str:
    """Where what drones tell inside their video is told (core NATS: the next one comes in a moment)."""
    return f"drone_video.{agency_id}"


async def publish_drone_videos(bus: Bus, videos: DroneVideos) -> None:
    """Tells for ever where drones are and look; while the bus is away, what is old by then is left out."""
    while True:
        await asyncio.sleep(_DRONE_VIDEO_EVERY_S)
        for message in videos.fetch():
            try:
                await bus.publish_core(drone_video_subject(message.agency_id), message)
            except RtccError as error:
                _log.warning("a drone's place isn't told now: %s", error.message)


def ended_session(message: bytes) -> str | None:
    """The session that the gateway says ended or locked (R3); None for any other announcement."""
    try:
        body = json.loads(message)
        session_id, reason = str(body["session_id"]), str(body["reason"])
    except (ValueError, KeyError, TypeError):
        _log.warning("a session announcement can't be read")
        return None
    return session_id if session_id and reason else None


class EndedViews:
    """Writes the audit entry of every ended view and publication: who, what, for how long, how many bytes, why it ended."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._queue: asyncio.Queue[AuditDraft] = asyncio.Queue(maxsize=10_000)

    def put(self, view: View, reason: CloseReason, counters: ViewerCounters) -> None:
        """Takes an ended view; when 10,000 wait because the log is away, it is written to the service's own log instead."""
        heard = f"; heard for {counters.sound_heard_s:.1f} s" if counters.sound_heard_s else ""
        self._put(
            AuditDraft(
                action=_ENDED,
                place="video",
                outcome=Outcome.ALLOWED,
                scope=view.scope,
                reason=f"{reason.value}; view {view.viewer_id} since {view.since.isoformat(timespec='milliseconds')}{heard}",
                object_ids=(f"camera:{view.camera_id}",),
                owner_agency_id=view.owner_agency_id,
                agreement_id=view.agreement_id,
                bytes_out=counters.octets_sent,
            )
        )

    def put_publication(self, publication: Publication, reason: CloseReason) -> None:
        """Takes an ended publication, as `put`; a device's is the agency's own doing."""
        who = "by a person" if publication.scope is not None else f"by its key from {publication.source_address or 'an unknown address'}"
        sent = f"{publication.publisher.octets} bytes {who} since {publication.since.isoformat(timespec='milliseconds')}"
        self._put(
            AuditDraft(
                action=_PUBLICATION_ENDED,
                place="video",
                outcome=Outcome.ALLOWED,
                scope=publication.scope or Scope.service("video", publication.agency_id),
                reason=f"{reason.value}; {sent}",
                object_ids=(f"camera:{publication.camera_id}",),
                owner_agency_id=publication.agency_id,
            )
        )

    def _put(self, draft: AuditDraft) -> None:
        try:
            self._queue.put_nowait(draft)
        except asyncio.QueueFull:
            _log.error("the audit log is away and 10,000 entries wait: %s of %s (%s)", draft.action, draft.object_ids, draft.reason)

    async def run(self) -> None:
        """Writes for ever, a batch at a time, and tries again while the log is away."""
        while True:
            drafts = [await self._queue.get()]
            while not self._queue.empty() and len(drafts) < 100:
                drafts.append(self._queue.get_nowait())
            await self._write(drafts)

    async def flush(self) -> None:
        """Writes what waits, once: for the end of the process."""
        drafts: list[AuditDraft] = []
        while not self._queue.empty():
            drafts.append(self._queue.get_nowait())
        if drafts:
            try:
                await self._access.record_many(drafts)
            except RtccError as error:
                _log.error("%d ended views have no audit entry: %s", len(drafts), error.message)

    async def _write(self, drafts: Sequence[AuditDraft]) -> None:
        for _ in range(_AUDIT_TRIES):
            try:
                await self._access.record_many(drafts)
            except RtccError:
                await asyncio.sleep(_AUDIT_RETRY_S)
            else:
                return
        _log.error("%d ended views have no audit entry: the log was away for a minute", len(drafts))
