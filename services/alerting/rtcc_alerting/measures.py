"""What is measured of alerts beside the engine's own counters."""

from collections.abc import Mapping

from prometheus_client import Gauge, Histogram

ACKNOWLEDGED = Histogram(
    "rtcc_alerting_acknowledged_seconds",
    "From an alert being raised to somebody taking it.",
    ["kind"],
    buckets=(5, 15, 30, 60, 120, 300, 600, 1800, 3600),
)
STALE_LISTS = Gauge("rtcc_alerting_stale_hot_lists", "Enabled hot lists whose refresh didn't come in time (R24).", ["agency"])


def note_stale_lists(by_agency: Mapping[str, int]) -> None:
    """`by_agency` holds every agency that has a list; 0 where all are fresh."""
    for agency_id, count in by_agency.items():
        STALE_LISTS.labels(agency_id).set(count)
