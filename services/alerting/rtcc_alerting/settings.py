"""Every setting of alerting, from RTCC_ALERTING_<NAME>."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlertingSettings:
    """Defaults hold 1,000 events/s on one core."""

    # events that are matched and written in one transaction
    event_batch: int = 200
    # seconds between looks for lists that another instance changed, and for stale ones
    hot_list_check_s: float = 5.0
    # days for which a handled event is remembered: longer than the EVENTS stream keeps it
    handled_event_days: float = 8.0
