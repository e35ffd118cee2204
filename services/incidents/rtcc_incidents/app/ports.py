"""What the use cases need of the stores."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rtcc.identity.v1.identity_pb2 import GetArrivalCardResponse
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.scope import Scope
from rtcc_incidents.domain.incidents import Happening, Record
from rtcc_incidents.domain.tips import Told


@dataclass(frozen=True, slots=True)
class KnownAlert:
    """An alert that was seen on the bus, and the incident that it belongs to ("": none)."""

    agency_id: str
    reference: pb.AlertReference
    occurred_at: datetime
    incident_id: str = ""
    entry_id: str = ""

    @property
    def happening(self) -> Happening:
        position = self.reference.position
        return Happening(self.reference.alert_id, position.coordinate if position.HasField("coordinate") else None, self.occurred_at)


class IncidentTransaction(Protocol):
    """One transaction. Incidents that are changed are locked first: of two people at the same moment one is first."""

    async def next_count(self, agency_id: str, year: int) -> int:
        """1, 2, 3 ... without a gap: a count that is rolled back is given again."""
        ...

    async def lock(self, incident_id: str) -> Record | None: ...

    async def insert(self, record: Record, entries: Sequence[pb.TimelineEntry], now: datetime) -> None:
        """Write and publish. Raises Conflict when the id is taken."""
        ...

    async def save(self, record: Record, entries: Sequence[pb.TimelineEntry], now: datetime) -> None:
        """One revision up, written with its new entries and published."""
        ...

    async def entry(self, entry_id: str) -> tuple[pb.TimelineEntry | None, bool]:
        """(the entry, whether a later one corrects it)"""
        ...

    async def lock_signals(self, agency_id: str) -> None:
        """New calls and new alerts of an agency are taken one after the other: else two at the same moment would not see each other."""
        ...

    async def incident_of_call(self, agency_id: str, call_id: str) -> str: ...

    async def bind_call(self, agency_id: str, call_id: str, incident_id: str) -> None: ...

    async def lock_unit(self, unit_id: str) -> str:
        """The incident on which the unit works, "" for none; nobody else assigns the unit before this transaction ends."""
        ...

    async def set_work(self, agency_id: str, unit_id: str, incident_id: str) -> None: ...

    async def end_work(self, incident_id: str, unit_ids: Sequence[str]) -> None: ...

    async def note_alerts(self, alerts: Sequence[KnownAlert]) -> set[str]:
        """The ids of those that weren't known."""
        ...

    async def lock_alert(self, alert_id: str) -> KnownAlert | None: ...

    async def bind_alert(self, alert_id: str, incident_id: str, entry_id: str, *, detached: bool) -> None:
        """`entry_id`: the entry that tells so."""
        ...

    async def free_alerts(self, agency_id: str, since: datetime, until: datetime) -> list[KnownAlert]:
        """Those of no incident that nobody took off one."""
        ...

    async def open_incidents(self, agency_id: str, since: datetime, until: datetime) -> list[Happening]: ...

    async def add_photo(self, photo_id: str, agency_id: str, incident_id: str, object_key: str) -> None: ...


class Incidents(Protocol):
    """The store of incidents."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[IncidentTransaction]: ...

    async def list_incidents(self, scope: Scope, *, include_closed: bool, number: str, limit: int) -> list[pb.Incident]: ...

    async def get(self, scope: Scope, incident_id: str) -> pb.Incident | None: ...

    async def timeline(self, scope: Scope, incident_id: str, after_sequence: int, limit: int) -> list[pb.TimelineEntry]:
        """The newest written ones, each with what corrects it."""
        ...

    async def photo_key(self, scope: Scope, incident_id: str, photo_id: str) -> tuple[str, str] | None:
        """(agency, object key)"""
        ...

    async def earlier(
        self, scope: Scope, incident: pb.Incident, address_key: str, box: tuple[float, float, float, float] | None, limit: int
    ) -> list[pb.Incident]:
        """Others at the address or in the box, newest first."""
        ...


class FloorPlans(Protocol):
    """The store of floor plans."""

    async def insert(self, scope: Scope, plan: pb.FloorPlan, object_key: str) -> bool:
        """False: the id is taken."""
        ...

    async def get(self, scope: Scope, floor_plan_id: str) -> tuple[pb.FloorPlan, str] | None:
        """(the plan, the object key of its image)"""
        ...

    async def list_plans(self, scope: Scope) -> list[pb.FloorPlan]: ...

    async def update(self, scope: Scope, plan: pb.FloorPlan) -> bool:
        """Write revision n over n - 1; False: somebody else did."""
        ...

    async def delete(self, scope: Scope, floor_plan_id: str) -> pb.FloorPlan | None: ...


@dataclass(frozen=True, slots=True)
class StoredTip:
    """A tip with its photo: where it is ("": there is none) and what a timeline says of it."""

    tip: pb.Tip
    photo_object: str = ""
    photo: pb.PhotoReference | None = None


class TipTransaction(Protocol):
    """One transaction over tips and the incidents that they become."""

    @property
    def incidents(self) -> IncidentTransaction: ...

    async def lock_agency(self, agency_id: str) -> None:
        """Whoever changes several tips of an agency, or adds one, does it alone.

        So like ones find each other's group, no bound is passed together, and nobody waits in a circle.
        """
        ...

    async def sent_since(self, agency_id: str, sender_hash: str, since: datetime) -> tuple[int, int]:
        """(by this sender, by all)"""
        ...

    async def note_sender(self, agency_id: str, sender_hash: str, at: datetime) -> None: ...

    async def told_since(self, agency_id: str, since: datetime) -> list[Told]: ...

    async def insert(self, stored: StoredTip) -> bool:
        """False: it was there before."""
        ...

    async def announce(self, stored: StoredTip) -> None:
        """As an event, for the rules of alerting."""
        ...

    async def lock(self, tip_id: str) -> StoredTip | None: ...

    async def lock_group(self, group_id: str) -> list[StoredTip]: ...

    async def save(self, tip: pb.Tip) -> None: ...


class Tips(Protocol):
    """The store of tips."""

    def transaction(self, scope: Scope) -> AbstractAsyncContextManager[TipTransaction]: ...

    async def list_tips(self, scope: Scope, state: str, *, include_promoted: bool, limit: int) -> list[pb.Tip]: ...

    async def get(self, scope: Scope, tip_id: str) -> StoredTip | None: ...

    async def get_line(self, scope: Scope, agency_id: str) -> pb.TipLine: ...

    async def set_line(self, scope: Scope, line: pb.TipLine) -> pb.TipLine:
        """The line before; the new one is in the directory a moment later."""
        ...


class Images(Protocol):
    """Where pictures are."""

    async def put(self, scope: Scope, agency_id: str, key: str, data: bytes, content_type: str) -> str: ...

    async def get(self, scope: Scope, agency_id: str, key: str) -> bytes: ...


class Records(Protocol):
    """The identity service, asked with the caller's own token."""

    async def label(self, scope: Scope, record_kind: str, record_id: str) -> str:
        """What the caller may see as a name; "" when nothing."""
        ...

    async def arrival_card(self, scope: Scope, incident: pb.Incident) -> GetArrivalCardResponse:
        """Raises Unavailable, Refused."""
        ...
