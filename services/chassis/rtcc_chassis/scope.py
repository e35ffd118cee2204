"""Who is asking, for whom and why: the first argument of every store and app method."""

from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal

from rtcc_chassis.errors import Unauthenticated

EVERY_AGENCY = "*"
PLATFORM_LOG = "platform"

PrincipalKind = Literal["person", "device", "service"]


@dataclass(frozen=True, slots=True)
class Scope:
    """A verified caller. Made from a token or by a service for itself, never from a payload.

    `agency_id` is "*" only for a service's own platform work (start-up, mirrors, consumers that serve all agencies).
    """

    agency_id: str
    principal_id: str
    principal_kind: PrincipalKind
    roles: frozenset[str]
    display_name: str = ""
    session_id: str = ""
    purpose: str = ""
    case_number: str = ""
    source_address: str = ""
    idempotency_key: str = ""
    signed_in_at: datetime | None = None
    token: str = field(default="", repr=False, compare=False)

    @classmethod
    def service(cls, name: str, agency_id: str) -> "Scope":
        """A service acting for one agency."""
        return cls(agency_id, f"service:{name}", "service", frozenset({"service"}), display_name=name)

    @classmethod
    def platform(cls, name: str) -> "Scope":
        """A service acting for the installation: sees every agency."""
        return cls.service(name, EVERY_AGENCY)

    @property
    def log_agency_id(self) -> str:
        """The agency in whose audit log this caller's acts stand."""
        return PLATFORM_LOG if self.agency_id == EVERY_AGENCY else self.agency_id

    def for_agency(self, agency_id: str) -> "Scope":
        """The same service narrowed to one agency; people keep theirs."""
        if self.principal_kind != "service":
            raise Unauthenticated("only a service may change the agency it acts for")
        return replace(self, agency_id=agency_id)


_CURRENT: ContextVar[Scope | None] = ContextVar("rtcc_scope", default=None)


def current_scope() -> Scope:
    """The scope of the call being handled; raises Unauthenticated outside of one."""
    scope = _CURRENT.get()
    if scope is None:
        raise Unauthenticated("no caller: this code runs outside of a call")
    return scope


def agency_in_scope() -> str:
    """The agency of the call being handled; "" outside of one."""
    scope = _CURRENT.get()
    return scope.agency_id if scope is not None else ""


def enter_scope(scope: Scope) -> None:
    """Called once per RPC by the interceptor (each call has its own context)."""
    _CURRENT.set(scope)
