"""Vehicles: what they look like, and plates in the formats of Finland and its neighbours. Every plate is invented."""

from __future__ import annotations

import random
from dataclasses import dataclass

LETTERS = "ABCEFGHIJKLMNOPRSTUVXYZ"
CONFUSIONS = ("O0QD", "1I", "8B", "5S", "2Z")
"""Look-alike characters, as plate readers mistake them."""

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Model:
    """A make and model, with its body's shape."""

    make: str
    model: str
    body: str
    """"car", "wagon", "van", "truck" or "taxi"."""


MODELS = (
    Model("Skoda", "Octavia", "wagon"),
    Model("Toyota", "Corolla", "wagon"),
    Model("Toyota", "Yaris", "car"),
    Model("Volvo", "V60", "wagon"),
    Model("Volkswagen", "Golf", "car"),
    Model("Ford", "Focus", "car"),
    Model("Kia", "Ceed", "car"),
    Model("Tesla", "Model 3", "car"),
    Model("Mercedes-Benz", "E-Class", "taxi"),
    Model("Ford", "Transit", "van"),
    Model("Volkswagen", "Transporter", "van"),
    Model("Nissan", "Leaf", "car"),
)
PAINTS: tuple[tuple[str, Colour], ...] = (
    ("white", (214, 217, 220)),
    ("silver", (158, 164, 170)),
    ("grey", (96, 102, 110)),
    ("black", (30, 33, 38)),
    ("blue", (36, 66, 122)),
    ("red", (134, 30, 34)),
    ("green", (40, 78, 62)),
    ("beige", (176, 164, 140)),
)


@dataclass(frozen=True, slots=True)
class Vehicle:
    """One vehicle. `plate` as painted, with its separator."""

    plate: str
    state: str
    model: Model
    colour_name: str
    colour: Colour


STOLEN_TRUCK = Vehicle("ZBO-582", "FI", Model("Iveco", "Daily", "truck"), "white", (206, 210, 214))
"""The box truck of the story. Its plate is made of look-alikes, so that misread-tolerant matching shows."""
WANTED_CAR = Vehicle("KLT-739", "FI", Model("Volvo", "S60", "car"), "black", (30, 33, 38))
HOT_LIST_HEADER = "LIC,LIS,LIT,LIY,VMA,VMO,VCO,NIC,ORI,OCA,REASON,EXPIRES"


def make_fleet(random_source: random.Random, count: int) -> list[Vehicle]:
    """Civil vehicles, all plates different and none of them wanted."""
    plates = {STOLEN_TRUCK.plate, WANTED_CAR.plate}
    fleet: list[Vehicle] = []
    while len(fleet) < count:
        state, plate = random_plate(random_source)
        if plate in plates:
            continue
        plates.add(plate)
        colour_name, colour = random_source.choice(PAINTS)
        fleet.append(Vehicle(plate, state, random_source.choice(MODELS), colour_name, colour))
    return fleet


def random_plate(random_source: random.Random) -> tuple[str, str]:
    """(state, plate): nine in ten from Finland, the others from Estonia, Sweden and Latvia."""
    state = random_source.choices(("FI", "EE", "SE", "LV"), (90, 5, 3, 2))[0]
    letters = "".join(random_source.choices(LETTERS, k=3))
    digits = "".join(random_source.choices("0123456789", k=4))
    return state, {
        "FI": f"{letters}-{digits[:3]}",
        "EE": f"{digits[:3]} {letters}",
        "SE": f"{letters} {digits[:3]}",
        "LV": f"{letters[:2]}-{digits}",
    }[state]


def misread(random_source: random.Random, plate: str) -> str:
    """The plate with one character taken for a look-alike; unchanged if it has none."""
    doubtful = [(index, group) for index, character in enumerate(plate) for group in CONFUSIONS if character in group]
    if not doubtful:
        return plate
    index, group = random_source.choice(doubtful)
    return plate[:index] + random_source.choice(group.replace(plate[index], "")) + plate[index + 1 :]


def hot_list_csv(entered: str, expires: str) -> str:
    """The agencies' list of stolen and wanted vehicles as CSV; `entered` names the extract's day, `expires` is RFC 3339.

    Beside the two vehicles of the story it holds plates that nobody in the demo drives.
    """
    listed = [(STOLEN_TRUCK, "Stolen vehicle"), (WANTED_CAR, "Wanted in connection with a robbery")]
    others = make_fleet(random.Random(582), 60)
    rows = [HOT_LIST_HEADER]
    for number, (vehicle, reason) in enumerate([*listed, *((vehicle, "Stolen vehicle") for vehicle in others)], start=1):
        plate = vehicle.plate.replace("-", "").replace(" ", "")
        fields = [plate, vehicle.state, "PC", "", vehicle.model.make, vehicle.model.model, vehicle.colour_name]
        rows.append(",".join([*fields, f"V{number:09}", "FIHEL0000", f"{entered}-{number:03}", reason, expires]))
    return "\n".join(rows) + "\n"
