"""Who moves a camera: one person at a time, for a while. No I/O, no clock."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from rtcc_chassis.scope import Scope

LEASE = timedelta(seconds=15)
LONGEST = timedelta(minutes=10)
# a movement goes on for so long unless it is sent again
MOVEMENT_S = 2.0


@dataclass(frozen=True, slots=True)
class Lease:
    """`until`: unless it is renewed; `ends_at`: whatever is done. `movements`: asked for so far."""

    camera_id: str
    agency_id: str
    lease_id: str
    principal_id: str
    session_id: str
    holder_name: str
    purpose: str
    case_number: str
    since: datetime
    until: datetime
    ends_at: datetime
    movements: int = 0

    def holder(self) -> Scope:
        """The person as the audit log names it, in the agency that owns the camera."""
        return Scope(
            self.agency_id, self.principal_id, "person", frozenset(), display_name=self.holder_name, session_id=self.session_id,
            purpose=self.purpose, case_number=self.case_number,
        )  # fmt: skip


def new_lease(scope: Scope, camera_id: str, agency_id: str, lease_id: str, now: datetime) -> Lease:
    """A lease of this caller."""
    return Lease(
        camera_id, agency_id, lease_id, scope.principal_id, scope.session_id, scope.display_name or scope.principal_id, scope.purpose,
        scope.case_number, now, now + LEASE, now + LONGEST,
    )  # fmt: skip
