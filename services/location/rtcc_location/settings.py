"""Settings of the location service (RTCC_LOCATION_...)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LocationSettings:
    """How fixes are gathered and how much may wait."""

    # fixes of all devices are gathered this long into one message per agency, seconds; a panic goes at once
    batch_s: float = 0.1
    # fixes that may wait to become durable; the next one is refused
    waiting_most: int = 100_000
    # messages of one device's stream that may wait to become durable
    stream_window: int = 8
    # between two saves of last known positions, seconds
    save_s: float = 1.0
    # between two writes of trails (position history), seconds: a unit's minute is written anew at each
    trail_save_s: float = 10.0
    # days for which trails are kept
    trail_days: float = 30.0
