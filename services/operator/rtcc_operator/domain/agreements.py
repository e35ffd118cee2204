"""What a declared agreement means for those that the registry holds.

An agreement only ever narrows, so a wider declaration is a new agreement. Ids tell which resource and which generation an
agreement came from: `k8s-<uid>-<generation>`. Between generations the agencies' people decide: what they ended or narrowed stays so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rtcc.registry.v1 import registry_pb2 as pb

_Undeclared = Literal["agreement_id", "status", "attested_at", "revision", "changed_at", "changed_by", "barred_reason"]
# set by the registry or by somebody's signature, never by a declaration
_NOT_DECLARED: tuple[_Undeclared, ...] = ("agreement_id", "status", "attested_at", "revision", "changed_at", "changed_by", "barred_reason")


def agreement_id(uid: str, generation: int) -> str:
    return f"k8s-{uid}-{generation}"


def made_by(uid: str, agreements: Iterable[pb.Agreement]) -> list[pb.Agreement]:
    """Those that came from this resource, the newest generation first."""
    prefix = f"k8s-{uid}-"
    own = [agreement for agreement in agreements if agreement.agreement_id.startswith(prefix)]
    return sorted(own, key=lambda agreement: _generation(agreement, prefix), reverse=True)


def _generation(agreement: pb.Agreement, prefix: str) -> int:
    text = agreement.agreement_id.removeprefix(prefix)
    return int(text) if text.isdecimal() else 0


@dataclass(frozen=True, slots=True)
class Plan:
    """`keep` stands as declared; `narrow` may be enough, else a new one is granted; `superseded` end afterwards."""

    keep: pb.Agreement | None
    narrow: pb.Agreement | None
    superseded: tuple[pb.Agreement, ...]


def plan(declared: pb.Agreement, own: Iterable[pb.Agreement]) -> Plan:
    """For a generation that isn't carried out yet."""
    active = [agreement for agreement in own if agreement.status == pb.AGREEMENT_STATUS_ACTIVE]
    keep = next((agreement for agreement in active if same_terms(declared, agreement)), None)
    if keep is not None:
        return Plan(keep, None, tuple(other for other in active if other is not keep))
    return Plan(None, active[0] if active else None, tuple(active))


def same_terms(declared: pb.Agreement, stored: pb.Agreement) -> bool:
    """Whether `stored` is what is declared. A start that wasn't declared is the moment of the grant."""
    one, other = _terms(declared), _terms(stored)
    if not declared.HasField("valid_from"):
        other.ClearField("valid_from")
    return one == other


def _terms(agreement: pb.Agreement) -> pb.Agreement:
    result = pb.Agreement()
    result.CopyFrom(agreement)
    for name in _NOT_DECLARED:
        result.ClearField(name)
    for values in (result.alert_kinds, result.camera_ids, result.purposes, result.redactions, result.person_fields):
        tidy = sorted(set(values))
        del values[:]
        values.extend(tidy)
    return result
