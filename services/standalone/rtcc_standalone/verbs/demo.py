"""demo: the platform, two agencies set up through its public doors, devices that feed it, and links to look at it."""

import argparse
import asyncio
from collections.abc import Sequence

import grpc

from rtcc.geo.v1.geo_pb2 import Coordinate, Polygon
from rtcc_standalone.checkout import checkout_root
from rtcc_standalone.client import PlatformClient, platform_client
from rtcc_standalone.errors import StandaloneError
from rtcc_standalone.installation import Installation, open_installation
from rtcc_standalone.preparation import prepare
from rtcc_standalone.servers.feeders import FeedersProcess
from rtcc_standalone.supervisor import Supervisor
from rtcc_standalone.terminal import Steps, say
from rtcc_standalone.verbs.folders import data_path, named_ports
from rtcc_standalone.verbs.platform import END_HINT, caller_settings, serve, start_detached


class NotADemoError(StandaloneError):
    """The folder holds a real installation: one-time sign-in links must never exist there."""

    def __init__(self, installation: Installation) -> None:
        super().__init__(
            f"{installation.folder.path} holds a real installation, which never becomes a demo. Name another folder: --data DIR"
        )


def demo(options: argparse.Namespace) -> int:
    steps = Steps()
    path = data_path(options, demo=True)
    if options.detach:
        return start_detached(options, path, steps, ["--seed", str(options.seed)])
    prepare(checkout_root(), steps)
    installation = open_installation(path, mode="demo", wanted_ports=named_ports(options), settings=caller_settings())
    if installation.mode != "demo":
        raise NotADemoError(installation)

    async def on_ready(supervisor: Supervisor, steps: Steps) -> None:
        await start_devices(supervisor, steps, options.seed)
        await _show_links(installation, steps)

    return asyncio.run(serve(installation, steps, on_ready))


async def start_devices(supervisor: Supervisor, steps: Steps, seed: int) -> None:
    """Set the city up (what exists is kept) and start its devices; returns when their cameras answer."""
    from rtcc_demo.provision import provision

    installation = supervisor.installation
    folder = installation.folder.path / "demo"
    async with platform_client(installation) as client:
        owner = Owner(client)
        ports = installation.ports
        await provision(
            installation.url,
            owner,
            folder,
            camera_port=ports["cameras"],
            mqtt_port=ports["mqtt"],
            bus_port=ports["buses"],
            told=steps,
            seed=seed,
        )
    steps("starting the city's devices (the first time its street scenes are drawn)")
    feeders = FeedersProcess(
        settings_file=folder / "feeders.json", camera_port=installation.ports["cameras"], log=installation.folder.log("feeders")
    )
    starting, told = asyncio.create_task(supervisor.add(feeders)), feeders.news()
    while not starting.done():
        await asyncio.wait([starting], timeout=1)
        if (news := feeders.news()) != told:
            told = news
            steps(news)
    starting.result()


async def _show_links(installation: Installation, steps: Steps) -> None:
    from rtcc_demo.provision import INVITATIONS

    async with platform_client(installation) as client:
        owner = Owner(client)
        links = [(invitation.title, await owner.sign_in_link(invitation.login, invitation.next_path)) for invitation in INVITATIONS]
    steps("the city is alive")
    say(f"\nConsole:  {installation.url}\n")
    say("One-time sign-in links (this machine only, each once, for 10 minutes; new ones: ./rtcc demo-links):\n")
    for title, link in links:
        say(f"  {title:28} {link}")
    say(END_HINT)


def demo_links(options: argparse.Namespace) -> int:
    """Fresh links of the running demo."""
    from rtcc_standalone.verbs.folders import running

    installation = running(options)
    if installation.mode != "demo":
        raise NotADemoError(installation)
    asyncio.run(_show_links(installation, Steps()))
    return 0


class Owner:
    """rtcc_demo.provision.MachineOwner over the services' own calls. What exists already counts as made."""

    def __init__(self, client: PlatformClient) -> None:
        self._client = client
        self._person_ids: dict[str, str] = {}

    async def create_agency(self, agency_id: str, name: str, time_zone: str, area: Sequence[tuple[float, float]]) -> None:
        """`area`: corners as (longitude, latitude) in degrees."""
        corners = [Coordinate(latitude_deg=latitude, longitude_deg=longitude) for longitude, latitude in area]
        if agency_id not in {agency.agency_id for agency in await self._client.agencies()}:
            await self._client.create_agency(agency_id, name, time_zone, Polygon(corners=corners))

    async def create_person(self, agency_id: str, login: str, display_name: str, roles: Sequence[str]) -> None:
        if login not in {person.login for person in await self._client.people()}:
            await self._client.create_person(agency_id, login, display_name, list(roles))

    async def sign_in_link(self, login: str, next_path: str) -> str:
        """The gateway learns of a new person over the bus a moment later: asked again until it knows."""
        if login not in self._person_ids:
            self._person_ids = {person.login: person.person_id for person in await self._client.people()}
        for attempt in range(50):
            try:
                return await self._client.demo_link(self._person_ids[login], next_path)
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND or attempt == 49:
                    raise
            await asyncio.sleep(0.1)
        raise AssertionError("the last attempt returns or raises")
