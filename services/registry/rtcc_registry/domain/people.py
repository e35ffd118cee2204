"""Rules about agencies, people and roles, and about whose records a caller may make."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import available_timezones

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.errors import Conflict, InvalidInput, Refused
from rtcc_chassis.geometry import polygon_violations
from rtcc_chassis.scope import EVERY_AGENCY, Scope
from rtcc_registry.domain.barring import check_law
from rtcc_registry.domain.findings import Findings, moment

PLATFORM_OPERATOR = "platform_operator"
ADMINISTRATOR = "administrator"
ROLES = frozenset({"operator", "supervisor", "officer", "investigator", "dispatcher", "auditor", ADMINISTRATOR, PLATFORM_OPERATOR})

# R7: a temporary account ends by itself, at most this long after it was made.
TEMPORARY_ACCOUNT_LONGEST = timedelta(hours=72)

_MOST_BARRED_PURPOSES = 100
# An agency's id is part of every NATS subject, schema row and object bucket: DNS label rules, no dots.
_AGENCY_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,38}[a-z0-9]\Z")
_RESERVED_AGENCY_IDS = frozenset({"platform", "quarantine"})
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,78}[a-z0-9]\Z")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+\Z")


def checked_agency(agency: pb.Agency) -> pb.Agency:
    """A new agency, switched on; its id never changes afterwards."""
    found = Findings("")
    result = pb.Agency()
    result.CopyFrom(agency)
    result.name = found.text("name", agency.name)
    found.require(
        bool(_AGENCY_ID.match(agency.agency_id)), "agency_id", "must be 2 to 40 of a-z, 0-9 and '-', not starting or ending with '-'"
    )
    found.require(agency.agency_id not in _RESERVED_AGENCY_IDS, "agency_id", "is reserved for the platform itself")
    result.time_zone = agency.time_zone or "UTC"
    found.require(
        result.time_zone in available_timezones(),
        "time_zone",
        f"{result.time_zone[:60]!r} is not an IANA time zone such as Europe/Helsinki",
    )
    if agency.HasField("area"):
        found.extend(polygon_violations(agency.area, "area"))
    found.require(len(agency.barred_purposes) <= _MOST_BARRED_PURPOSES, "barred_purposes", f"at most {_MOST_BARRED_PURPOSES} are allowed")
    barred = {found.text("barred_purposes", purpose) for purpose in agency.barred_purposes[:_MOST_BARRED_PURPOSES]}
    check_law(found, result)
    found.raise_if_any()
    del result.barred_purposes[:]
    result.barred_purposes.extend(sorted(barred))
    result.enabled = True
    return result


def changed_agency(scope: Scope, old: pb.Agency, wanted: pb.Agency) -> pb.Agency:
    """`old` with the settings of `wanted`. An agency's own administrators decide neither under whose law it is nor whether it is on."""
    result = checked_agency(wanted)
    result.enabled = wanted.enabled
    if not runs_platform(scope) and (result.jurisdiction, result.enabled) != (old.jurisdiction, old.enabled):
        raise Refused("agency.update", "Jurisdiction and being switched on are the platform operator's business.")
    return result


def checked_roles(roles: Iterable[str], field: str) -> list[str]:
    """Known roles, each once, sorted."""
    found = Findings("")
    chosen = sorted(set(roles))
    found.require(bool(chosen), field, f"name at least one of {', '.join(sorted(ROLES))}")
    for role in chosen:
        found.require(role in ROLES, field, f"{role[:40]!r} is no role; the roles are {', '.join(sorted(ROLES))}")
    found.raise_if_any()
    return chosen


def checked_person(person: pb.Person, now: datetime) -> pb.Person:
    """A new person. `now` bounds a temporary account (R7)."""
    found = Findings("person")
    result = pb.Person()
    result.CopyFrom(person)
    result.login = person.login.strip().lower()
    found.require(
        bool(_LOGIN.match(result.login)), "login", "must be 2 to 80 of a-z, 0-9 and . _ @ + -, starting and ending with a letter or digit"
    )
    result.display_name = found.text("display_name", person.display_name)
    result.email = person.email.strip()
    found.require(not result.email or bool(_EMAIL.match(result.email)), "email", "is not an address")
    if person.HasField("ends_at"):
        ends_at = moment(person.ends_at, found, "ends_at")
        if ends_at is not None:
            found.require(ends_at > now, "ends_at", "lies in the past")
            found.require(ends_at <= now + TEMPORARY_ACCOUNT_LONGEST, "ends_at", "a temporary account ends within 72 hours (R7)")
    try:
        roles = checked_roles(person.roles, "person.roles")
    except InvalidInput as error:
        found.extend(error.violations)
        roles = []
    found.raise_if_any()
    del result.roles[:]
    result.roles.extend(roles)
    result.enabled = True
    return result


def runs_platform(scope: Scope) -> bool:
    """A platform operator, or the machine's owner through a service of the installation."""
    return PLATFORM_OPERATOR in scope.roles or (scope.principal_kind == "service" and scope.agency_id == EVERY_AGENCY)


def owning_agency(scope: Scope, named_agency_id: str, action: str, *, beyond: bool = False) -> str:
    """Whose record a call makes: the caller's own agency.

    Only the installation itself names another, and with `beyond` a platform operator.
    """
    if scope.agency_id == EVERY_AGENCY:
        if not named_agency_id:
            raise InvalidInput.one("agency_id", "is needed: for which agency")
        return named_agency_id
    if named_agency_id in ("", scope.agency_id):
        return scope.agency_id
    if beyond and runs_platform(scope):
        return named_agency_id
    raise Refused(action, "What belongs to another agency is its own administrators' business.")


def require_may_grant(scope: Scope, roles: Iterable[str], action: str) -> None:
    """An administrator hands out agency roles; a platform operator is made by a platform operator alone."""
    if PLATFORM_OPERATOR in set(roles) and not runs_platform(scope):
        raise Refused(action, "Only a platform operator makes or changes another platform operator.")


def require_first_administrator(person: pb.Person, people: Iterable[pb.Person], action: str) -> None:
    """A platform operator sees no agency's data, hence may not make himself an account that does: only the first administrator."""
    others = (other for other in people if other.agency_id == person.agency_id and other.person_id != person.person_id)
    if ADMINISTRATOR not in person.roles or any(other.enabled and ADMINISTRATOR in other.roles for other in others):
        raise Refused(action, "In another agency you make its first administrator only; its administrators make everybody else.")


def require_not_oneself(principal_id: str, person_id: str, what: str) -> None:
    """Nobody changes the own rights: neither to gain any nor to lock everybody out."""
    if principal_id == person_id:
        raise Conflict(f"You can't change {what} of your own account: ask another administrator.")


def visible_agencies(agencies: Iterable[pb.Agency], viewer: Scope, agreements: Iterable[pb.Agreement]) -> list[pb.Agency]:
    """The own agency and partners in full, all for who runs the platform; who may grant sees every name, but no stranger's area."""
    partners = {viewer.agency_id}
    for agreement in agreements:
        partners.update((agreement.grantor_agency_id, agreement.grantee_agency_id))
    visible = []
    for agency in agencies:
        if agency.agency_id in partners or runs_platform(viewer):
            visible.append(agency)
        elif ADMINISTRATOR in viewer.roles and agency.enabled:
            visible.append(pb.Agency(agency_id=agency.agency_id, name=agency.name, enabled=True))
    return sorted(visible, key=lambda agency: agency.agency_id)
