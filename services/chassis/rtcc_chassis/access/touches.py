"""What one call touched, collected while its handler runs and written into its audit entry."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(slots=True)
class TouchedGroup:
    """Objects of one owner seen under one agreement ("" = the caller's own right)."""

    owner_agency_id: str
    agreement_id: str
    object_ids: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class Touches:
    """Grows while the handler runs; one audit entry is written per group."""

    groups: dict[tuple[str, str], TouchedGroup] = field(default_factory=dict)
    told_agency_ids: set[str] = field(default_factory=set)
    policy_ids: set[str] = field(default_factory=set)
    old_value: str = ""
    new_value: str = ""

    def add(self, object_ids: Iterable[str], owner_agency_id: str, agreement_id: str) -> None:
        group = self.groups.setdefault((owner_agency_id, agreement_id), TouchedGroup(owner_agency_id, agreement_id))
        group.object_ids.update(dict.fromkeys(identifier for identifier in object_ids if identifier))


_COLLECTING: ContextVar[Touches | None] = ContextVar("rtcc_touches", default=None)


@contextmanager
def collect_touches() -> Iterator[Touches]:
    """For the interceptor: everything `touched` inside lands in the yielded object."""
    touches = Touches()
    token = _COLLECTING.set(touches)
    try:
        yield touches
    finally:
        _COLLECTING.reset(token)


def current_touches() -> Touches | None:
    """The collection of the call being handled; None outside of one."""
    return _COLLECTING.get()


def touched(
    *object_ids: str,
    owner_agency_id: str | None = None,
    agreement_id: str = "",
    old_value: str = "",
    new_value: str = "",
    told_agency_ids: Iterable[str] = (),
) -> None:
    """Name what the answer of this call contains or changes: "camera:c1", "plate:ABC123".

    `owner_agency_id` None: the caller's own agency. `old_value` and `new_value` are JSON of a changed setting; secrets in
    them are removed before anything is stored. `told_agency_ids`: agencies whose log gets the entry too (R31: both sides
    of an agreement). Outside of a call it does nothing.
    """
    touches = _COLLECTING.get()
    if touches is None:
        return
    touches.add(object_ids, owner_agency_id or "", agreement_id)
    touches.told_agency_ids.update(told_agency_ids)
    touches.old_value = old_value or touches.old_value
    touches.new_value = new_value or touches.new_value
