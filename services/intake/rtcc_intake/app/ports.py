"""What the use cases need from the world around them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from rtcc.event.v1 import event_pb2
from rtcc.geo.v1 import geo_pb2
from rtcc.location.v1 import location_pb2
from rtcc_chassis.scope import Scope
from rtcc_chassis.signed_sources import RegisteredSource
from rtcc_intake.domain import EntryStatus, QuarantineEntry


class Sources(Protocol):
    """The registry as intake needs it."""

    def get(self, source_id: str) -> RegisteredSource | None: ...

    async def secret(self, source: RegisteredSource, *, newest: bool) -> str | None:
        """The signing secret. `newest`: ask the registry again unless it was asked a moment ago; None: no other than before."""
        ...


class Events(Protocol):
    """Where events go."""

    async def publish(self, event: event_pb2.Event) -> bool:
        """Durable when it returns; False: it had been published before."""
        ...

    async def republish(self, entry: QuarantineEntry) -> None:
        """A message that a consumer gave up on, to its subject again."""
        ...


class Images(Protocol):
    """Where evidence crops go."""

    async def put(self, scope: Scope, agency_id: str, key: str, data: bytes, content_type: str) -> str: ...


class Vehicles(Protocol):
    """The location service as intake needs it."""

    async def submit(self, source: RegisteredSource, vehicles: Sequence[location_pb2.Vehicle]) -> location_pb2.SubmitVehiclesResponse: ...


CameraPosition = Callable[[str, str], geo_pb2.Coordinate | None]


class Store(Protocol):
    """The archive and the quarantine."""

    async def has_event(self, scope: Scope, event_id: str) -> bool: ...

    async def add_quarantined(self, scope: Scope, entry: QuarantineEntry, limit: int) -> None: ...

    async def list_quarantined(self, scope: Scope, status: EntryStatus, limit: int) -> list[QuarantineEntry]: ...

    async def get_quarantined(self, scope: Scope, quarantine_id: str) -> QuarantineEntry | None: ...

    async def decide_quarantined(self, scope: Scope, entry: QuarantineEntry, decided_at: datetime, event_id: str, reason: str) -> bool: ...

    async def search_plates(
        self, scope: Scope, pattern: str, since: datetime | None, until: datetime | None, limit: int
    ) -> list[event_pb2.Event]: ...

    async def newest_calls(self, scope: Scope, since: datetime, limit: int) -> list[event_pb2.Event]: ...

    async def newest_things(
        self, scope: Scope, kinds: Sequence[str], since: datetime, now: datetime, limit: int
    ) -> list[event_pb2.Event]: ...

    async def warning_of(self, scope: Scope, message_ids: Sequence[str]) -> str:
        """The warning that the earliest known of these CAP messages belongs to; "": none is known."""
        ...


@dataclass(frozen=True, slots=True)
class StoredMapping:
    """A mapping in use and who put it there."""

    source_id: str
    agency_id: str
    revision: int
    document: dict[str, Any]
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """A delivery as it came in."""

    delivery_id: str
    received_at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class Feed:
    """Where a source is fetched from, and how the last try went."""

    source_id: str
    agency_id: str
    url: str
    every_s: int
    header_name: str = ""
    header_value: str = ""
    fetched_at: datetime | None = None
    problem: str = ""
    vehicles: int = 0


@dataclass(frozen=True, slots=True)
class SourceCertificate:
    """`certificate`: PEM; its key is nowhere but with the source."""

    source_id: str
    agency_id: str
    fingerprint_sha256: str
    certificate: str
    valid_until: datetime


class SourceStore(Protocol):
    """What intake knows about sources beyond the registry."""

    async def mapping(self, scope: Scope, source_id: str) -> StoredMapping | None: ...

    async def put_mapping(self, scope: Scope, mapping: StoredMapping) -> StoredMapping:
        """The answer has the new revision."""
        ...

    async def start_recording(self, scope: Scope, source_id: str, agency_id: str, count: int, now: datetime) -> None: ...

    async def recording(self, scope: Scope) -> set[str]:
        """Sources that are being recorded."""
        ...

    async def record(self, scope: Scope, source_id: str, agency_id: str, delivery: Recorded) -> bool:
        """False: the recording is complete."""
        ...

    async def recorded(self, scope: Scope, source_id: str) -> tuple[list[Recorded], int]:
        """(what was recorded, newest first; how many more will be)"""
        ...

    async def feed(self, scope: Scope, source_id: str) -> Feed | None: ...

    async def put_feed(self, scope: Scope, feed: Feed, now: datetime) -> None: ...

    async def claim_feeds(self, scope: Scope, now: datetime, limit: int) -> list[Feed]:
        """Feeds that are due, each given to one asker only until it is due again."""
        ...

    async def feed_fetched(self, scope: Scope, feed: Feed) -> None: ...

    async def put_certificate(self, scope: Scope, certificate: SourceCertificate) -> None: ...

    async def certificates(self, scope: Scope, now: datetime) -> list[SourceCertificate]: ...
