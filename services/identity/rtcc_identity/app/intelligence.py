"""Criminal intelligence (28 CFR 23): nothing without its reasonable suspicion, no answer without a record of who got it and why."""

from datetime import UTC, datetime, timedelta
from typing import Protocol

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import NotFound
from rtcc_chassis.identifiers import derived_id, new_id
from rtcc_chassis.scope import Scope
from rtcc_identity.app.ports import Records
from rtcc_identity.domain.intelligence import checked


class IntelligenceStore(Protocol):
    """Storage of intelligence and of its disseminations."""

    async def save(self, scope: Scope, intelligence: pb.Intelligence) -> bool:
        """False: the id belongs to another agency."""
        ...

    async def disseminate(self, scope: Scope, person_record_id: str, now: datetime) -> list[pb.Intelligence]:
        """What is in force about a person; each item is logged as told to `scope` in the same transaction."""
        ...

    async def disseminations(self, scope: Scope, intelligence_id: str) -> list[pb.Dissemination] | None:
        """Newest first; None: no such item was ever the agency's."""
        ...

    async def overdue(self, scope: Scope, now: datetime) -> dict[str, str]:
        """What was not validated in time: intelligence id -> agency, some at a time."""
        ...

    async def purge(self, scope: Scope, intelligence_id: str, now: datetime) -> None:
        """Remove an overdue one."""
        ...


class IntelligenceApp:
    """R25."""

    def __init__(self, intelligence: IntelligenceStore, records: Records, clock: Clock) -> None:
        self._intelligence = intelligence
        self._records = records
        self._clock = clock

    async def save(self, scope: Scope, wanted: pb.Intelligence) -> pb.Intelligence:
        """Raises InvalidInput without documented reasonable suspicion, NotFound for a person that isn't the agency's."""
        now = self._clock()
        intelligence = checked(wanted, now)
        person = (await self._records.by_ids(scope, [intelligence.person_record_id])).get(intelligence.person_record_id)
        if person is None or not person.record.HasField("person") or person.record.agency_id != scope.agency_id:
            raise NotFound("person record", intelligence.person_record_id)
        if not intelligence.intelligence_id:
            known = scope.idempotency_key
            intelligence.intelligence_id = derived_id(scope.agency_id, "intelligence", known) if known else new_id()
        intelligence.agency_id = scope.agency_id
        intelligence.submitted_by = scope.display_name or scope.principal_id
        intelligence.submitted_at.FromDatetime(now)
        if not await self._intelligence.save(scope, intelligence):
            raise NotFound("intelligence", intelligence.intelligence_id)
        touched(f"intelligence:{intelligence.intelligence_id}", f"person_record:{intelligence.person_record_id}")
        return intelligence

    async def list_about(self, scope: Scope, person_record_id: str) -> list[pb.Intelligence]:
        """Of the own agency alone: no agreement gives it. Raises NotFound."""
        person = (await self._records.by_ids(scope, [person_record_id])).get(person_record_id)
        if person is None or person.record.agency_id != scope.agency_id:
            raise NotFound("person record", person_record_id)
        found = await self._intelligence.disseminate(scope, person_record_id, self._clock())
        touched(f"person_record:{person_record_id}", *(f"intelligence:{one.intelligence_id}" for one in found))
        return found

    async def disseminations(self, scope: Scope, intelligence_id: str) -> list[pb.Dissemination]:
        """Who was told, newest first. Raises NotFound."""
        found = await self._intelligence.disseminations(scope, intelligence_id)
        if found is None:
            raise NotFound("intelligence", intelligence_id)
        return found


def review_by_of(intelligence: pb.Intelligence) -> datetime:
    """The moment after which it is purged."""
    return intelligence.review_by.ToDatetime(UTC)


PURGE_EVERY = timedelta(hours=1)
