"""What rules make of events: the words between the table of rules and the engine. No I/O, no clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from rtcc.event.v1.event_pb2 import Event


@dataclass(frozen=True, slots=True)
class Threshold:
    """A measurement is a breach above `above` or below `below`; None: no bound on that side."""

    quantity: str
    above: float | None = None
    below: float | None = None

    def breached(self, value: float) -> bool:
        return (self.above is not None and value > self.above) or (self.below is not None and value < self.below)


@dataclass(frozen=True, slots=True)
class RuleSetting:
    """How an agency set a rule. `severity` 0: as the rule finds it. `zone_ids` and `words` empty: no bound."""

    enabled: bool = True
    severity: int = 0
    zone_ids: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True, slots=True)
class Near:
    """Joins an open alert of one of these kinds that happened so near and so shortly before or after."""

    kinds: tuple[str, ...]
    metres: float
    within: timedelta


@dataclass(frozen=True, slots=True)
class Finding:
    """An event as an alert shows it.

    `group`: events of one group are one alert, `within` of its newest event (None: as long as it is open). `raises` False: it joins an
    open alert and never raises one. `ends`: the outcome with which it closes its group's alert, unless a person works on it. `once`:
    what was closed stays closed, whatever comes of the group; `final`: nothing that comes later, first word included, raises one.
    """

    kind: str
    severity: int
    title: str
    group: str
    within: timedelta | None = None
    near: Near | None = None
    raises: bool = True
    ends: str = ""
    note: str = ""
    once: bool = False
    final: bool = False


Classify = Callable[[Event, RuleSetting], Finding | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table. `events`: the kinds of event that it looks at; `subjects` are derived from them."""

    name: str
    events: tuple[str, ...]
    description: str
    classify: Classify | None
    severity_settable: bool = True
    words_settable: bool = False
    default: RuleSetting = field(default_factory=RuleSetting)
