"""Webhooks that are forged, stale, oversize or not understood: a clear answer and, when authentic, a quarantine entry."""

import json
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from proof.platform import RunningPlatform, signed_headers
from proof.world import OWNER, STRANGER, Source, World, gunshot, plate_read
from rtcc_chassis.identifiers import new_id

FUTURE = (datetime.now(UTC) + timedelta(hours=2)).isoformat()


async def post(platform: RunningPlatform, source_id: str, data: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as client, client.post(f"{platform.url}/v1/hooks/{source_id}", data=data, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def source_of(world: World) -> Source:
    """A source that the door knows already."""
    source = await world.gunshot_source(OWNER)
    await world.delivered(source, gunshot(f"GS-{new_id()}"))
    return source


@pytest.mark.parametrize(
    "change",
    [
        {"Rtcc-Signature": "v1=" + "0" * 64},
        {"Rtcc-Signature": ""},
        {"Rtcc-Signature": "v2=" + "0" * 64},
        {"Rtcc-Signature": "v1=zz"},
        {"Rtcc-Delivery": "another"},
        {"Rtcc-Timestamp": "0"},
        {"Rtcc-Timestamp": "soon"},
        {"Rtcc-Timestamp": "99999999999999999999"},
    ],
    ids=str,
)
async def test_a_delivery_that_is_not_authentic_is_refused_and_leaves_nothing(
    platform: RunningPlatform, world: World, change: dict[str, str]
) -> None:
    source, incident = await source_of(world), f"GS-{new_id()}"
    before = len(await world.quarantine(OWNER))
    data = json.dumps(gunshot(incident)).encode()
    status, answer = await post(platform, source.source_id, data, {**signed_headers(source.secret, data), **change})
    assert status == 401 and answer["type"].startswith("urn:rtcc:problem:"), answer
    assert len(await world.quarantine(OWNER)) == before
    assert not [alert for alert in await world.alerts(OWNER) if alert.event.gunshot.incident_id == incident]


@pytest.mark.parametrize("offset_s", [-600, 600])
async def test_an_old_or_early_signature_is_refused(platform: RunningPlatform, world: World, offset_s: int) -> None:
    source = await source_of(world)
    data = json.dumps(gunshot(f"GS-{new_id()}")).encode()
    status, _ = await post(platform, source.source_id, data, signed_headers(source.secret, data, sent_at=time.time() + offset_s))
    assert status == 401


async def test_a_secret_signs_for_its_own_source_only(platform: RunningPlatform, world: World) -> None:
    mine, other = await source_of(world), await world.source(STRANGER)
    await world.delivered(other, gunshot(f"GS-{new_id()}"))
    data = json.dumps(gunshot(f"GS-{new_id()}")).encode()
    status, _ = await post(platform, other.source_id, data, signed_headers(mine.secret, data))
    assert status == 401


async def test_a_source_that_does_not_exist_answers_like_a_wrong_signature(platform: RunningPlatform, world: World) -> None:
    data = b"{}"
    assert (await post(platform, new_id(), data, signed_headers("secret", data)))[0] == 401
    for source_id in ("x", "%00", "a" * 300, "..%2F..%2Fetc"):
        status, _ = await post(platform, source_id, data, signed_headers("secret", data))
        assert status in (400, 401, 404, 422), source_id


async def test_an_oversize_body_is_refused_before_it_is_read(platform: RunningPlatform, world: World) -> None:
    source = await source_of(world)
    data = b" " * (1024 * 1024 + 1)
    status, answer = await post(platform, source.source_id, data, signed_headers(source.secret, data))
    assert (status, answer["type"]) == (413, "urn:rtcc:problem:too-large")


NOT_UNDERSTOOD: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"hello",
    "cut off": json.dumps(gunshot("GS-1")).encode()[:-7],
    "two documents": b"{}{}",
    "a list": b"[]",
    "invalid UTF-8": b'{"incident_id": "\xff\xfe"}',
    "a lone surrogate": b'{"incident_id": "\\ud800", "stage": "new"}',
    "a NUL": b'{"incident_id": "a\\u0000b", "stage": "new"}',
    "NaN": json.dumps(gunshot("GS-1", lat=float("nan"))).encode(),
    "Infinity": json.dumps(gunshot("GS-1", lon=float("inf"))).encode(),
    "a huge number": json.dumps(gunshot("GS-1")).replace("60.1699", "1" + "0" * 5000).encode(),
    "deep": b"[" * 5000 + b"]" * 5000,
    "wide": json.dumps({str(number): number for number in range(30_000)}).encode(),
    "wrong types": json.dumps(gunshot("GS-1", lat="north", rounds=[], stage=7)).encode(),
    "off the globe": json.dumps(gunshot("GS-1", lat=91)).encode(),
    "beyond the date line": json.dumps(gunshot("GS-1", lon=-180.5)).encode(),
    "null island": json.dumps(gunshot("GS-1", lat=0, lon=0)).encode(),
    "in the future": json.dumps(gunshot("GS-1", detected_at=FUTURE)).encode(),
    "no offset": json.dumps(gunshot("GS-1", detected_at="2026-05-01T12:00:00")).encode(),
    "no such day": json.dumps(gunshot("GS-1", detected_at="2026-02-30T12:00:00Z")).encode(),
    "negative rounds": json.dumps(gunshot("GS-1", rounds=-4)).encode(),
    "unknown stage": json.dumps(gunshot("GS-1", stage="maybe")).encode(),
}


@pytest.mark.parametrize("name", NOT_UNDERSTOOD)
async def test_what_is_authentic_and_not_understood_waits_in_the_quarantine(platform: RunningPlatform, world: World, name: str) -> None:
    source = await source_of(world)
    status, answer = await platform.deliver(source.source_id, source.secret, NOT_UNDERSTOOD[name])
    assert (status, answer["outcome"]) == (202, "DELIVERY_OUTCOME_QUARANTINED"), answer
    assert answer["reason"]
    entry = next(one for one in await world.quarantine(OWNER) if one.quarantine_id == answer["quarantine_id"])
    assert entry.reason and entry.size_bytes == len(NOT_UNDERSTOOD[name]) and entry.source_id == source.source_id
    assert not [one for one in await world.quarantine(STRANGER) if one.quarantine_id == answer["quarantine_id"]]


async def test_noise_in_valid_bodies_never_breaks_the_intake(platform: RunningPlatform, world: World) -> None:
    source = await source_of(world)
    chance = random.Random(23)
    reader = await world.source(OWNER, "plate_read")
    await world.delivered(reader, plate_read("NOISE01", "camera"))
    for _ in range(60):
        target, body = chance.choice(((source, gunshot(f"GS-{new_id()}")), (reader, plate_read("NOISE01", "camera"))))
        data = bytearray(json.dumps(body).encode())
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        status, answer = await platform.deliver(target.source_id, target.secret, bytes(data))
        assert status == 202 and answer["outcome"] in ("DELIVERY_OUTCOME_ACCEPTED", "DELIVERY_OUTCOME_QUARANTINED"), (bytes(data), answer)
    await world.alert(OWNER)


async def test_the_same_delivery_twice_is_one_event(platform: RunningPlatform, world: World) -> None:
    source, incident, delivery = await source_of(world), f"GS-{new_id()}", new_id()
    first = await platform.deliver(source.source_id, source.secret, gunshot(incident), delivery)
    again = await platform.deliver(source.source_id, source.secret, gunshot(incident), delivery)
    assert (first[0], again[0], again[1]["outcome"]) == (202, 200, "DELIVERY_OUTCOME_DUPLICATE")
    assert first[1]["event_id"] == again[1]["event_id"]
