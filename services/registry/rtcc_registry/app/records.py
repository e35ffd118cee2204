"""The kinds of records that the registry keeps, and what the use cases need of a store."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from google.protobuf.message import Message

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.scope import Scope


@dataclass(frozen=True, slots=True)
class Kind[M: Message]:
    """`name` is the table, the directory's type and the audit log's object kind.

    `natural_key` is what must be unique beside the id: a login in the installation, a camera's name in its agency.
    """

    name: str
    message_type: type[M]
    identifier: Callable[[M], str]
    owner: Callable[[M], str]
    natural_key: Callable[[M], str]
    natural_key_taken: str


AGENCY = Kind("agency", pb.Agency, lambda m: m.agency_id, lambda m: m.agency_id, lambda m: m.agency_id, "An agency with this id exists.")
PERSON = Kind("person", pb.Person, lambda m: m.person_id, lambda m: m.agency_id, lambda m: m.login, "The login is taken: choose another.")
CAMERA = Kind(
    "camera",
    pb.Camera,
    lambda m: m.camera_id,
    lambda m: m.agency_id,
    lambda m: f"{m.agency_id}/{m.name.casefold()}",
    "Your agency has a camera of this name: choose another, so that nobody mixes them up on the radio.",
)
ZONE = Kind(
    "zone",
    pb.Zone,
    lambda m: m.zone_id,
    lambda m: m.agency_id,
    lambda m: f"{m.agency_id}/{m.name.casefold()}",
    "Your agency has a zone of this name: choose another.",
)
SOURCE = Kind(
    "source",
    pb.Source,
    lambda m: m.source_id,
    lambda m: m.agency_id,
    lambda m: f"{m.agency_id}/{m.name.casefold()}",
    "Your agency has a source of this name: choose another.",
)
UNIT = Kind(
    "unit", pb.Unit, lambda m: m.unit_id, lambda m: m.agency_id, lambda m: m.device_id, "The device reports for another unit already."
)
AGREEMENT = Kind(
    "agreement",
    pb.Agreement,
    lambda m: m.agreement_id,
    lambda m: m.grantor_agency_id,
    lambda m: m.agreement_id,
    "An agreement with this id exists.",
)


EVERY_KIND: tuple[Kind[Any], ...] = (AGENCY, PERSON, CAMERA, ZONE, SOURCE, UNIT, AGREEMENT)


class Work(Protocol):
    """One transaction of one scope. Whatever it changes reaches the directory when it commits, or nothing of it does."""

    async def get[M: Message](self, kind: Kind[M], identifier: str, *, lock: bool = False) -> M | None:
        """The record, if the scope may see it. `lock`: nobody else changes it until this transaction ends."""

    async def all[M: Message](self, kind: Kind[M]) -> list[M]:
        """Every record that the scope may see, ordered by id."""

    async def find[M: Message](self, kind: Kind[M], natural_key: str) -> M | None:
        """By its other unique key."""

    async def insert[M: Message](self, kind: Kind[M], record: M, *, secret: str = "") -> bool:
        """False when the id is taken. Raises Conflict when the natural key is."""

    async def replace[M: Message](self, kind: Kind[M], record: M) -> None:
        """Store and publish the new value. Raises Conflict when its natural key is taken."""

    async def delete[M: Message](self, kind: Kind[M], record: M) -> None:
        """Remove it here and from the directory."""

    async def secret[M: Message](self, kind: Kind[M], identifier: str) -> str | None:
        """What is stored beside the record and never published: a source's signing key, a camera's stream address."""

    async def set_secret[M: Message](self, kind: Kind[M], identifier: str, secret: str) -> None: ...

    async def insert_many[M: Message](self, kind: Kind[M], records: Sequence[tuple[M, str]]) -> set[str]:
        """(record, secret) each, one statement for all; the ids that were free. Raises Conflict when a natural key is taken."""

    async def replace_many[M: Message](self, kind: Kind[M], records: Sequence[tuple[M, str | None]]) -> None:
        """(record, secret) each; None keeps the stored secret. Raises Conflict when a natural key is taken."""

    async def secrets[M: Message](self, kind: Kind[M]) -> dict[str, str]:
        """By id, those that aren't empty."""

    async def seal_plain[M: Message](self, kind: Kind[M]) -> int:
        """Seals the secrets that stand in the clear; how many there were."""

    async def count_of_agency[M: Message](self, kind: Kind[M], agency_id: str) -> int: ...

    async def add_change(self, old: pb.Agreement | None, new: pb.Agreement) -> None:
        """One revision of an agreement (R31)."""

    async def changes(self) -> list[tuple[str, pb.AgreementChange]]:
        """(agreement id, change) of every agreement that the scope may see, oldest first."""

    async def hold_still(self) -> None:
        """Nobody writes any record until this transaction ends; reading goes on."""

    async def hold_agreements(self) -> None:
        """No agreement is made or changed by others until this transaction ends."""

    async def about_to_agree(self) -> None:
        """Waits for who holds the agreements and lets nobody hold them until this transaction ends."""

    async def publish_again[M: Message](self, kind: Kind[M], record: M) -> None:
        """Tell the directory what it should know already."""

    async def retract[M: Message](self, kind: Kind[M], record: M) -> None:
        """Tell the directory that there is no such record."""

    async def ended_people(self, now: datetime, limit: int) -> Sequence[pb.Person]:
        """Enabled temporary accounts whose time is over (R7)."""


class Store(Protocol):
    """Where records are kept."""

    def work(self, scope: Scope) -> AbstractAsyncContextManager[Work]: ...
