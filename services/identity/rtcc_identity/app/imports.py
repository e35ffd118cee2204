"""Imports: taken at once, done in the background, told row by row how they go; a killed process loses nothing."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Exhausted, InvalidInput, NotFound, RtccError, Unavailable
from rtcc_chassis.identifiers import derived_id, new_id
from rtcc_chassis.scope import Scope
from rtcc_identity.app.ports import Saved
from rtcc_identity.domain.import_mapping import Column, checked_mapping
from rtcc_identity.domain.import_rows import MAXIMUM_REJECTED_LISTED, Row, RowReader, check_file
from rtcc_identity.domain.records import Prepared

_LOG = logging.getLogger(__name__)
_MAXIMUM_LISTED = 100


@dataclass(slots=True)
class Import:
    """One import as it is stored; `told` is what callers see of it."""

    request: pb.StartRecordImportRequest
    told: pb.RecordImport
    object_key: str


class Imports(Protocol):
    """Storage of imports."""

    async def add(self, scope: Scope, new: Import, queue: int) -> pb.RecordImport | None:
        """The import as it is stored, which is an earlier one when the id is known; None: `queue` imports wait already."""
        ...

    async def get(self, scope: Scope, import_id: str) -> pb.RecordImport | None: ...

    async def list_newest(self, scope: Scope, limit: int) -> list[pb.RecordImport]: ...

    async def claim(self, scope: Scope, now: datetime, abandoned_before: datetime) -> Import | None:
        """The oldest that waits, or whose process stopped; it is running from now on."""
        ...

    async def store_rows(self, scope: Scope, records: Sequence[Prepared], told: pb.RecordImport, now: datetime) -> Saved:
        """Rows and the progress that counts them, in one transaction; `told` is completed with what became of them."""
        ...

    async def finish(self, scope: Scope, told: pb.RecordImport, now: datetime, *, remove_absent: bool) -> list[str]:
        """The end, with the removal of what a full refresh no longer holds; the answer is the photos of those."""
        ...


class Files(Protocol):
    """Where files wait."""

    async def put(self, scope: Scope, agency_id: str, key: str, data: bytes, content_type: str) -> str: ...

    async def get(self, scope: Scope, agency_id: str, key: str) -> bytes: ...

    async def remove(self, scope: Scope, agency_id: str, key: str) -> None: ...


@dataclass(slots=True)
class ImportApp:
    """What people do with imports."""

    imports: Imports
    files: Files
    clock: Clock
    queue: int
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, scope: Scope, request: pb.StartRecordImportRequest) -> pb.RecordImport:
        """The file is stored when it returns. Raises InvalidInput with what of mapping or file can't be used, Exhausted."""
        source, delimiter = request.source.strip(), request.delimiter or ","
        if not 1 <= len(source) <= 60 or not source.isprintable():
            raise InvalidInput.one("source", "must say in 1 to 60 characters whose extract this is")
        columns = columns_of(request)
        await asyncio.to_thread(check_file, request.csv, delimiter, columns)
        known = scope.idempotency_key
        told = pb.RecordImport(
            import_id=derived_id(scope.agency_id, "import", known) if known else new_id(),
            agency_id=scope.agency_id,
            kind=request.kind,
            source=source,
            state=pb.RECORD_IMPORT_STATE_WAITING,
            bytes_total=len(request.csv),
            started_by=scope.display_name or scope.principal_id,
        )
        told.started_at.FromDatetime(self.clock())
        key = f"identity/imports/{told.import_id}.csv"
        await self.files.put(scope, scope.agency_id, key, request.csv, "text/csv")
        kept = pb.StartRecordImportRequest()
        kept.CopyFrom(request)
        kept.csv, kept.source, kept.delimiter = b"", source, delimiter
        stored = await self.imports.add(scope, Import(kept, told, key), self.queue)
        if stored is None:
            await self.files.remove(scope, scope.agency_id, key)
            raise Exhausted("the number of waiting imports", self.queue)
        touched(f"record_import:{stored.import_id}", f"source:{source}")
        self.wake.set()
        return stored

    async def get(self, scope: Scope, import_id: str) -> pb.RecordImport:
        """Raises NotFound."""
        told = await self.imports.get(scope, import_id)
        if told is None:
            raise NotFound("record import", import_id)
        return told

    async def list_newest(self, scope: Scope, limit: int) -> list[pb.RecordImport]:
        """Without their rejected rows."""
        found = await self.imports.list_newest(scope, min(limit or 20, _MAXIMUM_LISTED))
        for told in found:
            del told.rejected[:]
        return found


def columns_of(request: pb.StartRecordImportRequest) -> list[Column]:
    """The declared mapping, checked."""
    return checked_mapping(request.kind, [(one.column, one.field, one.format) for one in request.mapping])


def _next_rows(rows: Iterator[Row], most: int) -> tuple[list[Row], InvalidInput | None]:
    """At most `most`, and why there are no more where the file breaks: what came before is good."""
    batch: list[Row] = []
    try:
        for row in rows:
            batch.append(row)
            if len(batch) == most:
                break
    except InvalidInput as error:
        return batch, error
    return batch, None


class ImportWorker:
    """Works imports off, one at a time; several processes share them by the table's locks."""

    def __init__(self, imports: Imports, files: Files, clock: Clock, *, rows: int) -> None:
        self._imports = imports
        self._files = files
        self._clock = clock
        self._rows = rows

    async def work_off(self, one: Import) -> None:
        """To its end, done or failed. Raises Unavailable: it is taken up again later, at the row where it stood."""
        told, request = one.told, one.request
        scope = Scope.service("identity", told.agency_id)
        try:
            content = await self._files.get(scope, told.agency_id, one.object_key)
            columns = columns_of(request)
            reader = RowReader(request.kind, request.source, told.agency_id, request.delimiter, columns, self._clock())
            done = told.rows_created + told.rows_updated + told.rows_unchanged + told.rows_rejected
            rows = reader.rows(content, skip=done)
            broken: InvalidInput | None = None
            while broken is None:
                batch, broken = await asyncio.to_thread(_next_rows, rows, self._rows)
                if batch:
                    await self._store(scope, told, batch)
                elif broken is None:
                    break
            if broken is not None:
                raise broken
            told.state = pb.RECORD_IMPORT_STATE_DONE
            told.bytes_read = told.bytes_total
        except Unavailable:
            raise
        except RtccError as error:
            told.state, told.failure = pb.RECORD_IMPORT_STATE_FAILED, error.message[:1_000]
        except Exception:
            # one file must not take the process, and every later import, down with it
            _LOG.exception("import %s of %s failed", told.import_id, told.agency_id)
            told.state, told.failure = pb.RECORD_IMPORT_STATE_FAILED, "It failed inside the platform: tell the operator."
        complete = told.state == pb.RECORD_IMPORT_STATE_DONE and request.full_refresh and not told.rows_rejected
        now = self._clock()
        told.finished_at.FromDatetime(now)
        photos = await self._imports.finish(scope, told, now, remove_absent=complete)
        for key in (one.object_key, *photos):
            await self._files.remove(scope, told.agency_id, key)

    async def _store(self, scope: Scope, told: pb.RecordImport, batch: Sequence[Row]) -> None:
        for row in batch:
            if row.prepared is None:
                told.rows_rejected += 1
                if len(told.rejected) < MAXIMUM_REJECTED_LISTED:
                    told.rejected.add(row=row.line, column=row.column, reason=row.reason)
        told.bytes_read = batch[-1].bytes_read
        told.state = pb.RECORD_IMPORT_STATE_RUNNING
        await self._imports.store_rows(scope, [row.prepared for row in batch if row.prepared is not None], told, self._clock())

    async def run(self, wake: asyncio.Event, *, check_s: float, abandoned_s: float) -> None:
        """For ever: what waits, and what a process left when it stopped."""
        scope = Scope.platform("identity")
        while True:
            wake.clear()
            try:
                now = self._clock()
                while (one := await self._imports.claim(scope, now, now - timedelta(seconds=abandoned_s))) is not None:
                    await self.work_off(one)
                    now = self._clock()
            except RtccError as error:
                _LOG.warning("imports: waiting, %s", error)
            try:
                async with asyncio.timeout(check_s):
                    await wake.wait()
            except TimeoutError:
                continue
