"""The face of this package: decide, require, record."""

from collections.abc import Sequence

from rtcc_chassis.access.audit import AuditDraft, AuditRecorder
from rtcc_chassis.access.model import AgencyFacts, Decision, NoAgencyFacts, Resource
from rtcc_chassis.access.policies import PolicyEngine
from rtcc_chassis.access.touches import current_touches
from rtcc_chassis.errors import PurposeRequired, Refused
from rtcc_chassis.scope import Scope
from rtcc_chassis.telemetry import DECISIONS

_PURPOSE_POLICIES = frozenset({"purpose-missing", "partner-camera-without-purpose"})


class Access:
    """One per service. Decisions are synchronous and local; only recording waits, for durability."""

    def __init__(self, engine: PolicyEngine, recorder: AuditRecorder, facts: AgencyFacts | None = None) -> None:
        self._engine = engine
        self._recorder = recorder
        self._facts: AgencyFacts = facts if facts is not None else NoAgencyFacts()

    def decide(self, scope: Scope, action: str, resource: Resource) -> Decision:
        """Whether it is allowed, by which policies, and if not why. Purposes barred by either side count (R21)."""
        barred = self._facts.barred_purposes(scope.agency_id)
        if resource.agency_id != scope.agency_id:
            barred |= self._facts.barred_purposes(resource.agency_id)
        disabled = self._facts.disabled(scope.agency_id)
        decision = self._engine.decide(scope, action, resource, barred_purposes=barred, agency_disabled=disabled)
        DECISIONS.labels(action, "allowed" if decision.allowed else "refused").inc()
        return decision

    def require(self, scope: Scope, action: str, resource: Resource) -> Decision:
        """Like `decide`, but raises Refused or PurposeRequired.

        Inside an RPC handler the object, its owner, the agreement and the deciding policies go into the call's audit
        entry, allowed or not: an owner sees who was turned away.
        """
        decision = self.decide(scope, action, resource)
        touches = current_touches()
        if touches is not None:
            touches.policy_ids.update(decision.policy_ids)
            if resource.object_id:
                agreement_id = resource.grant.agreement_id if resource.grant else ""
                touches.add((resource.object_id,), resource.agency_id, agreement_id)
        if decision.allowed:
            return decision
        if _PURPOSE_POLICIES.issuperset(decision.policy_ids) and decision.policy_ids:
            raise PurposeRequired(action)
        raise Refused(action, decision.reason)

    async def record(self, draft: AuditDraft) -> None:
        """Durable before it returns; raises Unavailable otherwise (R11)."""
        await self._recorder.record(draft)

    async def record_many(self, drafts: Sequence[AuditDraft]) -> None:
        """Several at once, for instance `draft.with_touches(touches)`."""
        await self._recorder.record_many(drafts)
