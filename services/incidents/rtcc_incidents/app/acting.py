"""What every use case needs: who acts, rights on the loaded incident, and the facts of the directory."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc.registry.v1.registry_pb2 import Agency, Person, Unit
from rtcc_chassis.access import Access, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import NotFound
from rtcc_chassis.identifiers import derived_id, new_id
from rtcc_chassis.scope import Scope
from rtcc_incidents.app.ports import IncidentTransaction
from rtcc_incidents.domain.incidents import Record, number_of
from rtcc_incidents.domain.timeline import Author

AgencyFact = Callable[[str], Agency | None]
PersonFact = Callable[[str], Person | None]
UnitFact = Callable[[str], Unit | None]


@dataclass(frozen=True, slots=True)
class Facts:
    """Of the directory, as its mirrors hold them now."""

    agency: AgencyFact
    person: PersonFact
    unit: UnitFact

    def zone(self, agency_id: str) -> tzinfo:
        """The agency's time zone; UTC while the directory hasn't said."""
        agency = self.agency(agency_id)
        try:
            return ZoneInfo(agency.time_zone) if agency is not None and agency.time_zone else UTC
        except (ZoneInfoNotFoundError, ValueError):
            return UTC


@dataclass(frozen=True, slots=True)
class Acting:
    """Shared by the use cases."""

    access: Access
    clock: Clock
    facts: Facts

    def require(self, scope: Scope, action: str, incident: pb.Incident) -> None:
        """Raises Refused, PurposeRequired."""
        self.access.require(scope, action, Resource("incident", incident.incident_id, incident.agency_id))

    async def locked(self, transaction: IncidentTransaction, scope: Scope, action: str, incident_id: str) -> Record:
        """The incident, which nobody else changes meanwhile. Raises NotFound, Refused."""
        record = await transaction.lock(incident_id)
        if record is None:
            raise NotFound("incident", incident_id)
        self.require(scope, action, record.incident)
        return record

    async def next_number(self, transaction: IncidentTransaction, agency_id: str, now: datetime) -> str:
        """ "26-0001", in the agency's own year."""
        year = now.astimezone(self.facts.zone(agency_id)).year
        return number_of(year, await transaction.next_count(agency_id, year))


def author_of(scope: Scope) -> Author:
    return Author(scope.principal_id, scope.display_name)


def by(scope: Scope) -> tuple[str, str]:
    """(id, name) of who acts."""
    return scope.principal_id, scope.display_name


def id_for(scope: Scope, kind: str, *parts: str) -> str:
    """The same for a repeated request, new for another one."""
    return derived_id(scope.agency_id, kind, scope.idempotency_key, *parts) if scope.idempotency_key else new_id()


def told(incident: pb.Incident, old: Mapping[str, object] | None = None, new: Mapping[str, object] | None = None) -> None:
    """For the audit entry: the incident and what changed of it. No narrative and no numbers of callers: the log isn't for those."""
    touched(
        f"incident:{incident.incident_id}",
        owner_agency_id=incident.agency_id,
        old_value=json.dumps(old, ensure_ascii=False) if old is not None else "",
        new_value=json.dumps(new, ensure_ascii=False) if new is not None else "",
    )
