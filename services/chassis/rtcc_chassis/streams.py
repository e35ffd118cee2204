"""The JetStream streams of the platform: what each keeps, for how long, and what it does when full."""

from dataclasses import dataclass
from typing import Literal

_MIB = 1024 * 1024
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """`when_full` "refuse": the publisher gets an error and keeps its message; "drop_oldest": the oldest go."""

    name: str
    subjects: tuple[str, ...]
    size_bytes: int
    age_s: int
    when_full: Literal["refuse", "drop_oldest"]
    last_per_subject: bool = False
    # messages may be held back until they are due (NATS 2.12 or newer)
    schedules: bool = False
    # how long a repeated message id is recognised
    duplicate_window_s: int = 600


EVENTS = StreamSpec("EVENTS", ("event.>",), 1024 * _MIB, 7 * _DAY_S, "refuse")
ALERTS = StreamSpec("ALERTS", ("alert.>",), 512 * _MIB, 30 * _DAY_S, "refuse")
INCIDENTS = StreamSpec("INCIDENTS", ("incident.>",), 256 * _MIB, 30 * _DAY_S, "refuse")
SHARED = StreamSpec("SHARED", ("shared.>",), 256 * _MIB, 30 * _DAY_S, "refuse")
AUDIT = StreamSpec("AUDIT", ("audit.>",), 1024 * _MIB, 30 * _DAY_S, "refuse")
# live state: history is location's table, so the oldest batches may go
POSITIONS = StreamSpec("POSITIONS", ("position.>",), 512 * _MIB, _DAY_S, "drop_oldest")
# live state as well: history is airspace's table
TRACKS = StreamSpec("TRACKS", ("track.>",), 256 * _MIB, _DAY_S, "drop_oldest")
DIRECTORY = StreamSpec("DIRECTORY", ("directory.>",), 256 * _MIB, 0, "refuse", last_per_subject=True)
QUARANTINE = StreamSpec("QUARANTINE", ("quarantine.>",), 256 * _MIB, 90 * _DAY_S, "refuse")
# what devices without a key of their own sent over MQTT: acknowledged to them when it is here; the oldest go, for the newest matter
DEVICES = StreamSpec("DEVICES", ("agency.*.source.*.event", "agency.*.source.*.event.>"), 256 * _MIB, 7 * _DAY_S, "drop_oldest")

# timer.wait.<service>.<what>.<id> waits, timer.due.<service>.<what> is what comes of it. NATS allows no refusal here, so each service
# looks at its own table of what is due as well
TIMERS = StreamSpec("TIMERS", ("timer.>",), 64 * _MIB, 7 * _DAY_S, "drop_oldest", schedules=True)

ALL = (EVENTS, ALERTS, INCIDENTS, SHARED, AUDIT, POSITIONS, TRACKS, DIRECTORY, QUARANTINE, DEVICES, TIMERS)


def event_subject(agency_id: str, kind: str) -> str:
    return f"event.{agency_id}.{kind}"


def alert_subject(agency_id: str) -> str:
    return f"alert.{agency_id}"


def incident_subject(agency_id: str) -> str:
    return f"incident.{agency_id}"


def position_subject(agency_id: str) -> str:
    return f"position.{agency_id}"


def track_subject(agency_id: str) -> str:
    return f"track.{agency_id}"


def shared_alert_subject(grantee_agency_id: str) -> str:
    return f"shared.{grantee_agency_id}.alert"


def audit_subject(agency_id: str) -> str:
    return f"audit.{agency_id}"


def directory_subject(type_name: str, agency_id: str, identifier: str) -> str:
    return f"directory.{type_name}.{agency_id}.{identifier}"


def agency_of(subject: str) -> str:
    """The agency token of any platform subject; "" where there is none."""
    parts = subject.split(".")
    position = 2 if parts[0] == "directory" else 1
    return parts[position] if len(parts) > position else ""
