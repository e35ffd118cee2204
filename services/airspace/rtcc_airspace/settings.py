"""Settings of the airspace service (RTCC_AIRSPACE_...)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AirspaceSettings:
    """How sightings are gathered, how long tracks live, and which receivers and drones are asked."""

    # sightings of all receivers are gathered this long into one message per agency, seconds
    batch_s: float = 0.1
    # sightings that may wait to become durable; the next delivery is refused
    waiting_most: int = 50_000
    # tracks of one agency in the air at once
    tracks_most: int = 5_000
    # a drone that is silent for longer than this is no longer in the air, seconds
    drone_silence_s: float = 180.0
    # the same for aircraft
    aircraft_silence_s: float = 60.0
    # how often alarms that wait for details, and tracks that fell silent, are looked for, seconds
    watch_s: float = 0.25
    # paths and ended tracks are kept this long, days
    history_days: int = 30
    # how long a signing secret is believed before the registry is asked again, seconds
    secret_lifetime_s: float = 60.0
    # {"<source id>": "http://receiver/data/aircraft.json"}: readsb receivers that are asked (adapter "adsb")
    readsb: dict[str, str] = field(default_factory=dict)
    # how often each is asked, seconds
    readsb_poll_s: float = 1.0
    # {"<source id>": "udpin://0.0.0.0:14550"}: links to own drones (adapter "mavlink")
    mavlink: dict[str, str] = field(default_factory=dict)
    # CSV of prefix,manufacturer,model beside the built-in table; empty: none
    serial_prefixes_file: str = ""
