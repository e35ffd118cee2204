"""Every setting of incidents, from RTCC_INCIDENTS_<NAME>."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IncidentsSettings:
    """Bounds of the public tip line, and how long things are kept."""

    # tips that one sender (a keyed hash of the day and the address) and all senders together may send to an agency in an hour
    tips_per_sender_hour: int = 10
    tips_per_agency_hour: int = 300
    # tips of so many hours are looked at when a new one is grouped
    tip_group_hours: float = 48.0
    # alerts of so many days may still be attached to an incident
    alert_days: float = 30.0
    # events handled in one transaction
    event_batch: int = 50
