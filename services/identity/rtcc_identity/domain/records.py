"""Records: checked, and what of them is stored beside to be found by."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import blake2b

from rtcc.geo.v1.geo_pb2 import Coordinate
from rtcc.identity.v1 import identity_pb2 as pb
from rtcc_chassis.errors import InvalidInput, Violation
from rtcc_chassis.geometry import coordinate_violations
from rtcc_identity.domain import dates
from rtcc_identity.domain.names import Name, name_of
from rtcc_identity.domain.places import MAXIMUM_ADDRESS_CHARACTERS, address_key, cell_of, phone_digits

KINDS = ("person", "vehicle", "warrant", "arrest", "prior_call")
SEXES = ("", "female", "male", "other")
ADDRESS_KINDS = ("home", "work", "mailing", "last_seen", "other")
# most dangerous first: the order in which a card shows them
CAUTION_KINDS = (
    "armed", "violent", "resists", "escape", "suicidal", "mental_health", "infectious", "medical", "dog", "protected", "other",
)  # fmt: skip
SEVERITIES = ("felony", "misdemeanour", "civil", "other")
STATUSES = ("active", "served", "recalled")
MAXIMUM_NAMES, MAXIMUM_LIST = 20, 20
MANUAL = "manual"
_LONGEST_LINE, _LONGEST_TEXT = 200, 2_000
_IDENTIFIER = re.compile(r"[A-Za-z0-9_\-]{1,64}\Z")
_PLATE = re.compile(r"[^A-Z0-9]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{5,17}\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """An address as it is found by."""

    tie: str
    street: str
    locality: str
    cell: int | None
    latitude_deg: float | None
    longitude_deg: float | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked record with all that the store writes beside it."""

    record: pb.Record
    kind: str
    digest: bytes
    names: tuple[Name, ...] = ()
    birth: dates.BirthDate | None = None
    phones: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    person_record_ids: tuple[str, ...] = ()
    plate: str | None = None
    vin: str | None = None
    active: bool = False
    occurred_at: datetime | None = None


@dataclass(slots=True)
class _Findings:
    violations: list[Violation] = field(default_factory=list)

    def require(self, good: bool, where: str, reason: str) -> None:
        if not good:
            self.violations.append(Violation(where, reason))

    def text(self, value: str, where: str, longest: int = _LONGEST_LINE, *, needed: bool = False) -> str:
        value = value.strip()
        if needed and not value:
            self.violations.append(Violation(where, "is missing"))
        if len(value) > longest or _CONTROL.search(value):
            self.violations.append(Violation(where, f"must be text of at most {longest} characters without control characters"))
        return value

    def one_of(self, value: str, where: str, allowed: Iterable[str]) -> None:
        choices = tuple(allowed)
        self.require(value in choices, where, f"{value[:40]!r} is not one of {', '.join(filter(None, choices))}")

    def day(self, value: str, where: str) -> str:
        value = value.strip()
        if value:
            try:
                date.fromisoformat(value)
                self.require(len(value) == 10, where, f"{value[:20]!r} is not a day such as 2026-03-14")
            except ValueError:
                self.violations.append(Violation(where, f"{value[:20]!r} is not a day such as 2026-03-14"))
        return value


def prepared(record: pb.Record, now: datetime) -> Prepared:
    """The record as it will be stored; ids, agency and time are the caller's business. Raises InvalidInput with every fault."""
    kind = record.WhichOneof("details")
    if kind is None:
        raise InvalidInput.one("record", "holds neither person, vehicle, warrant, arrest nor prior_call")
    result = pb.Record()
    result.CopyFrom(record)
    del result.withheld[:]
    result.agreement_id = ""
    found = _Findings()
    result.source = found.text(record.source, "source", 60) or MANUAL
    result.source_key = found.text(record.source_key, "source_key", 120)
    made = _BY_KIND[kind](found, result, now)
    if found.violations:
        raise InvalidInput(found.violations)
    return made


def names_and_birth(record: pb.Record) -> Prepared:
    """A stored person, for its index alone."""
    names = tuple(name_of(name.given_names, name.surname) for name in record.person.names)
    return Prepared(record, "person", b"", names=names, birth=dates.parse(record.person.birth_date, "birth_date", 9_999))


def warrant_in_force(warrant: pb.WarrantDetails, today: date) -> bool:
    """Active and not expired."""
    return warrant.status == "active" and (not warrant.expires_on or date.fromisoformat(warrant.expires_on) >= today)


def display_name(person: pb.PersonDetails) -> str:
    """ "Smith, John"; empty where names are withheld."""
    name = person.names[0] if person.names else pb.RecordName()
    return ", ".join(filter(None, (name.surname, name.given_names)))


def valid_identifier(text: str) -> bool:
    """Whether it may be an id of ours."""
    return bool(_IDENTIFIER.match(text))


def plate_of(text: str) -> str:
    """Upper case letters and digits only."""
    return _PLATE.sub("", text.upper())[:12]


def digest_of(record: pb.Record) -> bytes:
    """Of the content: not of when it came."""
    copy = pb.Record()
    copy.CopyFrom(record)
    copy.ClearField("changed_at")
    return blake2b(copy.SerializeToString(deterministic=True), digest_size=16).digest()


def _person(found: _Findings, record: pb.Record, now: datetime) -> Prepared:
    person = record.person
    found.require(1 <= len(person.names) <= MAXIMUM_NAMES, "person.names", f"1 to {MAXIMUM_NAMES} are needed")
    for position, name in enumerate(person.names[:MAXIMUM_NAMES]):
        where = f"person.names[{position}]"
        name.given_names, name.surname = found.text(name.given_names, f"{where}.given_names"), found.text(name.surname, f"{where}.surname")
        folded = name_of(name.given_names, name.surname)
        found.require(bool(folded.given or folded.surname), where, "is empty")
    birth = None
    try:
        birth = dates.parse(person.birth_date, "person.birth_date", now.year)
    except InvalidInput as error:
        found.violations.extend(error.violations)
    found.one_of(person.sex, "person.sex", SEXES)
    person.description = found.text(person.description, "person.description", 500)
    for where, listed in (("person.phones", person.phones), ("person.identifiers", person.identifiers)):
        found.require(len(listed) <= MAXIMUM_LIST, where, f"at most {MAXIMUM_LIST} are stored")
        values = dict.fromkeys(found.text(value, where, 60) for value in listed[:MAXIMUM_LIST])
        del listed[:]
        listed.extend(value for value in values if value)
    person.has_photo = False
    _cautions(found, person.cautions, "person.cautions")
    places = _addresses(found, person.addresses, "person.addresses")
    return Prepared(
        record,
        "person",
        digest_of(record),
        names=tuple(name_of(name.given_names, name.surname) for name in person.names),
        birth=birth,
        phones=tuple(dict.fromkeys(digits for phone in person.phones if (digits := phone_digits(phone)))),
        places=places,
    )


def _vehicle(found: _Findings, record: pb.Record, now: datetime) -> Prepared:
    vehicle = record.vehicle
    plate, vin = plate_of(vehicle.plate), vehicle.vin.strip().upper()
    found.require(bool(plate or vin), "vehicle.plate", "is missing, and so is the VIN: nothing to find it by")
    found.require(not vin or bool(_VIN.match(vin)), "vehicle.vin", f"{vin[:20]!r} is no VIN: 5 to 17 letters and digits without I, O, Q")
    vehicle.plate, vehicle.vin, vehicle.keeper_name = plate, vin, ""
    vehicle.state = found.text(vehicle.state.upper(), "vehicle.state", 8)
    for name in ("make", "model", "color"):
        setattr(vehicle, name, found.text(getattr(vehicle, name), f"vehicle.{name}", 60))
    found.require(vehicle.year == 0 or 1885 <= vehicle.year <= now.year + 2, "vehicle.year", f"{vehicle.year} is no year of make")
    _person_id(found, vehicle.keeper_record_id, "vehicle.keeper_record_id")
    _cautions(found, vehicle.cautions, "vehicle.cautions")
    keeper = (vehicle.keeper_record_id,) if vehicle.keeper_record_id else ()
    places = _addresses(found, vehicle.addresses, "vehicle.addresses")
    return Prepared(record, "vehicle", digest_of(record), places=places, person_record_ids=keeper, plate=plate or None, vin=vin or None)


def _warrant(found: _Findings, record: pb.Record, now: datetime) -> Prepared:
    warrant = record.warrant
    _person_id(found, warrant.person_record_id, "warrant.person_record_id", needed=True)
    warrant.number = found.text(warrant.number, "warrant.number", 60)
    warrant.offence = found.text(warrant.offence, "warrant.offence", needed=True)
    warrant.severity, warrant.status = warrant.severity or "other", warrant.status or "active"
    found.one_of(warrant.severity, "warrant.severity", SEVERITIES)
    found.one_of(warrant.status, "warrant.status", STATUSES)
    warrant.court, warrant.note = found.text(warrant.court, "warrant.court"), found.text(warrant.note, "warrant.note", _LONGEST_TEXT)
    warrant.issued_on, warrant.expires_on = (
        found.day(warrant.issued_on, "warrant.issued_on"), found.day(warrant.expires_on, "warrant.expires_on"),
    )  # fmt: skip
    return Prepared(record, "warrant", digest_of(record), person_record_ids=(warrant.person_record_id,), active=warrant.status == "active")


def _arrest(found: _Findings, record: pb.Record, now: datetime) -> Prepared:
    arrest = record.arrest
    _person_id(found, arrest.person_record_id, "arrest.person_record_id", needed=True)
    for name, longest in (("number", 60), ("charge", 200), ("disposition", 200), ("note", _LONGEST_TEXT)):
        setattr(arrest, name, found.text(getattr(arrest, name), f"arrest.{name}", longest, needed=name == "charge"))
    arrest.arrested_on = found.day(arrest.arrested_on, "arrest.arrested_on")
    places = _addresses(found, [arrest.address] if arrest.HasField("address") else [], "arrest.address")
    occurred = None
    if arrest.arrested_on and not found.violations:
        occurred = datetime.combine(date.fromisoformat(arrest.arrested_on), datetime.min.time(), UTC)
    return Prepared(record, "arrest", digest_of(record), places=places, person_record_ids=(arrest.person_record_id,), occurred_at=occurred)


def _prior_call(found: _Findings, record: pb.Record, now: datetime) -> Prepared:
    call = record.prior_call
    for name, longest in (("number", 60), ("type", 60), ("outcome", 200), ("narrative", _LONGEST_TEXT)):
        setattr(call, name, found.text(getattr(call, name), f"prior_call.{name}", longest, needed=name == "type"))
    found.require(call.HasField("occurred_at"), "prior_call.occurred_at", "is missing")
    found.require(len(call.person_record_ids) <= MAXIMUM_LIST, "prior_call.person_record_ids", f"at most {MAXIMUM_LIST} are stored")
    for identifier in call.person_record_ids:
        _person_id(found, identifier, "prior_call.person_record_ids")
    occurred = None
    try:
        occurred = call.occurred_at.ToDatetime(UTC)
        found.require(1970 <= occurred.year <= now.year + 1, "prior_call.occurred_at", "is no time of a past call")
    except (ValueError, OverflowError):
        found.violations.append(Violation("prior_call.occurred_at", "is no time"))
    places = _addresses(found, [call.address] if call.HasField("address") else [], "prior_call.address")
    return Prepared(
        record, "prior_call", digest_of(record), places=places, person_record_ids=tuple(dict.fromkeys(call.person_record_ids)),
        occurred_at=occurred,
    )  # fmt: skip


_BY_KIND = {"person": _person, "vehicle": _vehicle, "warrant": _warrant, "arrest": _arrest, "prior_call": _prior_call}


def _person_id(found: _Findings, identifier: str, where: str, *, needed: bool = False) -> None:
    if identifier or needed:
        found.require(valid_identifier(identifier), where, "must be the record_id of a person")


def _cautions(found: _Findings, cautions: Iterable[pb.Caution], where: str) -> None:
    for position, caution in enumerate(cautions):
        if position == MAXIMUM_LIST:
            found.require(False, where, f"at most {MAXIMUM_LIST} are stored")
            return
        found.one_of(caution.kind, f"{where}[{position}].kind", CAUTION_KINDS)
        caution.note = found.text(caution.note, f"{where}[{position}].note", 500)
        caution.source = found.text(caution.source, f"{where}[{position}].source", 100)
        caution.noted_on = found.day(caution.noted_on, f"{where}[{position}].noted_on")


def _addresses(found: _Findings, addresses: Iterable[pb.Address], where: str) -> tuple[Place, ...]:
    places = []
    for position, address in enumerate(addresses):
        if position == MAXIMUM_LIST:
            found.require(False, where, f"at most {MAXIMUM_LIST} are stored")
            break
        address.text = found.text(address.text, f"{where}[{position}].text", MAXIMUM_ADDRESS_CHARACTERS)
        address.kind = address.kind or "other"
        found.one_of(address.kind, f"{where}[{position}].kind", ADDRESS_KINDS)
        places.append(_place(found, address, f"{where}[{position}]"))
    return tuple(place for place in places if place.street or place.cell is not None)


def _place(found: _Findings, address: pb.Address, where: str) -> Place:
    street, locality = address_key(address.text)
    if not address.HasField("coordinate"):
        return Place(address.kind, street, locality, None, None, None)
    coordinate: Coordinate = address.coordinate
    wrong = coordinate_violations(coordinate, f"{where}.coordinate")
    found.violations.extend(wrong)
    cell = None if wrong else cell_of(coordinate.latitude_deg, coordinate.longitude_deg)
    return Place(address.kind, street, locality, cell, coordinate.latitude_deg, coordinate.longitude_deg)
