"""Who is meant: by misspelt name and rough birth date, by phone, by address; which vehicle: by plate or VIN."""

from collections.abc import Sequence
from dataclasses import dataclass

from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.access import touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import InvalidInput, Violation
from rtcc_chassis.scope import Scope
from rtcc_identity.app.ports import Candidate, Found, Query, Records
from rtcc_identity.app.sharing import Sharing, Sight
from rtcc_identity.domain import dates
from rtcc_identity.domain.keys import keys_of_query, sounds_of, years_around
from rtcc_identity.domain.names import Name, asked_names
from rtcc_identity.domain.places import MAXIMUM_ADDRESS_CHARACTERS, address_key, phone_digits, same_locality
from rtcc_identity.domain.records import display_name, plate_of
from rtcc_identity.domain.scoring import LOWEST_SCORE, Asked, Field, fields, total_score

_MAXIMUM_HITS, _HITS = 50, 10
_MAXIMUM_TIED = 500
_LONGEST_QUERY = 120
_OLDEST = 130


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its place in the answer."""

    candidate: Candidate
    score: float


@dataclass(frozen=True, slots=True)
class _Question:
    asked: Asked
    phone: str
    street: str
    locality: str
    limit: int


class SearchApp:
    """Searches for persons and vehicles."""

    def __init__(self, records: Records, sharing: Sharing, clock: Clock) -> None:
        self._records = records
        self._sharing = sharing
        self._clock = clock

    async def persons(self, scope: Scope, request: pb.SearchPersonRecordsRequest) -> list[pb.PersonHit]:
        """Best first. Raises InvalidInput when nothing is asked."""
        question = self._question(request)
        _audit_question(scope, request)
        sight = self._sharing.sight(scope, "person_record.search")
        tied = await self._tied(sight, question)
        if tied is None:
            query = query_of(question.asked)
            candidates = await self._records.candidates(scope, query, sight.grantors)
        else:
            candidates = await self._records.index_rows(scope, tied, sight.grantors) if tied else []
        ranked = rank(question.asked, candidates, question.limit)
        found = await self._records.by_numbers(scope, [one.candidate.record_number for one in ranked], sight.grantors)
        shown = [(one, found[one.candidate.record_number]) for one in ranked if one.candidate.record_number in found]
        ids = [one.record.record_id for _, one in shown]
        warrants = await self._records.active_warrants(scope, ids, self._clock().date(), sight.grantors)
        hits = [_hit(sight, question, ranking, one, warrants.get(one.record.record_id, [])) for ranking, one in shown]
        sight.touch(*(hit.record for hit in hits))
        return hits

    async def vehicles(self, scope: Scope, request: pb.SearchVehicleRecordsRequest) -> list[pb.VehicleHit]:
        """By plate, where "?" stands for one character, or by VIN."""
        plate = "".join("?" if letter == "?" else plate_of(letter) for letter in request.plate[:24])
        vin, state = request.vin.strip().upper(), request.state.strip().upper()
        if not plate and not vin:
            raise InvalidInput.one("plate", "is missing, and so is the VIN: name one")
        if plate and (len(plate) < 2 or len(plate.replace("?", "")) < 2):
            raise InvalidInput.one("plate", "needs at least two known characters")
        if not plate and not 5 <= len(vin) <= 17:
            raise InvalidInput.one("vin", "has 5 to 17 characters")
        # R18: the elements that were asked for stand in the log
        touched(*(f"{kind}:{value}" for kind, value in (("plate", plate), ("vin", vin)) if value), owner_agency_id=scope.agency_id)
        sight = self._sharing.sight(scope, "vehicle_record.search")
        vehicles = await self._records.by_plate(scope, plate, vin, min(request.limit or _HITS, _MAXIMUM_HITS), sight.grantors)
        vehicles = [one for one in vehicles if not state or one.record.vehicle.state in ("", state)]
        keepers = await self._records.by_ids(
            scope, [one.record.vehicle.keeper_record_id for one in vehicles if one.record.vehicle.keeper_record_id], sight.grantors
        )
        warrants = await self._records.active_warrants(scope, list(keepers), self._clock().date(), sight.grantors)
        hits = []
        for one in vehicles:
            disclosure = sight.disclosure(one.record.agency_id)
            if not disclosure.sees_kind("vehicle"):
                continue
            hit = pb.VehicleHit(record=sight.shown(one))
            keeper = keepers.get(one.record.vehicle.keeper_record_id)
            if keeper is not None and keeper.record.agency_id == one.record.agency_id and disclosure.sees("vehicle", "keeper_name"):
                hit.keeper.CopyFrom(sight.shown(keeper))
                hit.record.vehicle.keeper_name = display_name(keeper.record.person)
                if disclosure.sees_kind("warrant"):
                    hit.keeper_warrants = len(warrants.get(keeper.record.record_id, []))
                sight.touch(hit.keeper)
            sight.touch(hit.record)
            hits.append(hit)
        return hits

    async def _tied(self, sight: Sight, question: _Question) -> list[int] | None:
        """Record numbers of persons with that phone and address; None: asked for neither."""
        found: set[int] | None = None
        if question.phone:
            grantors = sight.grantors_of("person", "phones")
            found = set(await self._records.by_phone(sight.scope, question.phone, _MAXIMUM_TIED, grantors))
        if question.street:
            grantors = sight.grantors_of("person", "addresses")
            places = await self._records.by_place(sight.scope, question.street, [], _MAXIMUM_TIED, grantors)
            there = {one.record_number for one in places if one.kind == "person" and same_locality(one.locality, question.locality)}
            found = there if found is None else found & there
        return None if found is None else sorted(found)

    def _question(self, request: pb.SearchPersonRecordsRequest) -> _Question:
        now = self._clock()
        wrong = []
        if len(request.name) > _LONGEST_QUERY or "\0" in request.name:
            wrong.append(Violation("name", f"has more than {_LONGEST_QUERY} characters"))
        if request.age_years > _OLDEST:
            wrong.append(Violation("age_years", f"is more than {_OLDEST}"))
        if request.age_years and request.birth_date:
            wrong.append(Violation("age_years", "is not needed beside a birth date"))
        if len(request.address) > MAXIMUM_ADDRESS_CHARACTERS or len(request.phone) > 60:
            wrong.append(Violation("address", "is too long"))
        if wrong:
            raise InvalidInput(wrong)
        birth = dates.parse(request.birth_date, "birth_date", now.year)
        readings = asked_names(request.name)
        phone, (street, locality) = phone_digits(request.phone), address_key(request.address)
        if request.phone and not phone:
            raise InvalidInput.one("phone", "has fewer than five digits")
        if request.address and not street:
            raise InvalidInput.one("address", "needs a street and a house number")
        if not readings and not phone and not street:
            raise InvalidInput.one("name", "is missing: name somebody, a phone or an address")
        today = dates.BirthDate(now.year, now.month, now.day)
        limit = min(request.limit or _HITS, _MAXIMUM_HITS)
        return _Question(Asked(readings, birth, request.age_years, today), phone, street, locality, limit)


def query_of(asked: Asked) -> Query:
    """What the index is asked for."""
    birth, years = asked.birth, None
    births, low, high = [], 0, -1
    if birth is not None:
        low, high = (birth.year - 1) * 10_000, (birth.year + 1) * 10_000 + 1_231
        births = [one.number for one in dates.slips(birth)] if birth.whole else []
    elif asked.age_years:
        years = years_around(asked.age_years, asked.today.year)
        low, high = years[0] * 10_000, years[-1] * 10_000 + 1_231
    surnames, givens = sounds_of(asked.readings)
    strong, weak = keys_of_query(asked.readings, birth, years)
    return Query(strong, weak, surnames, givens, births, low, high)


def rank(asked: Asked, candidates: Sequence[Candidate], limit: int) -> list[Ranked]:
    """The best of the rough candidates by their exact score; what can hardly be meant is left out. A query without a name keeps all."""
    if not asked.readings:
        return [Ranked(candidate, 1.0) for candidate in candidates[:limit]]
    # who shares a strong key and a weak one comes twice
    once = {candidate.record_number: candidate for candidate in candidates}.values()
    scored = [Ranked(candidate, total_score(asked, names_of(candidate.names), dates.from_number(candidate.birth))) for candidate in once]
    scored.sort(key=lambda one: (-one.score, one.candidate.record_number))
    return [one for one in scored[:limit] if one.score >= LOWEST_SCORE]


def names_of(written: str) -> list[Name]:
    """The names of an index row."""
    names = []
    for text in written.split(";"):
        given, _, surname = text.partition("|")
        names.append(Name(tuple(given.split()), tuple(surname.split())))
    return names


def _hit(sight: Sight, question: _Question, ranked: Ranked, found: Found, warrants: Sequence[Found]) -> pb.PersonHit:
    disclosure = sight.disclosure(found.record.agency_id)
    hit = pb.PersonHit(record=sight.shown(found), score=ranked.score)
    shown = [", ".join(filter(None, (name.surname, name.given_names))) for name in found.record.person.names]
    names, birth = names_of(ranked.candidate.names), dates.from_number(ranked.candidate.birth)
    explained = fields(question.asked, names, birth, shown)
    if question.phone:
        explained.append(Field("phone", 1.0, _same_phone(found.record.person, question.phone), "the same number"))
    if question.street:
        explained.append(Field("address", 1.0, _same_street(found.record.person, question.street), "the same street and number"))
    visible = {"name": "names", "birth_date": "birth_date", "phone": "phones", "address": "addresses"}
    for one in explained:
        seen = disclosure.sees("person", visible[one.name])
        hit.fields.add(field=one.name, score=one.score, found=one.found if seen else "", reason=one.reason if seen else "")
    if disclosure.sees_kind("warrant"):
        hit.warrants = len(warrants)
    return hit


def _same_phone(person: pb.PersonDetails, digits: str) -> str:
    return next((phone for phone in person.phones if phone_digits(phone) == digits), "")


def _same_street(person: pb.PersonDetails, street: str) -> str:
    return next((address.text for address in person.addresses if address_key(address.text)[0] == street), "")


def _audit_question(scope: Scope, request: pb.SearchPersonRecordsRequest) -> None:
    """R18: the elements that were asked for stand in the log."""
    asked = (
        ("name", request.name), ("birth_date", request.birth_date), ("age", str(request.age_years or "")), ("phone", request.phone),
        ("address", request.address),
    )  # fmt: skip
    touched(*(f"{kind}:{value.strip()[:200]}" for kind, value in asked if value.strip()), owner_agency_id=scope.agency_id)
