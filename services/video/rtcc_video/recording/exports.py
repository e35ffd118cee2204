"""Ordering exports, making them one at a time in the background, and handing them out in parts."""

import asyncio
import contextlib
import hashlib
import json
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rtcc.registry.v1.registry_pb2 import Camera
from rtcc_chassis.access import Access, AuditDraft, Outcome, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, RtccError, Unavailable
from rtcc_chassis.identifiers import derived_id, new_id
from rtcc_chassis.scope import Scope
from rtcc_video.app import Rights
from rtcc_video.recording.domain import Segment, check_window, coverage
from rtcc_video.recording.export_archive import (
    SIZE_LIMIT_BYTES,
    Archive,
    Order,
    add_clips,
    certificate,
    init_path,
    init_with_sound_path,
    manifest_of,
    readme,
    segment_path,
    sign_and_finish,
    sound_path,
    verifier,
)
from rtcc_video.recording.export_store import Export, ExportStore
from rtcc_video.recording.footage import LISTEN
from rtcc_video.recording.sound_fmp4 import init_with_sound
from rtcc_video.recording.store import FootageStore
from rtcc_video.redaction.copy import REDACTED_CLIP, make_copy, redacted_manifest, redacted_readme
from rtcc_video.redaction.domain import Redaction, check_redaction

_log = logging.getLogger(__name__)

EXPORT: Final = "footage.export"
PART_BYTES: Final = 4 * 1024 * 1024
MEDIA_TYPE: Final = "application/zip"
LONGEST: Final = timedelta(hours=6)
_LONGEST_REASON: Final = 300
_LOOK_EVERY_S: Final = 2.0
_HELD: Final = timedelta(seconds=30)
_HOLD_EVERY_S: Final = 8.0


class _TakenOver(Exception):
    """Another process makes this export now."""


class Objects(Protocol):
    """Where the bytes are."""

    async def get(self, scope: Scope, agency_id: str, key: str) -> bytes: ...

    async def get_range(self, scope: Scope, agency_id: str, key: str, offset: int, length: int) -> bytes: ...

    async def put_file(self, scope: Scope, agency_id: str, key: str, path: Path, content_type: str) -> None: ...


# Entries of the owner's log about a camera: (owner agency, camera) -> JSON-able entries, newest first.
class Custody(Protocol):
    """Who touched a camera's recordings, from the ledger."""

    async def entries(self, agency_id: str, camera_id: str) -> list[dict[str, Any]]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where archives are put together, and with which key they are signed."""

    folder: Path
    key: Ed25519PrivateKey


class Exports:
    """`place` None: this installation has no key for evidence, and says so."""

    def __init__(
        self,
        store: ExportStore,
        footage: FootageStore,
        objects: Objects,
        custody: Custody,
        rights: Rights,
        access: Access,
        place: Place | None,
        clock: Clock,
        owner_of: Callable[[Scope, str, str], Any],
    ) -> None:
        self._store = store
        self._footage = footage
        self._objects = objects
        self._custody = custody
        self._rights = rights
        self._access = access
        self._place = place
        self._clock = clock
        self._owner_of = owner_of
        self._wake = asyncio.Event()
        self._holder = new_id()

    async def create(
        self, scope: Scope, camera_id: str, starts_at: datetime, ends_at: datetime, reason: str, *, with_sound: bool = False
    ) -> Export:
        """With sound for those alone who may hear it. Raises `NotFound`, `Refused`, `PurposeRequired`, `InvalidInput`, `Unavailable`."""
        reason = _checked_reason(reason)
        check_window(starts_at, ends_at)
        if ends_at - starts_at > LONGEST:
            raise InvalidInput.one("ends_at", "is more than 6 h after the start: make several exports")
        if ends_at > self._clock():
            raise InvalidInput.one("ends_at", "lies in the future")
        owner: Scope = await self._owner_of(scope, EXPORT, camera_id)
        if with_sound:
            await self._owner_of(scope, LISTEN, camera_id)
        if self._place is None:
            raise Unavailable("exports", "the video service has no key to sign them: set RTCC_VIDEO_EVIDENCE_KEY_FILE")
        segments, _ = await self._footage.footage(owner, camera_id, starts_at, ends_at)
        if not segments:
            raise NotFound("recording", f"of camera {camera_id[:80]} in that time")
        size = sum(segment.size_bytes + (segment.sound_bytes if with_sound else 0) for segment in segments)
        if 2 * size > SIZE_LIMIT_BYTES:
            raise InvalidInput.one("ends_at", "makes an export of more than 2 GB: make several shorter ones")
        camera = self._rights.cameras.get(camera_id)
        grant = self._rights.grant(camera, scope.agency_id, recorded=True) if camera is not None else None
        key = scope.idempotency_key
        order = Order(
            export_id=derived_id("export", scope.agency_id, scope.principal_id, key) if key else new_id(),
            agency_id=scope.agency_id,
            owner_agency_id=owner.agency_id,
            camera_id=camera_id,
            camera=_described(camera),
            starts_at=starts_at,
            ends_at=ends_at,
            reason=reason,
            purpose=scope.purpose,
            case_number=scope.case_number,
            agreement_id=grant.agreement_id if grant else "",
            created_by=scope.principal_id,
            created_by_name=scope.display_name,
            created_at=self._clock(),
            with_sound=with_sound and any(segment.sound_sha256 for segment in segments),
        )
        stored = await self._store.add(scope, order)
        touched(f"export:{stored.order.export_id}", *(f"segment:{one.segment_id}" for one in segments[:150]))
        self._wake.set()
        return stored

    async def redact(self, scope: Scope, export_id: str, redaction: Redaction, reason: str) -> Export:
        """Orders a redacted copy (R28). Raises `NotFound`, `Conflict` while the original isn't ready, `InvalidInput`, `Unavailable`."""
        reason = _checked_reason(reason)
        original = await self._store.find(scope, export_id[:80])
        if original is None:
            raise NotFound("export", export_id[:80])
        if original.order.redaction is not None:
            raise InvalidInput.one("export_id", "is a redacted copy itself: redact the export that it was made from")
        if original.state != "ready":
            raise Conflict(f"The export is {original.state}: wait until it is ready.")
        check_redaction(redaction, original.order.starts_at, original.order.ends_at)
        if self._place is None:
            raise Unavailable("exports", "the video service has no key to sign them: set RTCC_VIDEO_EVIDENCE_KEY_FILE")
        key = scope.idempotency_key
        order = replace(
            original.order,
            export_id=derived_id("redaction", scope.agency_id, scope.principal_id, key) if key else new_id(),
            reason=reason,
            purpose=scope.purpose,
            case_number=scope.case_number,
            created_by=scope.principal_id,
            created_by_name=scope.display_name,
            created_at=self._clock(),
            original_export_id=original.order.export_id,
            redaction=redaction,
            # people are known by their voices too
            with_sound=False,
        )
        stored = await self._store.add(scope, order)
        touched(f"export:{stored.order.export_id}", f"export:{original.order.export_id}", f"camera:{order.camera_id}")
        self._wake.set()
        return stored

    async def list_all(self, scope: Scope, limit: int) -> list[Export]:
        found = await self._store.newest(scope, min(limit or 50, 200))
        touched(*(f"export:{one.order.export_id}" for one in found))
        return found

    async def part(self, scope: Scope, export_id: str, part: int) -> bytes:
        """Raises `NotFound`, `Conflict` while it isn't ready."""
        export = await self._store.find(scope, export_id[:80])
        if export is None:
            raise NotFound("export", export_id[:80])
        if export.state != "ready":
            raise Conflict(f"The export is {export.state}{': ' + export.problem if export.problem else ''}.")
        offset = part * PART_BYTES
        if offset >= export.size_bytes:
            raise NotFound("part", str(part))
        length = min(PART_BYTES, export.size_bytes - offset)
        return await self._objects.get_range(scope, scope.agency_id, object_key(export_id), offset, length)

    async def run(self) -> None:
        """For ever: one export after the other, also those whose maker ended without a word."""
        while True:
            try:
                now = self._clock()
                order = await self._store.take(Scope.platform("video"), self._holder, now, now + _HELD)
                if order is not None:
                    await self._make(order)
                    continue
            except RtccError as error:
                _log.warning("exports wait: %s", error.message)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._wake.wait()

    async def _make(self, order: Order) -> None:
        scope = Scope.service("video", order.agency_id)
        build = asyncio.ensure_future(self._build(order))
        holding = asyncio.create_task(self._hold(scope, order.export_id, build))
        try:
            digest, size, segments = await build
        except Unavailable:
            await self._store.put_back(scope, order.export_id, self._holder)
            raise
        except (asyncio.CancelledError, _TakenOver) as ended:
            if isinstance(ended, asyncio.CancelledError) and not holding.done():
                # the service stops: after its lease another process makes the export
                raise
            _log.warning("export %s is made by another process now", order.export_id)
            return
        except (RtccError, ValueError, OSError) as error:
            _log.warning("export %s failed: %s", order.export_id, error)
            await self._store.fail(scope, order.export_id, self._holder, str(error)[:300], self._clock())
            return
        finally:
            holding.cancel()
        await self._access.record(_entry(order, digest, size, segments, self._clock()))
        await self._store.finish(scope, order.export_id, self._holder, digest, size, segments, self._clock())

    async def _hold(self, scope: Scope, export_id: str, build: asyncio.Future[tuple[str, int, int]]) -> None:
        """Says that it is still being made. Ends the making when another process has taken it over."""
        while True:
            await asyncio.sleep(_HOLD_EVERY_S)
            try:
                if not await self._store.hold_on(scope, export_id, self._holder, self._clock() + _HELD):
                    build.cancel()
                    return
            except RtccError as error:
                _log.warning("export %s: %s", export_id, error.message)

    async def _build(self, order: Order) -> tuple[str, int, int]:
        if self._place is None:
            raise ValueError("there is no key to sign it")
        mine = Scope.service("video", order.agency_id)
        self._place.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=self._place.folder, prefix="export-", suffix=".zip") as file:
            archive = Archive(file)  # type: ignore[arg-type] # a binary file that can be read back
            fill = self._fill if order.redaction is None else self._fill_redacted
            manifest, segments = await fill(order, self._place, archive)
            digest, size = await asyncio.to_thread(sign_and_finish, archive, manifest, self._place.key)
            file.flush()
            if not await self._store.hold_on(mine, order.export_id, self._holder, self._clock() + _HELD):
                raise _TakenOver
            await self._objects.put_file(mine, order.agency_id, object_key(order.export_id), Path(file.name), MEDIA_TYPE)
        return digest, size, segments

    async def _fill(self, order: Order, place: Place, archive: Archive) -> tuple[dict[str, Any], int]:
        """What was recorded; the manifest, and how many segments."""
        owner, mine = Scope.service("video", order.owner_agency_id), Scope.service("video", order.agency_id)
        segments, told = await self._footage.footage(owner, order.camera_id, order.starts_at, order.ends_at)
        if not segments:
            raise ValueError("what was recorded in that time has been deleted meanwhile")
        gaps = coverage(segments, told, order.starts_at, order.ends_at).gaps
        inits = await self._footage.inits(owner, sorted({segment.init_id for segment in segments}))
        for init in inits.values():
            await asyncio.to_thread(archive.add, init_path(init.init_id), init.data)
        for init_id in sorted({segment.init_id for segment in segments if order.sound_of(segment)}):
            await asyncio.to_thread(archive.add, init_with_sound_path(init_id), init_with_sound(inits[init_id]))
        for number, segment in enumerate(segments):
            data = await self._original(owner, segment, segment.object_key, segment.sha256)
            await asyncio.to_thread(archive.add, segment_path(number, segment), data)
            if sha256 := order.sound_of(segment):
                data = await self._original(owner, segment, segment.sound_key, sha256)
                await asyncio.to_thread(archive.add, sound_path(number, segment), data)
            if number % 20 == 0:
                await self._store.progress(mine, order.export_id, self._holder, 80 * number // len(segments))
        clips = await asyncio.to_thread(add_clips, archive, segments, order)
        await self._add_custody(order, archive, {f"segment:{segment.segment_id}" for segment in segments})
        archive.add("certificate.txt", certificate(order, segments, place.key.public_key().public_bytes_raw()))
        archive.add("README.txt", readme(order))
        archive.add("verify.py", verifier())
        return manifest_of(order, segments, gaps, list(inits.values()), clips, archive), len(segments)

    async def _fill_redacted(self, order: Order, place: Place, archive: Archive) -> tuple[dict[str, Any], int]:
        """A copy in which some can't be seen. Nothing of the original's pictures goes in but what the copy shows."""
        mine = Scope.service("video", order.agency_id)
        original = await self._store.find(mine, order.original_export_id)
        if original is None or original.state != "ready":
            raise ValueError(f"the export {order.original_export_id} that it is made from isn't there")

        async def read(offset: int, length: int) -> bytes:
            return await self._objects.get_range(mine, order.agency_id, object_key(original.order.export_id), offset, length)

        async def tell(percent: int) -> None:
            await self._store.progress(mine, order.export_id, self._holder, percent)

        with tempfile.TemporaryDirectory(dir=place.folder, prefix="redaction-") as folder:
            made = await make_copy(order, original, Path(folder), read, tell)
            await asyncio.to_thread(archive.add_file, REDACTED_CLIP, made.path)
        await self._add_custody(order, archive, {f"export:{order.original_export_id}"})
        archive.add("README.txt", redacted_readme(order, original))
        archive.add("verify.py", verifier())
        return redacted_manifest(order, original, made, archive), 0

    async def _add_custody(self, order: Order, archive: Archive, object_ids: set[str]) -> None:
        """The owner's log, as far as it is about these."""
        custody = await self._custody.entries(order.owner_agency_id, order.camera_id)
        kept = [entry for entry in custody if object_ids & set(entry["object_ids"])]
        archive.add("custody.json", json.dumps(kept, indent=1, ensure_ascii=False).encode())

    async def _original(self, owner: Scope, segment: Segment, key: str, sha256: str) -> bytes:
        data = await self._objects.get(owner, segment.agency_id, key)
        if hashlib.sha256(data).hexdigest() != sha256:
            what = "the sound of segment" if key == segment.sound_key else "segment"
            raise ValueError(f"{what} {segment.segment_id} in the store isn't what was recorded: its SHA-256 is another one")
        return data


def _checked_reason(reason: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise InvalidInput.one("reason", f"is needed, 1 to {_LONGEST_REASON} printable characters")
    return reason


def object_key(export_id: str) -> str:
    """Where an archive lies in the bucket of who ordered it."""
    return f"exports/{export_id}.zip"


def _described(camera: Camera | None) -> dict[str, Any]:
    if camera is None:
        return {}
    told: dict[str, Any] = {"name": camera.name, "owner": camera.owner}
    if camera.HasField("coordinate"):
        told |= {"latitude_deg": camera.coordinate.latitude_deg, "longitude_deg": camera.coordinate.longitude_deg}
        told["bearing_deg"] = round(camera.bearing_deg, 1)
    return told


def _entry(order: Order, digest: str, size: int, segments: int, now: datetime) -> AuditDraft:
    told = {
        "bytes": size, "camera_id": order.camera_id, "segments": segments, "sha256": digest, "made_for": order.created_by,
        "starts_at": order.starts_at.isoformat(), "ends_at": order.ends_at.isoformat(),
        "original_export_id": order.original_export_id, "with_sound": order.with_sound,
    }  # fmt: skip
    return AuditDraft(
        action="export.made",
        place="video: exports",
        outcome=Outcome.ALLOWED,
        scope=Scope.service("video", order.agency_id),
        reason=f"{'redacted copy' if order.redaction else 'export'} for case {order.case_number}: {order.reason}"[:300],
        object_ids=(*(f"export:{one}" for one in (order.export_id, order.original_export_id) if one), f"camera:{order.camera_id}"),
        owner_agency_id=order.owner_agency_id,
        agreement_id=order.agreement_id,
        new_value=json.dumps(told, sort_keys=True),
        occurred_at=now,
    )
