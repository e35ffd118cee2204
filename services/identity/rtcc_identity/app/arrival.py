"""What an officer should know before arriving at a place: warnings first, then who and what is tied to it."""

from dataclasses import dataclass, field
from datetime import date

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, Violation
from rtcc_chassis.geometry import coordinate_violations, distance_m
from rtcc_chassis.scope import Scope
from rtcc_identity.app.ports import Found, Records, TiedPlace
from rtcc_identity.app.sharing import Sharing, Sight
from rtcc_identity.domain.arrival import warnings_of
from rtcc_identity.domain.places import MAXIMUM_ADDRESS_CHARACTERS, address_key, cells_around, same_locality
from rtcc_identity.domain.records import display_name, warrant_in_force

MAXIMUM_PERSONS, MAXIMUM_VEHICLES, MAXIMUM_CALLS, MAXIMUM_WARNINGS = 20, 20, 10, 50
DEFAULT_RADIUS_M, MAXIMUM_RADIUS_M = 30.0, 200.0
# a street of that name this far away is another town's
_SAME_STREET_WITHIN_M = 1_000.0
_MAXIMUM_TIED = 500
_UNKNOWN_DISTANCE = -1.0


@dataclass(frozen=True, slots=True)
class _Spot:
    street: str
    locality: str
    coordinate: Coordinate | None
    radius_m: float


@dataclass(slots=True)
class _Tied:
    """Someone or something at the place; the closest tie counts."""

    found: Found
    tie: str
    distance_m: float
    warrants: list[Found] = field(default_factory=list)


class ArrivalApp:
    """The card."""

    def __init__(self, records: Records, sharing: Sharing, clock: Clock) -> None:
        self._records = records
        self._sharing = sharing
        self._clock = clock

    async def card(self, scope: Scope, request: pb.GetArrivalCardRequest) -> pb.GetArrivalCardResponse:
        """Raises InvalidInput when neither address nor coordinate can be used."""
        spot = _spot(request)
        _audit_question(scope, request)
        sight = self._sharing.sight(scope, "arrival_card.read")
        ties = await self._ties(sight, spot)
        found = await self._records.by_numbers(scope, list(ties), sight.grantors)
        persons, vehicles, calls = _sorted_out(found, ties)
        await self._add_people_behind(sight, persons, vehicles, calls)
        about = await self._records.about(scope, list(persons), ["vehicle", "warrant"], _MAXIMUM_TIED, sight.grantors)
        self._add_what_is_theirs(persons, vehicles, about, self._clock().date())
        return _card(sight, spot, persons, vehicles, calls)

    async def _ties(self, sight: Sight, spot: _Spot) -> dict[int, tuple[str, float]]:
        cells = []
        if spot.coordinate is not None:
            cells = cells_around(spot.coordinate.latitude_deg, spot.coordinate.longitude_deg, spot.radius_m)
        grantors = sight.grantors_of("person", "addresses")
        places = await self._records.by_place(sight.scope, spot.street, cells, _MAXIMUM_TIED, grantors)
        ties: dict[int, tuple[str, float]] = {}
        for place in places:
            distance = _distance(spot, place)
            by_address = place.street == spot.street != "" and same_locality(place.locality, spot.locality)
            near = 0 <= distance <= spot.radius_m
            if near or (by_address and distance <= _SAME_STREET_WITHIN_M):
                before = ties.get(place.record_number)
                if before is None or 0 <= distance < before[1]:
                    ties[place.record_number] = (place.tie, distance)
        return ties

    async def _add_people_behind(self, sight: Sight, persons: dict[str, _Tied], vehicles: dict[str, _Tied], calls: list[_Tied]) -> None:
        """Keepers of vehicles that are kept there, and who was involved in calls there."""
        ties = {
            one.found.record.vehicle.keeper_record_id: (f"keeper of {one.found.record.vehicle.plate}", one.distance_m)
            for one in vehicles.values()
        }
        for call in calls:
            for person_id in call.found.record.prior_call.person_record_ids:
                ties.setdefault(person_id, ("involved in a prior call", call.distance_m))
        ties = {person_id: tie for person_id, tie in ties.items() if person_id and person_id not in persons}
        for person_id, found in (await self._records.by_ids(sight.scope, list(ties), sight.grantors)).items():
            if found.record.HasField("person"):
                persons[person_id] = _Tied(found, *ties[person_id])

    @staticmethod
    def _add_what_is_theirs(persons: dict[str, _Tied], vehicles: dict[str, _Tied], about: dict[str, list[Found]], today: date) -> None:
        for person_id, records in about.items():
            person = persons[person_id]
            for one in records:
                if one.record.agency_id != person.found.record.agency_id:
                    continue
                if one.record.HasField("warrant"):
                    if warrant_in_force(one.record.warrant, today):
                        person.warrants.append(one)
                elif person.tie != "involved in a prior call":
                    vehicles.setdefault(one.record.record_id, _Tied(one, person.tie, person.distance_m))


def _spot(request: pb.GetArrivalCardRequest) -> _Spot:
    wrong = []
    if len(request.address) > MAXIMUM_ADDRESS_CHARACTERS:
        wrong.append(Violation("address", f"has more than {MAXIMUM_ADDRESS_CHARACTERS} characters"))
    if not 0 <= request.radius_m <= MAXIMUM_RADIUS_M:
        wrong.append(Violation("radius_m", f"is at most {MAXIMUM_RADIUS_M:.0f}; 0: {DEFAULT_RADIUS_M:.0f}"))
    if len(request.incident_id) > 64:
        wrong.append(Violation("incident_id", "has more than 64 characters"))
    if request.HasField("coordinate"):
        wrong += coordinate_violations(request.coordinate, "coordinate")
    if wrong:
        raise InvalidInput(wrong)
    street, locality = address_key(request.address)
    coordinate = request.coordinate if request.HasField("coordinate") else None
    if not street and coordinate is None:
        raise InvalidInput.one("address", "needs a street and a house number, or give a coordinate")
    return _Spot(street, locality, coordinate, request.radius_m or DEFAULT_RADIUS_M)


def _distance(spot: _Spot, place: TiedPlace) -> float:
    if spot.coordinate is None or place.latitude_deg is None or place.longitude_deg is None:
        return _UNKNOWN_DISTANCE
    return distance_m(spot.coordinate.latitude_deg, spot.coordinate.longitude_deg, place.latitude_deg, place.longitude_deg)


def _sorted_out(found: dict[int, Found], ties: dict[int, tuple[str, float]]) -> tuple[dict[str, _Tied], dict[str, _Tied], list[_Tied]]:
    persons, vehicles, calls = {}, {}, []
    for number, one in found.items():
        tied = _Tied(one, *ties[number])
        if one.record.HasField("person"):
            persons[one.record.record_id] = tied
        elif one.record.HasField("vehicle"):
            vehicles[one.record.record_id] = tied
        elif one.record.HasField("prior_call"):
            calls.append(tied)
    calls.sort(key=lambda call: -call.found.record.prior_call.occurred_at.ToNanoseconds())
    return persons, vehicles, calls


def _card(
    sight: Sight, spot: _Spot, persons: dict[str, _Tied], vehicles: dict[str, _Tied], calls: list[_Tied]
) -> pb.GetArrivalCardResponse:
    card = pb.GetArrivalCardResponse(place=spot.street, withheld=sight.own.withheld_kinds())
    people = []
    for one in persons.values():
        person = pb.ArrivalPerson(person=sight.shown(one.found), tie=one.tie, distance_m=one.distance_m)
        if sight.disclosure(one.found.record.agency_id).sees_kind("warrant"):
            person.warrants.extend(sight.shown(warrant) for warrant in one.warrants)
        people.append(person)
    cars = [sight.shown(one.found) for one in vehicles.values() if sight.disclosure(one.found.record.agency_id).sees_kind("vehicle")]
    for car in cars:
        keeper = persons.get(car.vehicle.keeper_record_id)
        if keeper is not None and sight.disclosure(car.agency_id).sees("vehicle", "keeper_name"):
            car.vehicle.keeper_name = display_name(keeper.found.record.person)
    warnings = warnings_of(people, cars)
    warned = {warning.record_id for warning in warnings}
    people.sort(key=lambda person: (person.person.record_id not in warned, person.distance_m, person.person.record_id))
    cars.sort(key=lambda car: (car.record_id not in warned, car.vehicle.plate))
    card.warnings.extend(warnings[:MAXIMUM_WARNINGS])
    card.persons.extend(people[:MAXIMUM_PERSONS])
    card.vehicles.extend(cars[:MAXIMUM_VEHICLES])
    card.prior_calls.extend(sight.shown(call.found) for call in calls[:MAXIMUM_CALLS])
    card.more_persons = max(0, len(people) - MAXIMUM_PERSONS)
    card.more_vehicles = max(0, len(cars) - MAXIMUM_VEHICLES)
    card.more_prior_calls = max(0, len(calls) - MAXIMUM_CALLS)
    for person in card.persons:
        sight.touch(person.person, *person.warrants)
    sight.touch(*card.vehicles, *card.prior_calls)
    return card


def _audit_question(scope: Scope, request: pb.GetArrivalCardRequest) -> None:
    """R18: the elements that were asked for stand in the log."""
    elements = []
    if request.address.strip():
        elements.append(f"address:{request.address.strip()[:200]}")
    if request.HasField("coordinate"):
        elements.append(f"coordinate:{request.coordinate.latitude_deg:.5f},{request.coordinate.longitude_deg:.5f}")
    if request.incident_id:
        elements.append(f"incident:{request.incident_id}")
    touched(*elements, owner_agency_id=scope.agency_id)
