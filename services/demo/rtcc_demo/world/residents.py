"""Who lives where in the demo city, what they drive and what is known about them. The addresses are real, everybody is invented."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rtcc_demo.world.city import EAST, WEST, Corner
from rtcc_demo.world.vehicles import STOLEN_TRUCK, WANTED_CAR, Vehicle, make_fleet

RESIDENTS_PER_AGENCY, VEHICLES_PER_AGENCY = 60, 30

ADDRESSES: dict[str, tuple[tuple[str, Corner], ...]] = {
    EAST: (
        ("Snellmaninkatu 10", (24.95120, 60.17260)),
        ("Kasarmikatu 23", (24.94830, 60.16580)),
        ("Eteläesplanadi 16", (24.94970, 60.16745)),
        ("Aleksanterinkatu 15", (24.94760, 60.16880)),
        ("Unioninkatu 28", (24.95080, 60.16900)),
        ("Kirkkokatu 6", (24.95350, 60.17010)),
        ("Liisankatu 8", (24.95330, 60.17390)),
        ("Vuorikatu 14", (24.94800, 60.17210)),
    ),
    WEST: (
        ("Bulevardi 6", (24.93890, 60.16620)),
        ("Mannerheimintie 8", (24.94010, 60.16850)),
        ("Yrjönkatu 21", (24.94020, 60.16760)),
        ("Kalevankatu 6", (24.93840, 60.16790)),
        ("Eerikinkatu 4", (24.93720, 60.16850)),
        ("Annankatu 25", (24.93560, 60.16700)),
        ("Lönnrotinkatu 5", (24.93980, 60.16590)),
        ("Fredrikinkatu 34", (24.93620, 60.16560)),
    ),
}
"""(address, place). The first of each is one to which the script calls."""
COURT = "District Court of Helsinki (invented)"
POSTCODE = {EAST: "00170 Helsinki", WEST: "00120 Helsinki"}

_GIVEN = (
    "Aada Aarne Anni Eelis Eila Elias Emmi Hannes Heljä Iiro Inka Jalmari Kaisla Kerttu Lasse Lempi Lenni Lumi Manu Martta Mette Niko Oona "
    "Osmo Pihla Pyry Raija Rasmus Reino Roni Saimi Seela Sulo Taimi Tatu Tyyne Urho Veera Vilja Ylermi"
)
_SURNAMES = (
    "Aaltola Eskonen Haapamaa Harjuvaara Hietanummi Ilomäki Jokivirta Kangasvuo Karhulahti Ketolammi Kivirinne Koivusola Kuusimaa Laaksola "
    "Lehtovaara Lumiaho Mäntyranta Niittymies Ojakoski Peltorinne Pihlajaoja Rantaluoto Saarivuo Sammalkivi Suopelto Tammikorpi Tuulivaara "
    "Vaahteramäki Vesipuro Virtasaari"
)


@dataclass(frozen=True, slots=True)
class Resident:
    """One person; `key` is the invented register's own."""

    key: str
    given_names: str
    surname: str
    birth_date: str
    sex: str
    phone: str
    address: str
    place: Corner
    cautions: str = ""
    aliases: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Extract:
    """A CSV file with its mapping, as POST /v1/records/imports takes them."""

    kind: str
    columns: tuple[tuple[str, str, str], ...]
    csv: str


def residents_of(agency_id: str) -> list[Resident]:
    """The same every time. The first ones are those of the story, at the addresses to which the script calls."""
    choice = random.Random(f"residents {agency_id}")
    given, surnames = _GIVEN.split(), _SURNAMES.split()
    found = list(_KNOWN[agency_id])
    while len(found) < RESIDENTS_PER_AGENCY:
        number = len(found) + 1
        address, place = choice.choice(ADDRESSES[agency_id])
        birth = f"{choice.randrange(1, 29):02}.{choice.randrange(1, 13):02}.{choice.randrange(1938, 2008)}"
        found.append(
            Resident(
                f"P{number:04}", choice.choice(given), choice.choice(surnames), birth, choice.choice("MF"), f"+358 50 555 {number:04}",
                f"{address} {choice.choice('ABC')} {choice.randrange(1, 40)}, {POSTCODE[agency_id]}", place,
                cautions=choice.choice(("",) * 14 + ("medical: epilepsy", "dog: large and loose")),
            )
        )  # fmt: skip
    return found


_KNOWN: dict[str, tuple[Resident, ...]] = {
    EAST: (
        Resident(
            "P0001", "Rauno Kalevi", "Jokivirta", "07.03.1984", "M", "+358 50 555 0001", f"Snellmaninkatu 10 A 7, {POSTCODE[EAST]}",
            (24.95120, 60.17260), "armed: hunting rifles in the flat;medical: diabetic, insulin in the kitchen", "Jokivirta, Rane",
            "190 cm, beard",
        ),
        Resident(
            "P0002", "Lempi", "Jokivirta", "19.11.1951", "F", "+358 50 555 0002", f"Snellmaninkatu 10 A 7, {POSTCODE[EAST]}",
            (24.95120, 60.17260), "medical: heart condition",
        ),
        Resident(
            "P0003", "Niko", "Tuulivaara", "23.08.1993", "M", "+358 50 555 0003", f"Kasarmikatu 23 B 2, {POSTCODE[EAST]}",
            (24.94830, 60.16580), "violent: towards officers", "Tuuli, Nick", "tattoo on the neck",
        ),
    ),
    WEST: (
        Resident(
            "P0001", "Osmo", "Karhulahti", "02.06.1979", "M", "+358 50 556 0001", f"Bulevardi 6 C 11, {POSTCODE[WEST]}",
            (24.93890, 60.16620), "escape: runs through the yard", "Karhu, Ossi", "grey coat",
        ),
        Resident(
            "P0002", "Mette", "Vesipuro", "30.01.1996", "F", "+358 50 556 0002", f"Bulevardi 6 C 11, {POSTCODE[WEST]}",
            (24.93890, 60.16620),
        ),
        Resident(
            "P0003", "Tatu Ilmari", "Sammalkivi", "11.12.1988", "M", "+358 50 556 0003", f"Mannerheimintie 8 D 30, {POSTCODE[WEST]}",
            (24.94010, 60.16850), "armed: knife", "Kivi, Taku",
        ),
    ),
}  # fmt: skip


def extracts_of(agency_id: str, now: datetime) -> list[Extract]:
    """What the agency's registers would send: persons, vehicles, warrants, arrests, prior calls."""
    people = residents_of(agency_id)
    return [_persons(people), _vehicles(agency_id, people), _warrants(people, now), _arrests(people, now), _calls(agency_id, people, now)]


def _persons(people: Sequence[Resident]) -> Extract:
    columns = (
        ("ID", "source_key", ""), ("Surname", "surname", ""), ("Given", "given_names", ""), ("AKA", "alias_names", "|"),
        ("Born", "birth_date", "DD.MM.YYYY"), ("Sex", "sex", "M=male;F=female"), ("Phone", "phones", ""), ("Address", "address", ""),
        ("Kind", "address_kind", ""), ("Lat", "latitude", ""), ("Lon", "longitude", ""), ("Warnings", "cautions", ""),
        ("Looks", "description", ""),
    )  # fmt: skip
    rows = (
        (
            one.key, one.surname, one.given_names, one.aliases, one.birth_date, one.sex, one.phone, one.address, "home", one.place[1],
            one.place[0], one.cautions, one.description,
        )
        for one in people
    )  # fmt: skip
    return Extract("person", columns, _csv(columns, rows))


def _vehicles(agency_id: str, people: Sequence[Resident]) -> Extract:
    columns = (
        ("ID", "source_key", ""), ("Plate", "plate", ""), ("State", "state", ""), ("Make", "make", ""), ("Model", "model", ""),
        ("Colour", "color", ""), ("Keeper", "keeper_source_key", ""), ("Warnings", "cautions", ""),
    )  # fmt: skip
    # the wanted car of the story is the east's, the stolen truck the west's
    special = WANTED_CAR if agency_id == EAST else STOLEN_TRUCK
    fleet: list[Vehicle] = [special, *make_fleet(random.Random(f"vehicles {agency_id}"), VEHICLES_PER_AGENCY - 1)]
    rows = (
        (
            f"V{number:04}", vehicle.plate, vehicle.state, vehicle.model.make, vehicle.model.model, vehicle.colour_name,
            people[2 if number == 0 else number].key, "armed: crowbar under the seat" if number == 0 and agency_id == EAST else "",
        )
        for number, vehicle in enumerate(fleet)
    )  # fmt: skip
    return Extract("vehicle", columns, _csv(columns, rows))


def _warrants(people: Sequence[Resident], now: datetime) -> Extract:
    columns = (
        ("ID", "source_key", ""), ("Person", "person_source_key", ""), ("Number", "number", ""), ("Offence", "offence", ""),
        ("Severity", "severity", ""), ("Court", "court", ""), ("Issued", "issued_on", "DD.MM.YYYY"), ("Status", "status", ""),
    )  # fmt: skip
    offences = (("aggravated assault", "felony"), ("robbery", "felony"), ("theft", "misdemeanour"), ("unpaid fines", "civil"))
    chosen = [people[0], people[2], *people[10:50:8]]
    rows = (
        (
            f"W{number:03}", person.key, f"R {now.year % 100}/{1000 + number}", *offences[number % 4], COURT,
            f"{now - timedelta(days=20 + 31 * number):%d.%m.%Y}", "served" if number == 4 else "active",
        )
        for number, person in enumerate(chosen)
    )  # fmt: skip
    return Extract("warrant", columns, _csv(columns, rows))


def _arrests(people: Sequence[Resident], now: datetime) -> Extract:
    columns = (
        ("ID", "source_key", ""), ("Person", "person_source_key", ""), ("Date", "arrested_on", "DD.MM.YYYY"), ("Charge", "charge", ""),
        ("Disposition", "disposition", ""),
    )  # fmt: skip
    charges = ("drunk driving", "assault", "burglary", "resisting an officer")
    rows = (
        (
            f"A{number:03}",
            person.key,
            f"{now - timedelta(days=90 + 57 * number):%d.%m.%Y}",
            charges[number % 4],
            "fined" if number % 2 else "pending",
        )
        for number, person in enumerate([people[0], people[2], *people[5:45:6]])
    )
    return Extract("arrest", columns, _csv(columns, rows))


def _calls(agency_id: str, people: Sequence[Resident], now: datetime) -> Extract:
    columns = (
        ("ID", "source_key", ""), ("Number", "number", ""), ("When", "occurred_at", ""), ("Type", "type", ""), ("Address", "address", ""),
        ("Lat", "latitude", ""), ("Lon", "longitude", ""), ("Outcome", "outcome", ""), ("Narrative", "narrative", ""),
        ("Persons", "person_source_keys", ""),
    )  # fmt: skip
    told = (
        ("domestic", "warned", "Neighbours heard shouting and glass."),
        ("medical", "taken to hospital", "Found unconscious on the stairs."),
        ("noise", "advised", "Music after midnight."), ("burglar alarm", "false alarm", "Motion in the stairwell."),
    )  # fmt: skip
    rows = []
    for number in range(24):
        # half of them at the address of the story
        address, place = ADDRESSES[agency_id][0 if number % 2 == 0 else number % len(ADDRESSES[agency_id])]
        kind, outcome, narrative = told[number // 2 % 4]
        when = (now - timedelta(days=9 + 23 * number, hours=number)).replace(microsecond=0).isoformat()
        who = people[0].key if number % 4 == 0 else ""
        rows.append(
            (f"C{number:03}", f"{now.year - 1}-{5000 + number}", when, kind, f"{address}, {POSTCODE[agency_id]}", *place[::-1], outcome,
             narrative, who)
        )  # fmt: skip
    return Extract("prior_call", columns, _csv(columns, rows))


def _csv(columns: Iterable[tuple[str, str, str]], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column for column, _, _ in columns)
    writer.writerows(rows)
    return text.getvalue()
