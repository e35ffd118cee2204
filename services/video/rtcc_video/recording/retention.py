"""Policies and holds, and deleting what is due with a proof (R22)."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import groupby
from typing import Final, Protocol

from prometheus_client import Counter

from rtcc_chassis.access import Access, AuditDraft, Outcome, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.retention import new_hold_id, sweep
from rtcc_chassis.scope import Scope
from rtcc_video.recording.domain import (
    Deletion,
    FootageHold,
    Gap,
    GapKind,
    RecordingPolicy,
    Segment,
    check_hold,
    check_policy,
    proof_of,
)
from rtcc_video.recording.store import FootageStore

_BATCH: Final = 200
_MOST_LISTED: Final = 500
DELETED = Counter("rtcc_video_deleted_segments", "Segments deleted because their time was over (R22).", ["agency"])


class Objects(Protocol):
    """Where the bytes are. Removing again is harmless."""

    async def remove(self, scope: Scope, agency_id: str, key: str) -> None: ...


class Retention:
    """An agency's own; the sweep works for one agency at a time. `owns(agency, camera)`; `on_policy` is told of changes."""

    def __init__(
        self,
        store: FootageStore,
        objects: Objects,
        access: Access,
        clock: Clock,
        owns: Callable[[str, str], bool],
        on_policy: Callable[[], None],
    ) -> None:
        self._store = store
        self._objects = objects
        self._access = access
        self._clock = clock
        self._owns = owns
        self._on_policy = on_policy

    async def set_policy(self, scope: Scope, policy: RecordingPolicy) -> RecordingPolicy:
        check_policy(policy)
        if policy.camera_id and not self._owns(scope.agency_id, policy.camera_id):
            raise NotFound("camera", policy.camera_id[:80])
        wanted = replace(policy, changed_at=self._clock(), changed_by=scope.principal_id)
        before = await self._store.put_policy(scope, wanted)
        touched(f"camera:{policy.camera_id}" if policy.camera_id else "", old_value=_json(before), new_value=_json(wanted))
        self._on_policy()
        return wanted

    async def remove_policy(self, scope: Scope, camera_id: str) -> None:
        """A camera's own; the agency's can only be changed, for without one nothing would say how long its recordings are kept."""
        if not camera_id:
            raise InvalidInput.one("policy.camera_id", "is needed: the agency's own policy is set to off, not removed")
        # none of the agency's is ever removed, so what is seen here still holds below
        standing = {camera for agency, camera in await self._store.policies(scope) if agency == scope.agency_id}
        if camera_id in standing and "" not in standing:
            raise Conflict(
                "The agency has no recording policy: set one first, or nothing would say how long what is stored of this camera is kept."
            )
        before = await self._store.remove_policy(scope, camera_id)
        if before is None:
            raise NotFound("recording policy of camera", camera_id[:80])
        touched(f"camera:{camera_id}", old_value=_json(before))
        self._on_policy()

    async def place_hold(self, scope: Scope, hold: FootageHold) -> FootageHold:
        """In force before the answer: what a sweep hasn't deleted until now stays."""
        identifier = new_hold_id("footage hold", scope, hold.hold_id)
        wanted = replace(hold, hold_id=identifier, reason=hold.reason.strip(), placed_at=self._clock(), placed_by=scope.principal_id)
        check_hold(wanted)
        known = not hold.camera_id or self._owns(scope.agency_id, hold.camera_id) or await self._store.knows_camera(scope, hold.camera_id)
        if not known:
            raise NotFound("camera", hold.camera_id[:80])
        stored = await self._store.add_hold(scope, wanted)
        touched(f"recording:{stored.hold_id}", new_value=_json(stored))
        return stored

    async def release_hold(self, scope: Scope, hold_id: str) -> FootageHold:
        stored = await self._store.release_hold(scope, hold_id, self._clock())
        if stored is None:
            raise NotFound("hold", hold_id[:80])
        touched(f"recording:{hold_id}", new_value=_json(stored))
        return stored

    async def deletions(self, scope: Scope, limit: int) -> list[Deletion]:
        found = await self._store.deletions(scope, min(limit or 50, _MOST_LISTED))
        touched(*(f"deletion:{one.deletion_id}" for one in found))
        return found

    async def run(self, every_s: float) -> None:
        """For ever: delete what is due."""
        await sweep(every_s, lambda: self._store.agencies(Scope.platform("video")), self.delete_due, _BATCH)

    async def delete_due(self, agency_id: str) -> int:
        """One batch; how many segments are gone.

        The bytes go first: after a crash in between the row is found again and the rest follows. The audit entry is durable before the
        transaction ends.
        """
        scope, now = Scope.service("video", agency_id), self._clock()
        async with self._store.deleting(scope) as batch:
            due = await batch.due(now, _BATCH)
            if not due:
                return 0
            for segment, _ in due:
                for key in segment.object_keys:
                    await self._objects.remove(scope, agency_id, key)
            proofs, gaps = [], []
            ordered = sorted(due, key=lambda one: (one[0].camera_id, one[1], one[0].started_at))
            for (camera_id, keep_s), found in groupby(ordered, key=lambda one: (one[0].camera_id, one[1])):
                segments = [segment for segment, _ in found]
                proofs.append(proof_of(new_id(), camera_id, keep_s, segments, now))
                gaps += _gaps(agency_id, segments, keep_s)
            await batch.delete([segment for segment, _ in due], proofs, gaps)
            await self._access.record_many([_entry(scope, one) for one in proofs])
        DELETED.labels(agency_id).inc(len(due))
        return len(due)


def _gaps(agency_id: str, segments: list[Segment], keep_s: int) -> list[Gap]:
    """One for each stretch of a camera that hangs together."""
    reason = f"Deleted after {keep_s} s as the agency's policy says; the proof stands in its log."
    stretches: list[list[Segment]] = []
    for segment in segments:
        if stretches and segment.started_at <= stretches[-1][-1].ended_at:
            stretches[-1].append(segment)
        else:
            stretches.append([segment])
    return [
        Gap(new_id(), agency_id, one[0].camera_id, one[0].started_at, max(s.ended_at for s in one), GapKind.DELETED, reason)
        for one in stretches
    ]


def _entry(scope: Scope, deletion: Deletion) -> AuditDraft:
    told = {
        "bytes": deletion.size_bytes,
        "camera_id": deletion.camera_id,
        "digest": deletion.digest,
        "keep_s": deletion.keep_s,
        "newest_at": deletion.newest_at.isoformat(),
        "oldest_at": deletion.oldest_at.isoformat(),
        "segments": deletion.segments,
        "sounds": deletion.sounds,
    }
    return AuditDraft(
        action="recording.delete",
        place="video: retention",
        outcome=Outcome.ALLOWED,
        scope=scope,
        reason=f"{deletion.segments} segments older than their policy allows (R22)",
        object_ids=(f"deletion:{deletion.deletion_id}", f"camera:{deletion.camera_id}"),
        owner_agency_id=scope.agency_id,
        new_value=json.dumps(told, sort_keys=True),
        occurred_at=deletion.deleted_at,
    )


def _json(value: RecordingPolicy | FootageHold | None) -> str:
    return json.dumps(asdict(value), sort_keys=True, default=str, ensure_ascii=False) if value is not None else ""
