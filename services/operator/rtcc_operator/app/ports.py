"""What the use cases need of the world."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import RtccError
from rtcc_operator.domain.resources import Meta

Resource = dict[str, Any]


class Outdated(RtccError):
    """Somebody changed the object meanwhile (409): read it again."""


class WatchExpired(RtccError):
    """The place in the watch is too old (410 Gone): list again."""


class Absent(RtccError):
    """The object isn't there (404)."""


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch. `resource_version` is where the next watch goes on."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    resource: Resource
    resource_version: str


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """Who leads. `version` is the resourceVersion that a change must name."""

    holder: str
    duration_s: float
    acquired_at: datetime | None
    renewed_at: datetime | None
    transitions: int
    version: str


class Cluster(Protocol):
    """The Kubernetes API, for one namespace. Raises Unavailable when it is away."""

    async def list_all(self, plural: str) -> tuple[list[Resource], str]:
        """All of a kind, and the resourceVersion at which a watch begins."""

    def watch(self, plural: str, resource_version: str) -> AsyncIterator[Change]:
        """Changes since then, until the server ends the watch. Raises WatchExpired."""

    async def get(self, plural: str, name: str) -> Resource:
        """Raises Absent."""

    async def set_finalizers(self, plural: str, resource: Resource, finalizers: Sequence[str]) -> Resource:
        """Raises Outdated or Absent."""

    async def set_status(self, plural: str, resource: Resource, status: Mapping[str, Any]) -> Resource:
        """Through the status subresource. Raises Outdated or Absent."""

    async def secret(self, name: str) -> dict[str, str] | None:
        """Its data as texts; None when there is none."""

    async def create_secret(self, name: str, data: Mapping[str, str], labels: Mapping[str, str]) -> None:
        """Raises Outdated when it exists."""

    async def tell(self, meta: Meta, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """An Event about a resource; repeats of the same are counted."""

    async def lease(self, name: str) -> LeaseRecord | None: ...

    async def put_lease(self, name: str, record: LeaseRecord) -> LeaseRecord:
        """Create (version "") or replace. Raises Outdated."""


class Registry(Protocol):
    """The registry and the gateway's accounts, in the controller's own name."""

    async def agency(self, agency_id: str) -> pb.Agency | None: ...

    async def create_agency(self, agency: pb.Agency) -> None: ...

    async def update_agency(self, agency: pb.Agency) -> None: ...

    async def person(self, login: str) -> pb.Person | None: ...

    async def create_person(self, person: pb.Person, idempotency_key: str) -> pb.Person: ...

    async def enrolment_link(self, person_id: str) -> tuple[str, datetime]: ...

    async def agreements(self) -> list[pb.Agreement]: ...

    async def grant(self, agreement: pb.Agreement) -> pb.Agreement: ...

    async def narrow(self, agreement: pb.Agreement) -> pb.Agreement:
        """Raises InvalidInput where it would give more."""

    async def revoke(self, agreement_id: str, reason: str) -> None: ...


class Accounts(Protocol):
    """The account resolver of the NATS servers."""

    async def current(self, account: str) -> str:
        """The token that the servers hold; "" for none."""

    async def push(self, token: str) -> None:
        """All servers that answer have it. Raises Unavailable when none takes it."""


QuotaState = Literal["enforced", "unsupported"]


class Buckets(Protocol):
    """The object store."""

    def name_of(self, agency_id: str) -> str: ...

    async def check(self) -> None:
        """Raises UnfitObjectStore when it can't do what we rely on, Unavailable when it is away."""

    async def ensure(self, agency_id: str) -> None:
        """The bucket is there."""

    async def set_quota(self, agency_id: str, quota_bytes: int) -> QuotaState:
        """0: none."""

    async def delete(self, agency_id: str) -> int:
        """The bucket with everything in it; how many objects there were."""
