"""The scripted day: what happens, when and where, in a cycle of fifteen minutes. Everything is invented."""

from __future__ import annotations

from dataclasses import dataclass

from rtcc_demo.world.city import EAST, WEST, Corner

CYCLE_S = 900.0

TRUCK_ENTERS_S = 2.0
TRUCK_LEAVES_S = 520.0
TRUCK_CAMERAS = (
    "helsinki-west-cam-12",
    "helsinki-west-cam-05",
    "helsinki-east-cam-03",
    "helsinki-east-cam-08",
    "helsinki-east-cam-06",
    "helsinki-east-cam-13",
    "helsinki-east-cam-01",
    "helsinki-west-cam-11",
    "helsinki-west-cam-07",
)
"""The stolen truck's way: in from the west, over the border, through the east, and back."""
WANTED_ENTERS_S = 560.0
WANTED_LEAVES_S = 760.0
WANTED_CAMERAS = ("helsinki-east-cam-07", "helsinki-east-cam-14", "helsinki-east-cam-03", "helsinki-west-cam-05", "helsinki-west-cam-12")


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """A call for service and how it ends."""

    at_s: float
    agency_id: str
    call_type: str
    priority: int
    place: Corner
    address: str
    narrative: str
    update: str
    lasts_s: float
    units: int = 2


@dataclass(frozen=True, slots=True)
class ScriptedGunshot:
    """A sensor network's incident: detected, then refined by a reviewer, then closed."""

    at_s: float
    agency_id: str
    place: Corner
    rounds: int
    sensors: int
    reviewed_after_s: float
    review: str
    closed_after_s: float


CALLS = (
    ScriptedCall(
        40,
        WEST,
        "Theft",
        3,
        (24.94010, 60.16850),
        "Mannerheimintie 8",
        "Two persons left a shop with unpaid phones, walking north.",
        "Goods found in a bin.",
        300,
    ),
    ScriptedCall(
        110,
        EAST,
        "Traffic collision",
        2,
        (24.94970, 60.16745),
        "Eteläesplanadi 16",
        "Car against bicycle, cyclist sits on the kerb.",
        "Cyclist refuses transport.",
        360,
    ),
    ScriptedCall(
        212,
        EAST,
        "Shots heard",
        1,
        (24.94560, 60.17330),
        "Kaisaniemenranta",
        "Caller heard four bangs from the park, people running.",
        "Casings found.",
        420,
        3,
    ),
    ScriptedCall(
        345, WEST, "Disturbance", 3, (24.94180, 60.17060), "Rautatientori", "Group shouting at the tram stop.", "Group has left.", 240
    ),
    ScriptedCall(
        470,
        EAST,
        "Medical assist",
        2,
        (24.95120, 60.17260),
        "Snellmaninkatu 10",
        "Man lying on the stairs, breathing.",
        "Ambulance has taken over.",
        260,
    ),
    ScriptedCall(
        610,
        WEST,
        "Suspicious person",
        3,
        (24.93890, 60.16620),
        "Bulevardi 6",
        "Someone tries the doors of parked cars.",
        "Nobody found.",
        240,
    ),
    ScriptedCall(
        735,
        EAST,
        "Burglar alarm",
        2,
        (24.94830, 60.16580),
        "Kasarmikatu 23",
        "Office alarm, second floor, motion.",
        "Cleaner had the wrong code.",
        200,
    ),
)

GUNSHOTS = (
    ScriptedGunshot(185, EAST, (24.94520, 60.17360), 4, 5, 28, "gunfire", 330),
    ScriptedGunshot(640, WEST, (24.93960, 60.16510), 7, 4, 35, "fireworks", 90),
)


@dataclass(frozen=True, slots=True)
class ScriptedTip:
    """What somebody of the public types into the tip form."""

    at_s: float
    agency_id: str
    category: str
    text: str
    address: str
    place: Corner | None = None


TIPS = (
    ScriptedTip(
        65,
        WEST,
        "crime",
        "Two people ran out of the phone shop with boxes under their jackets, towards the railway station.",
        "Mannerheimintie 8",
        (24.94020, 60.16860),
    ),
    ScriptedTip(
        240,
        EAST,
        "weapons",
        "I heard four bangs in the park by the water, then people running away. I think it was a gun.",
        "Kaisaniemenranta",
        (24.94550, 60.17340),
    ),
    ScriptedTip(
        262,
        EAST,
        "weapons",
        "Four bangs in the park near the water, somebody with a gun, people ran.",
        "Kaisaniemenranta",
        (24.94570, 60.17320),
    ),
    ScriptedTip(655, WEST, "suspicious", "A man in a grey coat tries the doors of all the parked cars in our street.", "Bulevardi 6"),
)


@dataclass(frozen=True, slots=True)
class DronePoint:
    """Where the drone flies next, how fast, and how long it stays there."""

    place: Corner
    height_m: float
    speed_mps: float
    waits_s: float = 0.0


DRONE_TAKES_OFF_S = 25.0
DRONE_PILOT = (24.9466, 60.1738)
"""In Kaisaniemi park."""
DRONE_WAY = (
    DronePoint((24.9492, 60.1722), 60.0, 12.0),
    DronePoint((24.9522, 60.1696), 55.0, 12.0, 70.0),
    DronePoint((24.9515, 60.1706), 50.0, 6.0, 20.0),
)
"""Over the campus to Senate Square, where nobody may fly, and along its north side."""
