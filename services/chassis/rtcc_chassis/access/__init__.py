"""The one place where a right is decided and the one place where it is recorded.

The RPC interceptor decides whether a role may do an action at all (`Resource.collection`), the handler decides about the
object it loaded (`Access.require`), `touched` names what the answer contains, and the entry is durable before the answer leaves.
"""

from rtcc_chassis.access.access import Access
from rtcc_chassis.access.audit import AuditDraft, AuditRecorder, Outcome
from rtcc_chassis.access.model import AgencyFacts, Decision, Grant, Resource
from rtcc_chassis.access.policies import PolicyEngine, deciding
from rtcc_chassis.access.touches import Touches, collect_touches, touched

__all__ = [
    "Access",
    "AgencyFacts",
    "AuditDraft",
    "AuditRecorder",
    "Decision",
    "Grant",
    "Outcome",
    "PolicyEngine",
    "Resource",
    "Touches",
    "collect_touches",
    "deciding",
    "touched",
]
