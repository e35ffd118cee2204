"""The public tip form: no sign-in, no script, bounded, and nothing about the sender leaves the door."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
import pytest_asyncio

from rtcc.incidents.v1.incidents_pb2 import TipLine
from rtcc.registry.v1.registry_pb2 import Agency
from rtcc_chassis.errors import Exhausted, InvalidInput
from rtcc_chassis.testing import Servers, poll
from rtcc_chassis.testing import test_platform as small

from .conftest import Gateway, start_gateway

TEXT = "Two men carry boxes out of the kiosk"


class Public:
    """Somebody with a browser and no account."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.client = aiohttp.ClientSession(gateway.origin)
        gateway.browsers.append(self.client)

    async def page(self, agency_id: str = "harbor") -> tuple[int, str, aiohttp.ClientResponse]:
        async with self.client.get(f"/tips/{agency_id}") as response:
            return response.status, await response.text(), response

    async def key(self) -> str:
        """Of a form that was read for a while."""
        _, text, _ = await self.page()
        found = re.search(r'name="form" value="([^"]+)"', text)
        assert found is not None
        self.gateway.clock.ahead += timedelta(seconds=5)
        return found[1]

    async def send(self, fields: dict[str, str], *, photo: bytes = b"", agency_id: str = "harbor", **headers: str) -> tuple[int, str]:
        form = aiohttp.FormData(default_to_multipart=True)
        for name, value in fields.items():
            form.add_field(name, value)
        if photo:
            form.add_field("photo", photo, filename="photo.jpg", content_type="image/jpeg")
        async with self.client.post(f"/tips/{agency_id}", data=form, headers=headers) as response:
            return response.status, await response.text()


@pytest_asyncio.fixture(scope="module")
async def served(servers: Servers) -> AsyncIterator[Gateway]:
    """One gateway for the tests of this file."""
    async with small(servers) as platform:
        gateway = await start_gateway(platform, tip_sender_rate_per_minute=0.001, tip_sender_burst=6)
        agency = Agency(agency_id="harbor", name="Harbor <Police>", time_zone="Europe/Helsinki", enabled=True)
        await gateway.put("agency", "harbor", "harbor", agency)
        yield gateway
        await gateway.close()


@pytest_asyncio.fixture
async def public(served: Gateway) -> Public:
    """Noon of another day, so another sender: nothing that was sent before counts, and no midnight falls into a test."""
    now = served.clock()
    served.clock.ahead += now.replace(hour=12, minute=0, second=0) + timedelta(days=1) - now
    served.services.tips.clear()
    served.services.tips_refused = None
    line = TipLine(agency_id="harbor", open=True, notice="Thank you.\n<script>alert(1)</script>", emergency_line="Call 112")
    await served.put("tip_line", "harbor", "harbor", line)
    opened = Public(served)

    async def seen() -> bool:
        return (await opened.page())[0] == 200

    await poll(seen)
    return opened


async def test_the_page_is_plain_and_safe(public: Public) -> None:
    status, text, response = await public.page()
    assert status == 200 and "Call 112" in text and "Harbor &lt;Police&gt;" in text
    assert "<script" not in text and " on" not in re.sub(r">[^<]*<", "><", text).replace(" only", "")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "script-src" not in policy and "*" not in policy
    assert response.headers["Cache-Control"] == "no-store" and "Set-Cookie" not in response.headers


async def test_a_tip_is_handed_on_without_the_senders_address(public: Public) -> None:
    fields = {"form": await public.key(), "category": "crime", "text": TEXT, "address": "Kaarlenkatu 3", "contact": "", "website": ""}
    status, text = await public.send(fields | {"when": "2026-11-26T20:15"}, photo=b"\xff\xd8\xffpicture")
    assert status == 200 and "K7QM-2XPD" in text
    (tip,) = public.gateway.services.tips
    assert (tip.agency_id, tip.text, tip.address, tip.photo) == ("harbor", TEXT, "Kaarlenkatu 3", b"\xff\xd8\xffpicture")
    assert tip.occurred_at.ToJsonString() == "2026-11-26T18:15:00Z"
    assert re.fullmatch(r"[0-9a-f]{64}", tip.sender_hash)
    assert b"127.0.0.1" not in tip.SerializeToString() and b"::1" not in tip.SerializeToString()
    assert not [entry for entry in await public.gateway.audit() if "127.0.0.1" in entry.source_address or "::1" in entry.source_address]


async def test_the_sender_is_another_one_tomorrow_and_at_another_agency(public: Public) -> None:
    for _ in range(2):
        await public.send({"form": await public.key(), "text": TEXT})
    public.gateway.clock.ahead += timedelta(days=1)
    await public.send({"form": await public.key(), "text": TEXT})
    hashes = [tip.sender_hash for tip in public.gateway.services.tips]
    assert hashes[0] == hashes[1] != hashes[2]


async def test_a_robot_that_fills_the_trap_is_thanked_and_ignored(public: Public) -> None:
    status, text = await public.send({"form": await public.key(), "text": TEXT, "website": "http://spam.example"})
    assert status == 200 and "Thank you" in text
    assert public.gateway.services.tips == []


async def test_a_form_without_our_key_is_shown_again_with_what_was_typed(public: Public) -> None:
    good = await public.key()
    forged = good[:-4] + ("0000" if not good.endswith("0000") else "1111")
    for key in ("", "1.2.3", "x" * 500, forged):
        status, text = await public.send({"form": key, "text": TEXT})
        assert status == 400 and TEXT in text and "send it once more" in text
    public.gateway.clock.ahead += timedelta(hours=13)
    status, text = await public.send({"form": good, "text": TEXT})
    assert status == 400 and "yesterday" in text
    assert public.gateway.services.tips == []


async def test_what_is_wrong_is_said_and_nothing_typed_is_run(public: Public) -> None:
    public.gateway.services.tips_refused = InvalidInput.one("text", "has 3 characters; at least 10 are needed")
    status, text = await public.send({"form": await public.key(), "text": "<b>", "address": '"><script>x</script>'})
    assert status == 400 and "at least 10" in text
    assert "<script" not in text and "&lt;b&gt;" in text


async def test_a_sender_above_the_rate_waits(public: Public) -> None:
    for _ in range(6):
        assert (await public.send({"form": await public.key(), "text": TEXT}))[0] == 200
    status, text = await public.send({"form": await public.key(), "text": TEXT})
    assert status == 429 and "Please try later" in text


async def test_the_bound_of_incidents_is_told_to_the_sender(public: Public) -> None:
    public.gateway.services.tips_refused = Exhausted("The number of tips that are taken in an hour", 300)
    assert (await public.send({"form": await public.key(), "text": TEXT}))[0] == 429


async def test_a_closed_or_unknown_line_is_not_there(public: Public) -> None:
    await public.gateway.put("tip_line", "harbor", "harbor", TipLine(agency_id="harbor", open=False))

    async def gone() -> bool:
        return (await public.page())[0] == 404

    await poll(gone)
    assert (await public.page("nobody"))[0] == 404
    assert (await public.send({"text": TEXT}, agency_id="nobody"))[0] == 404


async def test_a_page_of_another_site_sends_nothing(public: Public) -> None:
    fields = {"form": await public.key(), "text": TEXT}
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert (await public.send(fields, **headers))[0] == 403
    assert public.gateway.services.tips == []


@pytest.mark.parametrize("size", [8 * 1024 * 1024])
async def test_a_body_above_the_bound_is_refused(public: Public, size: int) -> None:
    status, text = await public.send({"form": await public.key(), "text": TEXT}, photo=b"\xff" * size)
    assert status == 413 and "too large" in text
    assert public.gateway.services.tips == []
