"""Every setting of intake, from RTCC_INTAKE_<NAME>."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """Defaults suit an agency of any size; the bounds keep one bad source from filling the disk."""

    # entries that may wait in the quarantine for one source; further deliveries of it are answered with 429
    quarantine_limit_per_source: int = 2_000
    # seconds for which a source's secret is kept before it is asked for again
    secret_lifetime_s: float = 60.0
    # events that are written to the archive in one transaction; small enough not to hold up the alerts of the same process
    archive_batch: int = 100
    # seconds between two archive transactions: under load fewer and larger ones, which leaves the processor to the alerts
    archive_pause_s: float = 0.05
    # hours for which a call without news stays in the list of calls
    call_list_h: float = 24.0
