"""agency add, user add: through the registry, in the name of the machine's owner."""

import argparse
import asyncio

from rtcc_standalone.client import platform_client
from rtcc_standalone.credentials import ensure_agency_password
from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.installation import Installation
from rtcc_standalone.terminal import say
from rtcc_standalone.verbs.folders import running

# the home of those who run the installation; its people see no agency's data
OPERATORS_AGENCY = "installation"
_FIRST_LOGIN = "admin"


def agency_add(options: argparse.Namespace) -> int:
    return asyncio.run(_agency_add(running(options), options))


async def _agency_add(installation: Installation, options: argparse.Namespace) -> int:
    async with platform_client(installation) as client:
        agency = await client.create_agency(options.id, options.name, options.time_zone)
        say(f"agency {agency.agency_id} ({agency.name}) is there")
    ensure_agency_password(installation.folder, options.id)
    say(f"devices that speak NATS: account in {installation.folder.agencies / f'{options.id}.json'}")
    say(f"next: ./rtcc user add LOGIN --agency {options.id} --name NAME --role administrator")
    return 0


def user_add(options: argparse.Namespace) -> int:
    return asyncio.run(_user_add(running(options), options))


async def _user_add(installation: Installation, options: argparse.Namespace) -> int:
    async with platform_client(installation) as client:
        person = await client.create_person(options.agency, options.login, options.name, options.role)
        link = await client.enrolment_link(person)
    say(f"{person.display_name} ({person.login}, {', '.join(person.roles)}) sets password and second factor here, once, within 72 h:")
    say(f"\n  {link}")
    return 0


def user_enrol(options: argparse.Namespace) -> int:
    return asyncio.run(_user_enrol(running(options), options.login))


async def _user_enrol(installation: Installation, login: str) -> int:
    async with platform_client(installation) as client:
        found = [person for person in await client.people() if person.login == login.lower()]
        if not found:
            raise NoSuchPersonError(login)
        link = await client.enrolment_link(found[0])
    say(f"{found[0].display_name} sets a new password and second factor here, once, within 72 h:\n\n  {link}")
    return 0


class NoSuchPersonError(StandaloneError):
    """Nobody has this login."""

    def __init__(self, login: str) -> None:
        super().__init__(f"Nobody signs in as {login!r}. Make the person: ./rtcc user add {login} --agency ID --name NAME --role ROLE")


async def first_link(installation: Installation) -> str:
    """Makes the first administrator while nobody is there, and answers with the enrolment link; empty afterwards."""
    async with platform_client(installation) as client:
        if await client.people():
            return ""
        if not any(agency.agency_id == OPERATORS_AGENCY for agency in await client.agencies()):
            await client.create_agency(OPERATORS_AGENCY, "Installation", "UTC")
        roles = ["administrator", "platform_operator"]
        return await client.enrolment_link(await client.create_person(OPERATORS_AGENCY, _FIRST_LOGIN, "First administrator", roles))
