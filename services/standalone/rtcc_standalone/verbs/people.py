"""agency add, user add: through the registry, in the name of the machine's owner."""

import argparse
import asyncio

from rtcc.registry.v1.registry_pb2 import Person
from rtcc_standalone.client import PlatformClient, platform_client
from rtcc_standalone.credentials import ensure_agency_password
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


async def first_link(installation: Installation) -> str:
    """The enrolment link of the first administrator, while nobody has an account; empty afterwards."""
    async with platform_client(installation) as client:
        people = await client.people()
        waiting = [person for person in people if person.login == _FIRST_LOGIN and person.agency_id == OPERATORS_AGENCY]
        if not people:
            return await client.enrolment_link(await _first_person(client))
        # asked again at every start until somebody used it and made a second person
        return await client.enrolment_link(waiting[0]) if len(people) == len(waiting) == 1 else ""


async def _first_person(client: PlatformClient) -> Person:
    if not any(agency.agency_id == OPERATORS_AGENCY for agency in await client.agencies()):
        await client.create_agency(OPERATORS_AGENCY, "Installation", "UTC")
    return await client.create_person(OPERATORS_AGENCY, _FIRST_LOGIN, "First administrator", ["administrator", "platform_operator"])
