"""People and agencies as the registry's directory tells them, indexed by what they type."""

import asyncio
import contextlib
from datetime import UTC, datetime

from rtcc.registry.v1.registry_pb2 import Agency, Person
from rtcc_chassis.directory import Directory, Mirror
from rtcc_gateway.domain import AccountEnded, normalise_login


class People:
    """Reading is free: the mirror lives in this process."""

    def __init__(self, directory: Directory) -> None:
        self.persons: Mirror[Person] = directory.mirror("person", Person)
        self.agencies: Mirror[Agency] = directory.mirror("agency", Agency)
        self._by_login: dict[str, str] = {}
        self._expected: dict[str, set[asyncio.Event]] = {}
        for person in self.persons:
            self._by_login[normalise_login(person.login)] = person.person_id
        self.persons.on_change(self._index)

    def get(self, person_id: str) -> Person | None:
        """A person by id."""
        return self.persons.get(person_id)

    def by_login(self, login: str) -> Person | None:
        """A person by what they type (already normalised)."""
        return self.persons.get(self._by_login.get(login, ""))

    def by_email(self, email: str) -> Person | None:
        """The only person with this e-mail address; None when there are several, for then it proves nothing."""
        wanted = normalise_login(email)
        found = [person for person in self.persons if wanted and normalise_login(person.email) == wanted]
        return found[0] if len(found) == 1 else None

    def agency_name(self, agency_id: str) -> str:
        """For screens; the id when the agency isn't known."""
        agency = self.agencies.get(agency_id)
        return agency.name if agency is not None else agency_id

    async def appear(self, person_id: str, timeout_s: float = 3.0) -> Person | None:
        """A person who may have been created a moment ago: the directory follows the registry within milliseconds."""
        person = self.get(person_id)
        if person is None:
            came = asyncio.Event()
            self._expected.setdefault(person_id, set()).add(came)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(came.wait(), timeout_s)
            waiting = self._expected.get(person_id, set())
            waiting.discard(came)
            if not waiting:
                self._expected.pop(person_id, None)
        return person or self.get(person_id)

    def require_active(self, person: Person | None, now: datetime) -> Person:
        """R7: enabled, not past its end, in an enabled agency. Raises AccountEnded."""
        if person is None or not person.enabled:
            raise AccountEnded("it is disabled")
        if person.HasField("ends_at") and person.ends_at.ToDatetime(UTC) <= now:
            raise AccountEnded("it was temporary and has ended")
        agency = self.agencies.get(person.agency_id)
        if agency is not None and not agency.enabled:
            raise AccountEnded("its agency is switched off")
        return person

    def _index(self, person_id: str, old: Person | None, new: Person | None) -> None:
        if old is not None:
            self._by_login.pop(normalise_login(old.login), None)
        if new is not None:
            self._by_login[normalise_login(new.login)] = person_id
            for came in self._expected.get(person_id, ()):
                came.set()
