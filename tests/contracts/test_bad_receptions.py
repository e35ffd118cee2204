"""Receivers' deliveries that are forged, oversize, damaged or hostile: a clear answer each, and the sky goes on."""

import base64
import json
import random
from typing import Any

import aiohttp
import pytest

from proof.platform import RunningPlatform, signed_headers, until
from proof.sky import remote_id
from proof.world import OWNER, Source, World
from rtcc.airspace.v1 import airspace_pb2
from rtcc_chassis.identifiers import new_id


async def post(platform: RunningPlatform, source_id: str, data: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(f"{platform.url}/v1/airspace/{source_id}", data=data, headers=headers) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def source_of(world: World, adapter: str = "remote_id") -> Source:
    """A source that the door knows already."""
    key = (OWNER, adapter)
    if key not in world.sources:
        world.sources[key] = await world.source(OWNER, adapter)
    empty: dict[str, object] = {"frames": []} if adapter == "remote_id" else {"aircraft": []}
    status, answer = await world.delivered(world.sources[key], empty, door="airspace")
    assert status == 202, answer
    return world.sources[key]


def drone(serial_number: str) -> dict[str, Any]:
    return remote_id(serial_number, 60.17, 24.94)


async def flies(platform: RunningPlatform, world: World, serial_number: str) -> bool:
    answer = await platform.ask("ListTracks", world.everything(OWNER), airspace_pb2.ListTracksRequest())
    return any(track.identity.serial_number == serial_number for track in answer.tracks)


@pytest.mark.parametrize(
    "change",
    [{"Rtcc-Signature": "v1=" + "0" * 64}, {"Rtcc-Signature": ""}, {"Rtcc-Delivery": "another"}, {"Rtcc-Timestamp": "0"}],
    ids=str,
)
async def test_what_is_not_authentic_is_refused_and_shows_nothing(platform: RunningPlatform, world: World, change: dict[str, str]) -> None:
    source, serial_number = await source_of(world), f"FAKEF{new_id()[-12:]}"
    data = json.dumps(drone(serial_number)).encode()
    status, answer = await post(platform, source.source_id, data, {**signed_headers(source.secret, data), **change})
    assert status == 401 and answer["type"].startswith("urn:rtcc:problem:"), answer
    assert not await flies(platform, world, serial_number)


BAD_DOCUMENTS: dict[str, bytes] = {
    "empty": b"",
    "no JSON": b"hello",
    "a list": b"[]",
    "deep": b"[" * 5000 + b"]" * 5000,
    "NaN": b'{"receiver": {"lat": NaN, "lon": 1}, "frames": []}',
    "no frames": b"{}",
    "frames of another kind": b'{"frames": {"0": 1}}',
    "a receiver off the globe": b'{"receiver": {"lat": 91, "lon": 1}, "frames": []}',
    "invalid UTF-8": b'{"frames": "\xff\xfe"}',
    "too many frames": json.dumps({"frames": [0] * 2001}).encode(),
}


@pytest.mark.parametrize("data", BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS.keys())
async def test_a_document_that_cant_be_read_says_what_is_wrong(platform: RunningPlatform, world: World, data: bytes) -> None:
    source = await source_of(world)
    status, answer = await post(platform, source.source_id, data, signed_headers(source.secret, data))
    assert status == 400 and answer["type"] == "urn:rtcc:problem:invalid-input", answer


async def test_a_webhook_source_is_no_receiver_and_a_receiver_no_webhook(platform: RunningPlatform, world: World) -> None:
    gunshots, receiver = await world.gunshot_source(OWNER), await source_of(world)
    data = json.dumps(drone("FAKEF0")).encode()
    assert (await post(platform, gunshots.source_id, data, signed_headers(gunshots.secret, data)))[0] == 400
    status, answer = await platform.deliver(receiver.source_id, receiver.secret, data)
    assert status == 202 and answer["outcome"] == "DELIVERY_OUTCOME_QUARANTINED"


async def test_an_oversize_body_is_refused_before_it_is_read(platform: RunningPlatform, world: World) -> None:
    source = await source_of(world)
    data = b" " * (1024 * 1024 + 1)
    status, answer = await post(platform, source.source_id, data, signed_headers(source.secret, data))
    assert (status, answer["type"]) == (413, "urn:rtcc:problem:too-large")


async def test_noise_in_the_frames_hides_no_drone_behind_it(platform: RunningPlatform, world: World) -> None:
    source, serial_number, dice = await source_of(world), f"GOODF{new_id()[-12:]}", random.Random(7)
    document = drone(serial_number)
    good = document["frames"][0]
    raw = base64.b64decode(good["data"])
    for number in range(200):
        damaged = bytearray(raw)
        for _ in range(dice.randint(1, 8)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        frame = {**good, "mac": f"{number:012x}", "data": base64.b64encode(damaged[: dice.randint(0, len(damaged))]).decode()}
        document["frames"].insert(0, frame)
    data = json.dumps(document).encode()
    status, answer = await post(platform, source.source_id, data, signed_headers(source.secret, data))
    assert status == 202 and answer["rejected"] > 0 and len(answer["reasons"]) <= 20, answer

    async def seen() -> bool:
        return await flies(platform, world, serial_number)

    await until(seen)
