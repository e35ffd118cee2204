"""The life of an alert: pure rules, no I/O, no clock.

new -> acknowledged -> working -> closed. The first acknowledgement wins. A plate hit is a lead, not a fact: no work starts on it
before a person confirmed plate and state against the image (R23).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from rtcc_chassis.errors import Conflict, InvalidInput

PLATE_HIT = "plate_hit"
GUNSHOT = "gunshot"
HOT_LIST_STALE = "hot_list_stale"
SHOTS_FIRED_CALL = "shots_fired_call"
ALARM = "alarm"
WARNING = "warning"
DRONE = "drone"
MEASUREMENT = "measurement"
TIP = "tip"
OFFICER_EMERGENCY = "officer_emergency"
CAMERA_DOWN = "camera_down"

# One vehicle passing several cameras is one alert.
GROUP_WITHIN = timedelta(seconds=60)
# What happened longer ago is archived and searchable, but nobody is called to act on it now.
LATE_AFTER = timedelta(minutes=10)
MAXIMUM_NOTE_CHARACTERS = 2_000


class State(StrEnum):
    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    WORKING = "working"
    CLOSED = "closed"


class Disposition(StrEnum):
    """What a person made of a plate read."""

    NONE = "none"
    CORRECT = "correct"
    WRONG_STATE = "wrong_state"
    MISREAD = "misread"
    STALE_ENTRY = "stale_entry"


OUTCOMES = ("resolved", "false_alarm", "misread", "duplicate", "handed_over")
# a hit that somebody acted on must have been confirmed by a person before
_OUTCOMES_THAT_NEED_CONFIRMATION = ("resolved", "handed_over")
_OUTCOME_OF = {Disposition.WRONG_STATE: "false_alarm", Disposition.MISREAD: "misread", Disposition.STALE_ENTRY: "false_alarm"}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does it."""

    person_id: str
    name: str


@dataclass(frozen=True, slots=True)
class LifeCycle:
    """The part of an alert that people change."""

    kind: str
    state: State = State.NEW
    disposition: Disposition = Disposition.NONE
    acknowledged_by: str = ""
    acknowledged_by_name: str = ""
    acknowledged_at: datetime | None = None
    outcome: str = ""
    note: str = ""

    def acknowledge(self, actor: Actor, at: datetime) -> tuple["LifeCycle", bool]:
        """(after, whether this person has it). A later one changes nothing and learns who has it; repeating one's own is harmless."""
        if self.acknowledged_by:
            return self, self.acknowledged_by == actor.person_id
        if self.state is State.CLOSED:
            raise Conflict(f"The alert was closed ({self.outcome}) before anybody acknowledged it.")
        taken = replace(
            self, state=State.ACKNOWLEDGED, acknowledged_by=actor.person_id, acknowledged_by_name=actor.name, acknowledged_at=at
        )
        return taken, True

    def start(self) -> "LifeCycle":
        """Acknowledged -> working. Repeating it is harmless."""
        if self.state is State.WORKING:
            return self
        if self.state is not State.ACKNOWLEDGED:
            raise Conflict(f"The alert is {self.state}: only an acknowledged alert can be started.")
        self._require_confirmed("can't be started")
        return replace(self, state=State.WORKING)

    def confirm_plate(self, disposition: Disposition, actor: Actor, at: datetime) -> "LifeCycle":
        """What a person sees on the image. Anything but "correct" closes the alert; who confirms a new alert has acknowledged it."""
        if self.kind != PLATE_HIT:
            raise InvalidInput.one("alert_id", f"is a {self.kind} alert; only plate hits are confirmed")
        if disposition is Disposition.NONE:
            raise InvalidInput.one("disposition", "is missing")
        if self.state is State.CLOSED:
            if disposition is self.disposition:
                return self
            raise Conflict(f"The alert is closed ({self.outcome}).")
        taken, _ = self.acknowledge(actor, at)
        confirmed = replace(taken, disposition=disposition)
        if disposition is Disposition.CORRECT:
            return confirmed
        return replace(confirmed, state=State.CLOSED, outcome=_OUTCOME_OF[disposition])

    def close(self, outcome: str, note: str) -> "LifeCycle":
        """From any open state. Repeating the same outcome is harmless."""
        if outcome not in OUTCOMES:
            raise InvalidInput.one("outcome", f"{outcome[:40]!r} is not one of {', '.join(OUTCOMES)}")
        if len(note) > MAXIMUM_NOTE_CHARACTERS or "\0" in note:
            raise InvalidInput.one("note", f"must be text of at most {MAXIMUM_NOTE_CHARACTERS} characters")
        if self.state is State.CLOSED:
            if outcome == self.outcome:
                return self
            raise Conflict(f"The alert is closed already ({self.outcome}).")
        disposition = self.disposition
        if self.kind == PLATE_HIT:
            if outcome in _OUTCOMES_THAT_NEED_CONFIRMATION:
                self._require_confirmed(f"can't be closed as {outcome}")
            if outcome == "misread":
                disposition = Disposition.MISREAD
        elif outcome == "misread":
            raise InvalidInput.one("outcome", "only a plate hit can be a misread")
        return replace(self, state=State.CLOSED, outcome=outcome, note=note, disposition=disposition)

    def close_by_sensor(self, outcome: str, note: str) -> "LifeCycle":
        """The sensor network closed its incident: ours is closed too, unless a person works on it; then it is only noted."""
        if self.state is State.CLOSED:
            return self
        if self.state is State.WORKING:
            return replace(self, note=note)
        return replace(self, state=State.CLOSED, outcome=outcome, note=note)

    def _require_confirmed(self, what: str) -> None:
        if self.kind == PLATE_HIT and self.disposition is not Disposition.CORRECT:
            raise Conflict(f"A plate hit {what} before a person confirmed plate and state against the image: confirm the plate first.")


def gunshot_severity(classification: str) -> int:
    """1 life, 2 urgent, 3 caution, 4 information."""
    return {"gunfire": 1, "fireworks": 4}.get(classification, 2)


def plate_severity(list_severity: int, *, exact: bool, state_differs: bool) -> int:
    """A possible misread, or another state on the plate than in the entry, is one step less urgent."""
    return min(4, (list_severity or 2) + (0 if exact and not state_differs else 1))
