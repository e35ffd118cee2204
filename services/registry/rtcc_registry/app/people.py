"""Agencies and the people in them."""

from datetime import datetime

from rtcc.registry.v1 import registry_pb2 as pb
from rtcc_chassis.access import Access, AuditDraft, Outcome, Resource, touched
from rtcc_chassis.clock import Clock
from rtcc_chassis.errors import Conflict, InvalidInput, NotFound
from rtcc_chassis.scope import Scope
from rtcc_registry.app.acting import as_json, copy_of, created_id, platform_scope, require_agency, same_or_conflict, scope_for
from rtcc_registry.app.records import AGENCY, AGREEMENT, PERSON, UNIT, Store, Work
from rtcc_registry.domain.people import (
    checked_agency,
    checked_person,
    checked_roles,
    owning_agency,
    require_first_administrator,
    require_may_grant,
    require_not_oneself,
    visible_agencies,
)

_ENDED_AT_ONCE = 200


class People:
    """Agencies and the people in them."""

    def __init__(self, store: Store, access: Access, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._clock = clock

    async def create_agency(self, scope: Scope, agency: pb.Agency) -> pb.Agency:
        """A new tenant. Repeating it with the same values is the same agency."""
        agency = checked_agency(agency)
        async with self._store.work(scope_for(scope, agency.agency_id)) as work:
            if not await work.insert(AGENCY, agency):
                return same_or_conflict(scope, "agency.create", AGENCY, agency, await work.get(AGENCY, agency.agency_id))
        touched(f"agency:{agency.agency_id}", owner_agency_id=agency.agency_id, new_value=as_json(agency))
        return agency

    async def list_agencies(self, scope: Scope) -> list[pb.Agency]:
        """The caller's own and its partners; names of all for who may grant; all for who runs the platform."""
        async with self._store.work(scope) as work:
            agreements = await work.all(AGREEMENT)
        async with self._store.work(platform_scope()) as work:
            agencies = await work.all(AGENCY)
        return visible_agencies(agencies, scope, agreements)

    async def create_person(self, scope: Scope, person: pb.Person) -> pb.Person:
        """A person of the caller's agency; a platform operator also makes the first ones of others."""
        action = "person.create"
        person = checked_person(person, self._clock())
        person.agency_id = owning_agency(scope, person.agency_id, action, beyond=True)
        require_may_grant(scope, person.roles, action)
        self._access.require(scope, action, Resource("person", "", person.agency_id))
        person.person_id = created_id(scope, action, "")
        async with self._store.work(scope_for(scope, person.agency_id)) as work:
            await require_agency(work, person.agency_id)
            if scope.principal_kind == "person" and person.agency_id != scope.agency_id:
                require_first_administrator(person, await work.all(PERSON), action)
            await _require_unit(work, person)
            if not await work.insert(PERSON, person):
                return same_or_conflict(scope, action, PERSON, person, await work.get(PERSON, person.person_id))
        touched(f"person:{person.person_id}", owner_agency_id=person.agency_id, new_value=as_json(person))
        return person

    async def list_people(self, scope: Scope) -> list[pb.Person]:
        async with self._store.work(scope) as work:
            people = await work.all(PERSON)
        touched(*(f"person:{person.person_id}" for person in people))
        return sorted(people, key=lambda person: (person.agency_id, person.login))

    async def set_roles(self, scope: Scope, person_id: str, roles: list[str]) -> pb.Person:
        """Replace a person's roles."""
        action = "person.set_roles"
        chosen = checked_roles(roles, "roles")
        require_not_oneself(scope.principal_id, person_id, "the roles")
        async with self._store.work(scope) as work:
            old = await self._person(scope, work, person_id, action)
            # taking platform_operator away is as much its own kind's business as giving it
            require_may_grant(scope, {*chosen, *old.roles}, action)
            new = copy_of(old)
            del new.roles[:]
            new.roles.extend(chosen)
            await work.replace(PERSON, new)
        touched(f"person:{person_id}", owner_agency_id=new.agency_id, old_value=as_json(old), new_value=as_json(new))
        return new

    async def set_enabled(self, scope: Scope, person_id: str, enabled: bool) -> pb.Person:
        """Switch an account off (sessions end at once) or on again. An ended temporary account stays off (R7)."""
        action = "person.set_enabled"
        require_not_oneself(scope.principal_id, person_id, "the state")
        async with self._store.work(scope) as work:
            old = await self._person(scope, work, person_id, action)
            require_may_grant(scope, old.roles, action)
            if enabled and old.HasField("ends_at") and old.ends_at.ToDatetime(self._clock().tzinfo) <= self._clock():
                raise Conflict("The temporary account has ended (R7): make a new one.")
            new = copy_of(old)
            new.enabled = enabled
            await work.replace(PERSON, new)
        touched(f"person:{person_id}", owner_agency_id=new.agency_id, old_value=as_json(old), new_value=as_json(new))
        return new

    async def end_temporary_accounts(self) -> int:
        """Switch off whose time is over (R7). Audited in the name of the registry; the answer is how many."""
        scope = platform_scope()
        async with self._store.work(scope) as work:
            people = await work.ended_people(self._clock(), _ENDED_AT_ONCE)
            drafts = []
            for old in people:
                new = copy_of(old)
                new.enabled = False
                await work.replace(PERSON, new)
                drafts.append(_ended_entry(scope, old, new, self._clock()))
            if drafts:
                await self._access.record_many(drafts)
        return len(people)

    async def _person(self, scope: Scope, work: Work, person_id: str, action: str) -> pb.Person:
        person = await work.get(PERSON, person_id, lock=True)
        if person is None:
            raise NotFound("person", person_id)
        self._access.require(scope, action, Resource("person", person_id, person.agency_id))
        return person


async def _require_unit(work: Work, person: pb.Person) -> None:
    if person.unit_id and await work.get(UNIT, person.unit_id) is None:
        raise InvalidInput.one("person.unit_id", "no such unit in the agency")


def _ended_entry(scope: Scope, old: pb.Person, new: pb.Person, now: datetime) -> AuditDraft:
    return AuditDraft(
        action="person.set_enabled",
        place="registry: temporary accounts",
        outcome=Outcome.ALLOWED,
        scope=scope,
        reason="the temporary account's time is over (R7)",
        object_ids=(f"person:{old.person_id}",),
        owner_agency_id=old.agency_id,
        old_value=as_json(old),
        new_value=as_json(new),
        occurred_at=now,
    )
