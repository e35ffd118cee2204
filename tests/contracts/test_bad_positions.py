"""The uplink of phones and trackers: what is no fix is refused with its reason, what is nobody's isn't taken."""

import time

import aiohttp
import pytest

from proof.platform import RunningPlatform, until
from proof.world import OWNER, World


async def osmand(platform: RunningPlatform, **query: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(f"{platform.url}/v1/osmand", params=query) as answer:
        return answer.status


@pytest.mark.parametrize(
    "change",
    [
        {"lat": "91"}, {"lon": "-181"}, {"lat": "nan"}, {"lon": "inf"}, {"lat": ""}, {"lat": "north"}, {"lat": "0", "lon": "0"},
        {"timestamp": "32503680000"}, {"timestamp": "yesterday"}, {"timestamp": "99999999999999999999"},
    ],
    ids=str,
)  # fmt: skip
async def test_what_is_no_fix_is_refused_and_the_unit_stays_where_it_was(
    platform: RunningPlatform, world: World, change: dict[str, str]
) -> None:
    unit, key = await world.unit_and_key(OWNER)
    good = {"id": unit.device_id, "key": key, "lat": "60.17", "lon": "24.94", "timestamp": str(int(time.time()))}

    async def taken() -> bool:
        return await osmand(platform, **good) == 200

    await until(taken)
    assert await osmand(platform, **{**good, **change}) in (400, 422)

    async def known() -> bool:
        positions = (await platform.ask("ListPositions", world.everything(OWNER))).positions
        return any(p.unit_id == unit.unit_id and abs(p.position.coordinate.latitude_deg - 60.17) < 1e-5 for p in positions)

    await until(known)


@pytest.mark.parametrize(
    "change", [{"key": "wrong"}, {"key": ""}, {"id": "nobody"}, {"id": "\x00"}, {"id": "a" * 5000}], ids=lambda c: str(c)[:20]
)
async def test_a_device_that_cant_prove_itself_is_refused(platform: RunningPlatform, world: World, change: dict[str, str]) -> None:
    unit, key = await world.unit_and_key(OWNER)
    good = {"id": unit.device_id, "key": key, "lat": "60.17", "lon": "24.94"}
    assert await osmand(platform, **{**good, **change}) in (400, 401, 414, 422)
