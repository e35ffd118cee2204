"""What can't be so. Broadcast Remote ID is not signed: anybody can send any place, so the unbelievable is put aside, not shown.

Free-space path loss: the signal falls by 20 dB for each tenfold distance (Friis).
"""

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from rtcc_airspace.domain.observations import Flags, Floats, Integers
from rtcc_chassis.geometry import EARTH_RADIUS_M, distance_m

# The farthest that drones' broadcasts and aircraft are heard, with a good aerial high up.
DRONE_REACH_M = 30_000.0
AIRCRAFT_REACH_M = 600_000.0
DRONE_MOST_MPS = 150.0
AIRCRAFT_MOST_MPS = 1_000.0
# satellite positions wander, and a second sighting may come at once
JUMP_SLACK_M = 200.0
JUMP_FORGET_US = 60_000_000
_SIGNALS = 16
# The distance must have changed so much that the signal should have changed by this ...
_EXPECTED_DB = 12.0
# ... while it stayed within this: a transmitter that stands still and says that it flies.
_STEADY_DB = 2.0
_NEAREST_M = 10.0
# who was caught is not believed for as many sightings more
_SUSPECT = 60


@dataclass(slots=True, eq=False)
class Signal:
    """The last 16 signals of one transmitter at one receiver, with the distance that it claimed."""

    claims: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_SIGNALS))
    # sightings that aren't believed yet, and why, since the transmitter was caught
    suspect: int = 0
    caught: str = ""

    def judged(
        self, receiver_latitude_deg: float, receiver_longitude_deg: float, latitude_deg: float, longitude_deg: float, rssi_dbm: float | None
    ) -> str:
        """Why this sighting isn't believed; "" when it is."""
        metres = distance_m(receiver_latitude_deg, receiver_longitude_deg, latitude_deg, longitude_deg)
        if metres > DRONE_REACH_M:
            return f"says that it is {metres / 1000:.0f} km from the receiver, which hears {DRONE_REACH_M / 1000:.0f} km at most"
        if rssi_dbm is None:
            return ""
        self.claims.append((rssi_dbm, max(_NEAREST_M, metres)))
        if len(self.claims) < _SIGNALS:
            return ""
        levels = [level for level, _ in self.claims]
        distances = [away for _, away in self.claims]
        expected_db = 20 * math.log10(max(distances) / min(distances))
        steadiness_db = max(levels) - min(levels)
        if expected_db >= _EXPECTED_DB and steadiness_db <= _STEADY_DB:
            self.suspect = _SUSPECT
            self.caught = (
                f"its signal stays within {steadiness_db:.0f} dB while it says that its distance changes from "
                f"{min(distances):.0f} m to {max(distances):.0f} m"
            )
        self.suspect = max(0, self.suspect - 1)
        return self.caught if self.suspect else ""


def jumps(places: Integers, before: Integers, fastest_mps: Floats) -> Flags:
    """Which sightings are farther from the one before than anything flies. After a minute of silence none is.

    `places` and `before` have shape (3, n): latitude and longitude in 1e-7 degree, microseconds; time 0: there was none before.
    """
    (latitude, longitude, at_us), (latitude_before, longitude_before, before_us) = places, before
    phi, phi_before = np.radians(latitude / 1e7), np.radians(latitude_before / 1e7)
    half_phi, half_lambda = (phi - phi_before) / 2, np.radians((longitude - longitude_before) / 1e7) / 2
    root = np.sin(half_phi) ** 2 + np.cos(phi) * np.cos(phi_before) * np.sin(half_lambda) ** 2
    metres = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, root)))
    known = (before_us > 0) & (at_us - before_us < JUMP_FORGET_US)
    too_far: Flags = known & (metres > JUMP_SLACK_M + fastest_mps * np.abs(at_us - before_us) / 1e6)
    return too_far
