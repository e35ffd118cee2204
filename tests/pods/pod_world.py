"""People of an installation that is no demo: they sign in with password and code, at a door whose certificate is the test's own."""

from dataclasses import dataclass, field
from http.cookies import Morsel
from pathlib import Path

import aiohttp
import pyotp
from playwright.async_api import Page

from proof.world import World
from rtcc.gateway.v1 import gateway_pb2
from rtcc.registry.v1 import registry_pb2
from rtcc_chassis.scope import Scope

_PASSWORD = "a long walk along the harbour wall"


@dataclass
class PodWorld(World):
    """Each person enrols once, by the link that an administrator gives; later windows share that session."""

    sessions: dict[str, Morsel[str]] = field(default_factory=dict)

    async def sign_in(self, client: aiohttp.ClientSession, person: registry_pb2.Person) -> None:
        if person.person_id not in self.sessions:
            self.sessions[person.person_id] = await self._enrol(client, person)
        client.cookie_jar.update_cookies({self.sessions[person.person_id].key: self.sessions[person.person_id].value})

    async def enter(self, page: Page, person: registry_pb2.Person, path: str) -> None:
        async with self.platform.http(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
            await self.sign_in(client, person)
        cookie = self.sessions[person.person_id]
        await page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": self.platform.url}])
        await page.goto(f"{self.platform.url}{path}")

    async def _enrol(self, client: aiohttp.ClientSession, person: registry_pb2.Person) -> Morsel[str]:
        """Password and one-time code: what the page behind the link sends."""
        request = gateway_pb2.CreateEnrolmentRequest(person_id=person.person_id)
        token = (await self.platform.ask("CreateEnrolment", Scope.platform("standalone"), request)).url.partition("#")[2]
        headers = {"Rtcc-Request": "1", "Origin": self.platform.url}
        async with client.post(f"{self.platform.url}/auth/enrol/start", json={"token": token}, headers=headers) as response:
            assert response.status == 200, await response.text()
            opened = await response.json()
        body = {
            "token": token, "password": _PASSWORD, "code": pyotp.TOTP(opened["totp"]["secret"]).now(),
            "banner_version": opened["banner"]["version"],
        }  # fmt: skip
        async with client.post(f"{self.platform.url}/auth/enrol/totp", json=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            (cookie,) = response.cookies.values()
            return cookie


def written(folder: Path, name: str, text: str) -> Path:
    """A file of the test's."""
    path = folder / name
    path.write_text(text)
    return path
