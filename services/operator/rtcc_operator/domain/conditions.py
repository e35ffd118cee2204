"""Status conditions as Kubernetes means them (API conventions, "Typical status properties")."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

READY, REGISTRY, BUS, OBJECTS, QUOTA = "Ready", "RegistryReady", "BusReady", "ObjectsReady", "QuotaEnforced"

State = Literal["True", "False", "Unknown"]
_LONGEST_MESSAGE = 1024


@dataclass(frozen=True, slots=True)
class Condition:
    """`reason` is one CamelCase word for programs, `message` a sentence for people."""

    type: str
    state: State
    reason: str
    message: str = ""

    @property
    def holds(self) -> bool:
        return self.state == "True"


def summary(parts: Sequence[Condition]) -> Condition:
    """`Ready`: all parts hold, or why the first doesn't."""
    for part in parts:
        if not part.holds:
            return Condition(READY, part.state, part.reason, f"{part.type}: {part.message}")
    return Condition(READY, "True", "AsDeclared", "The installation is as declared.")


def merged(before: Iterable[Mapping[str, Any]], conditions: Sequence[Condition], generation: int, now: datetime) -> list[dict[str, Any]]:
    """The list for `status.conditions`. `lastTransitionTime` moves only when the state does; unknown types of others stay."""
    known = {str(entry.get("type")): entry for entry in before}
    result = []
    for condition in conditions:
        old = known.pop(condition.type, None)
        same = old is not None and old.get("status") == condition.state
        result.append(
            {
                "type": condition.type,
                "status": condition.state,
                "observedGeneration": generation,
                "lastTransitionTime": old["lastTransitionTime"] if old is not None and same else stamp(now),
                "reason": condition.reason,
                "message": condition.message[:_LONGEST_MESSAGE],
            }
        )
    return [*result, *(dict(entry) for entry in known.values())]


def stamp(moment: datetime) -> str:
    """RFC 3339 in whole seconds, as metav1.Time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
