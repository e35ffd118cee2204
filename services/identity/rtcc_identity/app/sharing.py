"""Whose records a caller may see, and what of them: the own agency's by role, a grantor's by role and agreement."""

from dataclasses import dataclass, field

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.access import Access, Grant, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import NotFound
from rtcc_chassis.scope import Scope
from rtcc_chassis.sharing import person_grants
from rtcc_identity.app.ports import Agreements, Found
from rtcc_identity.domain.disclosure import Disclosure


@dataclass(frozen=True, slots=True)
class Sight:
    """What one call may see, decided once at its begin."""

    scope: Scope
    own: Disclosure
    granted: dict[str, tuple[Grant, Disclosure]] = field(default_factory=dict)

    @property
    def grantors(self) -> tuple[str, ...]:
        return tuple(self.granted)

    def grantors_of(self, kind: str, field: str) -> tuple[str, ...]:
        """Those who give this field: what isn't given isn't searched by either, or the answer would tell it."""
        return tuple(agency_id for agency_id, (_, disclosure) in self.granted.items() if disclosure.sees(kind, field))

    def disclosure(self, agency_id: str) -> Disclosure:
        return self.own if agency_id == self.scope.agency_id else self.granted[agency_id][1]

    def agreement_id(self, agency_id: str) -> str:
        return "" if agency_id == self.scope.agency_id else self.granted[agency_id][0].agreement_id

    def shown(self, found: Found) -> pb.Record:
        """The record as this caller may see it."""
        record = self.disclosure(found.record.agency_id).cut(found.record)
        record.agreement_id = self.agreement_id(found.record.agency_id)
        return record

    def touch(self, *records: pb.Record) -> None:
        """Into the audit entry of this call: whose records its answer holds."""
        for record in records:
            kind = record.WhichOneof("details")
            touched(f"{kind}_record:{record.record_id}", owner_agency_id=record.agency_id, agreement_id=self.agreement_id(record.agency_id))


class Sharing:
    """Makes a `Sight`; agreements that refuse this caller (purpose, attestation, a barred purpose) give nothing."""

    def __init__(self, access: Access, clock: Clock, agreements: Agreements) -> None:
        self._access = access
        self._clock = clock
        self._agreements = agreements

    def sight(self, scope: Scope, action: str) -> Sight:
        """What `scope` may see when it does `action`."""
        granted = {}
        for agency_id, (grant, fields) in person_grants(self._agreements(), scope.agency_id, self._clock()).items():
            decision = self._access.decide(scope, action, Resource(action.partition(".")[0], "", agency_id, grant))
            if decision.allowed:
                granted[agency_id] = (grant, Disclosure(scope.roles, fields))
        return Sight(scope, Disclosure(scope.roles), granted)

    def require(self, sight: Sight, action: str, kind: str, found: Found | None, record_id: str) -> pb.Record:
        """The record as it may be shown. Raises NotFound (there is none that may be seen) and Refused."""
        if found is None:
            raise NotFound(f"{kind} record", record_id)
        owner = found.record.agency_id
        if owner != sight.scope.agency_id and owner not in sight.granted:
            raise NotFound(f"{kind} record", record_id)
        grant = None if owner == sight.scope.agency_id else sight.granted[owner][0]
        self._access.require(sight.scope, action, Resource(action.partition(".")[0], record_id, owner, grant))
        return sight.shown(found)
