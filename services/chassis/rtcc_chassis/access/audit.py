"""Writing the log: an entry is durable in JetStream before the answer it speaks of leaves (R8-R11)."""

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from prometheus_client import Counter

from rtcc.ledger.v1 import ledger_pb2
from rtcc_chassis.access.secrets import json_without_secrets, text_without_secrets
from rtcc_chassis.access.touches import Touches
from rtcc_chassis.bus import Outgoing
from rtcc_chassis.clock import Clock, utc_now
from rtcc_chassis.errors import Exhausted, Unavailable
from rtcc_chassis.identifiers import new_id
from rtcc_chassis.scope import EVERY_AGENCY, PLATFORM_LOG, Scope
from rtcc_chassis.streams import audit_subject

EVENT_TYPE = "openrtcc.audit.entry.v1"
OBJECTS_PER_ENTRY = 200
_DURABLE_WITHIN_S = 2.0
_LONGEST_VALUE = 64 * 1024
_LONGEST_TEXT = 1000
_LONGEST_NAME = 256
_AGENCY_ID = re.compile(r"[a-z0-9-]{2,40}")
# what neither PostgreSQL's text nor a terminal should ever get
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

AUDIT_FAILURES = Counter("rtcc_audit_failures", "Audit entries that JetStream did not take within 2 s; each refused its answer (R11).")
_LOG = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How the act ended."""

    ALLOWED = "allowed"
    DENIED = "denied"
    FAILED = "failed"


_OUTCOMES: Mapping[Outcome, ledger_pb2.Outcome.ValueType] = {
    Outcome.ALLOWED: ledger_pb2.OUTCOME_ALLOWED,
    Outcome.DENIED: ledger_pb2.OUTCOME_DENIED,
    Outcome.FAILED: ledger_pb2.OUTCOME_FAILED,
}


@dataclass(frozen=True, slots=True)
class AuditDraft:
    """One act as the code knows it (R9). `scope` None: nobody that could be verified.

    `place` is the rpc method, HTTP route or process. `owner_agency_id` "": the actor's own agency.
    """

    action: str
    place: str
    outcome: Outcome
    scope: Scope | None = None
    reason: str = ""
    object_ids: tuple[str, ...] = ()
    owner_agency_id: str = ""
    told_agency_ids: frozenset[str] = frozenset()
    agreement_id: str = ""
    bytes_out: int = 0
    policy_ids: tuple[str, ...] = ()
    trace_id: str = ""
    old_value: str = ""
    new_value: str = ""
    source_address: str = ""
    occurred_at: datetime | None = None

    def with_touches(self, touches: Touches) -> "list[AuditDraft]":
        """One draft per owner and agreement among the things touched; this draft alone when nothing was named."""
        common = replace(
            self,
            policy_ids=tuple(sorted({*self.policy_ids, *touches.policy_ids})),
            told_agency_ids=self.told_agency_ids | touches.told_agency_ids,
            old_value=self.old_value or touches.old_value,
            new_value=self.new_value or touches.new_value,
        )
        drafts = []
        for group in touches.groups.values():
            own = not group.owner_agency_id or group.owner_agency_id == _actor_log(self.scope)
            named = (*self.object_ids, *group.object_ids) if own else tuple(group.object_ids) or self.object_ids
            drafts.append(
                replace(
                    common,
                    object_ids=tuple(dict.fromkeys(named)),
                    owner_agency_id=group.owner_agency_id or self.owner_agency_id,
                    agreement_id=group.agreement_id or self.agreement_id,
                )
            )
        return drafts or [common]


class AuditBus(Protocol):
    """The part of the bus that the writer needs: an acknowledged publish."""

    async def publish_many(self, messages: Sequence[Outgoing]) -> Sequence[object]: ...


class AuditRecorder:
    """Publishes entries to the owner's log and, where it is another, to the actor's."""

    def __init__(self, bus: AuditBus, service: str, clock: Clock = utc_now, durable_within_s: float = _DURABLE_WITHIN_S) -> None:
        self._bus = bus
        self._service = service
        self._clock = clock
        self._durable_within_s = durable_within_s

    async def record(self, draft: AuditDraft) -> None:
        """Returns when every copy is durable; raises Unavailable otherwise, and the act must not be answered."""
        await self.record_many((draft,))

    async def record_many(self, drafts: Sequence[AuditDraft]) -> None:
        """All durable, or Unavailable: then some may be stored, which says at most that somebody tried."""
        copies = [copy for draft in drafts for copy in entries_of(draft, self._service, self._clock())]
        try:
            async with asyncio.timeout(self._durable_within_s):
                await self._bus.publish_many([_outgoing(copy) for copy in copies])
        except (TimeoutError, Unavailable, Exhausted) as error:
            AUDIT_FAILURES.inc()
            _LOG.error("%d audit entries could not be made durable, so their answers are refused: %s", len(copies), error)
            raise Unavailable(
                "the audit log", "no answer is given without its audit entry; it recovers by itself, send it again in a few seconds"
            ) from error


def _outgoing(copy: ledger_pb2.AuditEntry) -> Outgoing:
    return Outgoing(audit_subject(copy.agency_id), copy, f"{copy.entry_id}.{copy.agency_id}", copy.agency_id, EVENT_TYPE)


def entries_of(draft: AuditDraft, service: str, now: datetime) -> list[ledger_pb2.AuditEntry]:
    """The draft as entries: split at 200 objects, one copy per log, the same `entry_id` in each log."""
    actor_log = _actor_log(draft.scope)
    owner = _log_id(draft.owner_agency_id) if draft.owner_agency_id else actor_log
    logs = dict.fromkeys((owner, actor_log, *sorted(_log_id(agency_id) for agency_id in draft.told_agency_ids)))
    copies = []
    for start in range(0, max(1, len(draft.object_ids)), OBJECTS_PER_ENTRY):
        entry = _entry(draft, service, now, owner, draft.object_ids[start : start + OBJECTS_PER_ENTRY])
        for agency_id in logs:
            copy = ledger_pb2.AuditEntry()
            copy.CopyFrom(entry)
            copy.agency_id = agency_id
            copies.append(copy)
    return copies


def _entry(draft: AuditDraft, service: str, now: datetime, owner: str, object_ids: Iterable[str]) -> ledger_pb2.AuditEntry:
    scope = draft.scope
    entry = ledger_pb2.AuditEntry(
        entry_id=new_id(),
        action=_name(draft.action),
        place=_name(draft.place),
        service=service,
        outcome=_OUTCOMES[draft.outcome],
        reason=_text(draft.reason),
        source_address=_name(draft.source_address or (scope.source_address if scope else "")),
        object_ids=[_name(text_without_secrets(identifier)) for identifier in object_ids],
        owner_agency_id=owner,
        bytes_out=max(0, draft.bytes_out),
        policy_ids=list(draft.policy_ids),
        agreement_id=_name(draft.agreement_id),
        trace_id=_name(draft.trace_id),
        old_value=_value(draft.old_value),
        new_value=_value(draft.new_value),
    )
    # R10: protobuf's Timestamp is UTC with nanoseconds
    entry.recorded_at.FromDatetime(draft.occurred_at or now)
    if scope is not None:
        entry.principal_id = _name(scope.principal_id)
        entry.principal_name = _name(scope.display_name)
        entry.principal_agency_id = _log_id(scope.agency_id)
        entry.roles.extend(sorted(_name(role) for role in scope.roles))
        entry.session_id = _name(scope.session_id)
        entry.purpose = _text(scope.purpose)
        entry.case_number = _name(scope.case_number)
    return entry


def _actor_log(scope: Scope | None) -> str:
    return _log_id(scope.agency_id) if scope is not None else PLATFORM_LOG


def _log_id(agency_id: str) -> str:
    """An agency id becomes part of a subject: whatever isn't one goes to the platform's own log."""
    return agency_id if agency_id != EVERY_AGENCY and _AGENCY_ID.fullmatch(agency_id) else PLATFORM_LOG


def _clean(text: str, longest: int) -> str:
    text = _CONTROL.sub(" ", text.encode("utf-8", "replace").decode("utf-8"))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _name(text: str) -> str:
    return _clean(text, _LONGEST_NAME)


def _text(text: str) -> str:
    return _clean(text_without_secrets(text), _LONGEST_TEXT)


def _value(text: str) -> str:
    return _clean(json_without_secrets(text), _LONGEST_VALUE)
