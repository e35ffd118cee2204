"""The connector kit at work: mappings of sources, recordings of what they send, and the bench that tries a mapping on a recording."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rtcc.event.v1 import event_pb2
from rtcc_chassis.access import Access, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound, RtccError
from rtcc_chassis.scope import Scope
from rtcc_chassis.signed_sources import RegisteredSource
from rtcc_intake.app.ports import Recorded, Sources, SourceStore, StoredMapping
from rtcc_intake.document import read_document
from rtcc_intake.domain import MAPPED, NotUnderstood, ParsedEvent
from rtcc_intake.mapping import Mapping, checked_mapping, differences, read_mapped

_LOG = logging.getLogger(__name__)
MAXIMUM_MAPPING_BYTES = 64 * 1024
MAXIMUM_RECORDING = 200
_DEFAULT_RECORDING = 20


@dataclass(frozen=True, slots=True)
class Tried:
    """One recorded delivery read by the mapping in use and by another; the first event stands for a delivery of several."""

    recorded: Recorded
    before: event_pb2.Event | None
    after: event_pb2.Event | None
    before_problem: str
    after_problem: str
    changes: list[tuple[str, str, str]]


class ConnectorKit:
    """`note` and `read` serve deliveries; the rest is for the people who set a source up."""

    def __init__(self, store: SourceStore, sources: Sources, access: Access, clock: Clock) -> None:
        self._store = store
        self._sources = sources
        self._access = access
        self._clock = clock
        self._recording: set[str] = set()
        # compiled once a revision
        self._compiled: dict[str, tuple[int, Mapping]] = {}

    async def refresh(self) -> None:
        """Learn which sources are recorded, whoever started it."""
        self._recording = await self._store.recording(Scope.platform("intake"))

    async def note(self, source: RegisteredSource, body: bytes, delivery_id: str, received_at: datetime) -> None:
        """Keep a delivery while its source is recorded. A recording that fails never stops a delivery."""
        if source.source_id not in self._recording:
            return
        try:
            scope = Scope.service("intake", source.agency_id)
            more = await self._store.record(scope, source.source_id, source.agency_id, Recorded(delivery_id, received_at, body))
        except RtccError as error:
            _LOG.warning("a delivery of source %s is not recorded: %s", source.source_id, error.message)
            return
        if not more:
            self._recording.discard(source.source_id)

    async def read(self, source: RegisteredSource, body: bytes, received_at: datetime) -> list[ParsedEvent]:
        """By the mapping in use. Raises NotUnderstood."""
        mapping = await self._mapping(source)
        if mapping is None:
            raise NotUnderstood("mapping", "the source has no mapping yet: set one, then replay this")
        return read_mapped(mapping, read_document(body), received_at)

    async def _mapping(self, source: RegisteredSource) -> Mapping | None:
        stored = await self._store.mapping(Scope.service("intake", source.agency_id), source.source_id)
        if stored is None:
            return None
        compiled = self._compiled.get(source.source_id)
        if compiled is None or compiled[0] != stored.revision:
            compiled = self._compiled[source.source_id] = (stored.revision, checked_mapping(stored.document))
        return compiled[1]

    def _own(self, scope: Scope, action: str, source_id: str) -> RegisteredSource:
        """The source, if it is the caller's agency's: another's doesn't exist for it."""
        source = self._sources.get(source_id)
        if source is None or source.agency_id != scope.agency_id:
            raise NotFound("source", source_id[:64])
        self._access.require(scope, action, Resource("source", source_id, source.agency_id))
        return source

    def _mapped(self, scope: Scope, action: str, source_id: str) -> RegisteredSource:
        source = self._own(scope, action, source_id)
        if source.adapter != MAPPED:
            raise Conflict(f'The source is read by the adapter {source.adapter}: only one with the adapter "{MAPPED}" has a mapping.')
        return source

    async def set_mapping(self, scope: Scope, source_id: str, document: dict[str, Any], *, dry_run: bool) -> StoredMapping:
        """From the next delivery on. Raises InvalidInput that names every mistake, NotFound, Conflict."""
        source = self._mapped(scope, "source.set_mapping", source_id)
        text = _checked_text(document)
        checked_mapping(document)
        old = await self._store.mapping(scope, source_id)
        revision = old.revision if old else 0
        mapping = StoredMapping(source_id, source.agency_id, revision, document, self._clock(), scope.principal_id)
        if not dry_run:
            mapping = await self._store.put_mapping(scope, mapping)
            touched(f"source:{source_id}", old_value=json.dumps(old.document) if old else "", new_value=text)
        return mapping

    async def mapping(self, scope: Scope, source_id: str) -> tuple[StoredMapping | None, int, int]:
        """(the mapping in use, deliveries recorded, how many more will be)"""
        self._own(scope, "source.read_mapping", source_id)
        recorded, remaining = await self._store.recorded(scope, source_id)
        return await self._store.mapping(scope, source_id), len(recorded), remaining

    async def start_recording(self, scope: Scope, source_id: str, count: int) -> int:
        """Keep the next deliveries; those of the recording before go. Answers how many."""
        source = self._own(scope, "source.record", source_id)
        if count > MAXIMUM_RECORDING:
            raise InvalidInput.one("count", f"at most {MAXIMUM_RECORDING} deliveries are recorded")
        wanted = count or _DEFAULT_RECORDING
        await self._store.start_recording(scope, source_id, source.agency_id, wanted, self._clock())
        self._recording.add(source_id)
        return wanted

    async def try_mapping(self, scope: Scope, source_id: str, document: dict[str, Any]) -> list[Tried]:
        """Read every recorded delivery by the mapping in use and by this one; publishes nothing."""
        source = self._mapped(scope, "source.try_mapping", source_id)
        _checked_text(document)
        new = checked_mapping(document)
        old = await self._mapping(source)
        recorded, _ = await self._store.recorded(scope, source_id)
        touched(*(f"delivery:{delivery.delivery_id}" for delivery in recorded))
        return [_tried(delivery, old, new) for delivery in recorded]


def _checked_text(document: dict[str, Any]) -> str:
    text = json.dumps(document, ensure_ascii=False)
    if len(text.encode("utf-8", "replace")) > MAXIMUM_MAPPING_BYTES:
        raise InvalidInput.one("mapping", f"is larger than {MAXIMUM_MAPPING_BYTES} bytes")
    return text


def _tried(recorded: Recorded, old: Mapping | None, new: Mapping) -> Tried:
    before, before_problem = _read(old, recorded)
    after, after_problem = _read(new, recorded)
    changes: list[tuple[str, str, str]] = []
    for index in range(max(len(before), len(after))):
        prefix = f"[{index}]." if max(len(before), len(after)) > 1 else ""
        pair = (before[index] if index < len(before) else None, after[index] if index < len(after) else None)
        changes += [(prefix + field, was, becomes) for field, was, becomes in differences(*pair)]
    return Tried(recorded, _first(before), _first(after), before_problem, after_problem, changes)


def _read(mapping: Mapping | None, recorded: Recorded) -> tuple[list[event_pb2.Event], str]:
    if mapping is None:
        return [], "there is no mapping yet"
    try:
        return [parsed.event for parsed in read_mapped(mapping, read_document(recorded.body), recorded.received_at)], ""
    except NotUnderstood as error:
        return [], error.message


def _first(events: Sequence[event_pb2.Event]) -> event_pb2.Event | None:
    return events[0] if events else None
