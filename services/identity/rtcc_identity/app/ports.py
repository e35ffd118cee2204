"""What the use cases need of storage, and the plain values that pass between them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc.registry.v1.registry_pb2 import Agreement
from rtcc_chassis.scope import Scope
from rtcc_identity.domain.records import Prepared

# the agreements of the installation, as the directory has them now
Agreements = Callable[[], Iterable[Agreement]]


@dataclass(frozen=True, slots=True)
class Query:
    """Keys to ask the index for, the weak ones only when the strong ones find hardly anybody, and what to order candidates by."""

    strong: list[int]
    weak: list[int]
    surnames: list[int]
    givens: list[int]
    births: list[int]
    birth_low: int
    birth_high: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row of the index: `names` as written there, `birth` yyyymmdd or 0."""

    record_number: int
    agency_id: str
    names: str
    birth: int


@dataclass(frozen=True, slots=True)
class Found:
    """A stored record, whole: cut it before it leaves."""

    record_number: int
    record: pb.Record
    photo_object: str


@dataclass(frozen=True, slots=True)
class TiedPlace:
    """That something is tied to a place, and how ("home")."""

    record_number: int
    kind: str
    tie: str
    street: str
    locality: str
    latitude_deg: float | None
    longitude_deg: float | None


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a batch."""

    created: int
    updated: int
    unchanged: int


class Records(Protocol):
    """The store as the use cases need it; `grantors`: agencies whose agreements give the caller's agency their persons."""

    async def candidates(self, scope: Scope, query: Query, grantors: Sequence[str] = ()) -> list[Candidate]: ...

    async def index_rows(self, scope: Scope, record_numbers: Collection[int], grantors: Sequence[str] = ()) -> list[Candidate]: ...

    async def by_numbers(self, scope: Scope, record_numbers: Collection[int], grantors: Sequence[str] = ()) -> dict[int, Found]: ...

    async def by_ids(self, scope: Scope, record_ids: Collection[str], grantors: Sequence[str] = ()) -> dict[str, Found]: ...

    async def by_phone(self, scope: Scope, phone: str, limit: int, grantors: Sequence[str] = ()) -> list[int]: ...

    async def by_place(
        self, scope: Scope, street: str, cells: Sequence[int], limit: int, grantors: Sequence[str] = ()
    ) -> list[TiedPlace]: ...

    async def by_plate(self, scope: Scope, pattern: str, vin: str, limit: int, grantors: Sequence[str] = ()) -> list[Found]: ...

    async def about(
        self, scope: Scope, person_record_ids: Collection[str], kinds: Collection[str], limit: int, grantors: Sequence[str] = ()
    ) -> dict[str, list[Found]]: ...

    async def active_warrants(
        self, scope: Scope, person_record_ids: Collection[str], today: date, grantors: Sequence[str] = ()
    ) -> dict[str, list[Found]]: ...

    async def put(self, scope: Scope, records: Sequence[Prepared], import_id: str = "") -> Saved: ...

    async def index_anew(self, scope: Scope, rows: int) -> int: ...

    async def set_photo(self, scope: Scope, record_id: str, photo_object: str, now: datetime) -> Found | None: ...

    async def remove(self, scope: Scope, record_id: str) -> Found | None: ...


class Photos(Protocol):
    """Where photos are."""

    async def put(self, scope: Scope, agency_id: str, key: str, data: bytes, content_type: str) -> str: ...

    async def get(self, scope: Scope, agency_id: str, key: str) -> bytes: ...

    async def remove(self, scope: Scope, agency_id: str, key: str) -> None: ...
