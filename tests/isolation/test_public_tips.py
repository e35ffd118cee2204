"""The one page that strangers may write to, on the whole platform: it takes a tip, shows nothing, and knows nobody."""

import re
from datetime import UTC, datetime

import aiohttp

from proof.platform import RunningPlatform, until
from proof.world import OWNER, STRANGER, TINY_JPEG, World, gunshot
from rtcc.incidents.v1 import incidents_pb2 as pb
from rtcc_chassis.identifiers import new_id

_KEY = re.compile(r'name="form" value="([^"]+)"')
_CODE = re.compile(r'class="code">([0-9A-Z]{4}-[0-9A-Z]{4})<')


async def open_line(world: World, agency_id: str) -> None:
    request = pb.SetTipLineRequest(tip_line=pb.TipLine(open=True, notice=f"Tips to {agency_id}", emergency_line="Call 112"))
    await world.platform.ask("SetTipLine", world.everything(agency_id), request)


async def told_by_form(platform: RunningPlatform, agency_id: str, text: str, photo: bytes = b"") -> str:
    """The reference code, as a browser without scripts gets it."""
    async with aiohttp.ClientSession(platform.url) as client:

        async def page() -> str:
            async with client.get(f"/tips/{agency_id}") as response:
                return await response.text() if response.status == 200 else ""

        found = _KEY.search(await until(page))
        assert found is not None

        async def sent() -> str:
            # a form that comes back within two seconds was filled in by a robot
            form = aiohttp.FormData(default_to_multipart=True)
            for name, value in (("form", found[1]), ("category", "crime"), ("text", text), ("address", "Kaarlenkatu 3")):
                form.add_field(name, value)
            if photo:
                form.add_field("photo", photo, filename="a.jpg", content_type="image/jpeg")
            async with client.post(f"/tips/{agency_id}", data=form) as response:
                code = _CODE.search(await response.text())
                return code[1] if code is not None else ""

        return await until(sent, every_s=0.5)


async def tips_of(world: World, agency_id: str) -> list[pb.Tip]:
    answer = await world.platform.ask("ListTips", world.everything(agency_id), pb.ListTipsRequest(include_promoted=True, limit=500))
    return list(answer.tips)


async def test_a_tip_goes_from_the_street_into_an_incident_and_to_nobody_else(platform: RunningPlatform, world: World) -> None:
    await open_line(world, OWNER)
    before = len(platform.audit.entries)
    text = f"White van, two men carry boxes out of the kiosk {new_id()}"
    code = await told_by_form(platform, OWNER, text, TINY_JPEG)
    (tip,) = [tip for tip in await tips_of(world, OWNER) if tip.reference_code == code]
    assert (tip.text, tip.has_photo, tip.contact, tip.channel) == (text, True, "", "form")
    assert not [tip for tip in await tips_of(world, STRANGER) if code == tip.reference_code or text in tip.text]
    entries = [entry for entry in platform.audit.entries[before:] if "tip" in entry.action or "tips" in entry.place]
    assert not [entry for entry in entries if entry.source_address in ("127.0.0.1", "::1") and not entry.principal_id]
    promoted = await platform.ask("PromoteTip", world.everything(OWNER), pb.PromoteTipRequest(tip_id=tip.tip_id))
    assert promoted.won and promoted.incident.origin == "tip" and list(promoted.incident.tip_ids) == [tip.tip_id]
    request = pb.ListTimelineRequest(incident_id=promoted.incident.incident_id)
    entries_of = (await platform.ask("ListTimeline", world.everything(OWNER), request)).entries
    assert sorted(entry.kind for entry in entries_of) == ["photo", "tip"]


async def test_the_page_of_an_agency_that_opened_none_is_not_there(platform: RunningPlatform, world: World) -> None:
    await platform.ask("SetTipLine", world.everything(STRANGER), pb.SetTipLineRequest(tip_line=pb.TipLine(open=False)))
    async with aiohttp.ClientSession(platform.url) as client:
        for agency_id in (STRANGER, "nobody-at-all"):

            async def gone(name: str = agency_id) -> bool:
                async with client.get(f"/tips/{name}") as response:
                    return response.status == 404 and "Beacon" not in await response.text()

            await until(gone)
            async with client.post(f"/tips/{agency_id}", data={"text": "something that was seen"}) as response:
                assert response.status == 404


async def test_the_page_loads_nothing_and_runs_nothing(platform: RunningPlatform, world: World) -> None:
    await open_line(world, OWNER)
    async with aiohttp.ClientSession(platform.url) as client:

        async def served() -> bool:
            async with client.get(f"/tips/{OWNER}") as response:
                if response.status != 200:
                    return False
                policy, text = response.headers["Content-Security-Policy"], await response.text()
                assert "default-src 'none'" in policy and "unsafe" not in policy and "script" not in policy and "*" not in policy
                assert "<script" not in text and "src=" not in text and "href=" not in text
                assert "Set-Cookie" not in response.headers and response.headers["X-Frame-Options"] == "DENY"
                return True

        await until(served)


async def test_a_gunshot_near_a_call_is_one_incident(platform: RunningPlatform, world: World) -> None:
    source = await world.source(OWNER, "eido")
    call_id, now = f"call-{new_id()}", datetime.now(UTC).isoformat()
    body: dict[str, object] = {
        "$id": f"urn:{call_id}", "lastUpdateTimeStamp": now, "issuingElementIdentification": "cad.anchor",
        "incidentComponent": {
            "incidentTrackingIdentifier": call_id, "incidentTypeInternalText": ["Shots heard"], "lastUpdateTimeStamp": now,
            "locationReference": [{"$ref": "here"}],
        },
        "locationComponent": [
            {"$id": "here", "locationDescriptionText": "Quay 1", "locationByValue": {"latitude": 60.5, "longitude": 24.1}}
        ],
    }  # fmt: skip
    status, answer = await world.delivered(source, body)
    assert status == 202, answer

    async def opened() -> pb.Incident | None:
        found = await platform.ask("ListIncidents", world.everything(OWNER), pb.ListIncidentsRequest(limit=500))
        return next((incident for incident in found.incidents if call_id in incident.call_ids), None)

    await until(opened)
    # a place of its own: alerts of other tests must not join this call
    shot_id = f"GS-{new_id()}"
    status, answer = await world.delivered(await world.gunshot_source(OWNER), gunshot(shot_id, lat=60.5005, lon=24.1))
    assert status == 202, answer
    alert_id = (await world.alert_where(OWNER, lambda alert: alert.event.gunshot.incident_id == shot_id)).alert_id

    async def joined() -> bool:
        incident = await opened()
        return incident is not None and alert_id in incident.alert_ids

    await until(joined)
    everything = pb.ListIncidentsRequest(include_closed=True, limit=500)
    theirs = (await platform.ask("ListIncidents", world.everything(STRANGER), everything)).incidents
    assert not [incident for incident in theirs if call_id in incident.call_ids or alert_id in incident.alert_ids]
