"""docs/integrators/records.md, followed over REST: the demo's registers come in, who is meant is found, the card warns."""

import base64
from datetime import UTC, datetime
from typing import Any

import aiohttp

from proof.platform import RunningPlatform, until
from rtcc_demo.records import import_request
from rtcc_demo.world.residents import extracts_of


async def test_registers_come_in_and_are_found_as_the_guide_says(platform: RunningPlatform, browser: aiohttp.ClientSession) -> None:
    for extract in extracts_of("helsinki-east", datetime.now(UTC)):
        told = (await answered(browser, "POST", f"{platform.url}/v1/records/imports", import_request(extract)))["import"]

        async def ended(import_id: str = told["import_id"]) -> dict[str, Any] | None:
            now: dict[str, Any] = (await answered(browser, "GET", f"{platform.url}/v1/records/imports/{import_id}"))["import"]
            return now if now["state"] in ("RECORD_IMPORT_STATE_DONE", "RECORD_IMPORT_STATE_FAILED") else None

        done = await until(ended)
        assert done is not None and done["state"] == "RECORD_IMPORT_STATE_DONE", done
        assert done["rows_created"] and not done.get("rows_rejected"), done
    search = {"name": "Rane Jokvirta", "birth_date": "1984-03-17"}
    hit = (await answered(browser, "POST", f"{platform.url}/v1/records/persons/search", search))["hits"][0]
    assert hit["fields"][0]["found"] == "Jokivirta, Rane (alias)" and hit["fields"][1]["reason"] == "one digit differs"
    assert hit["warrants"] == 1
    record_id = hit["record"]["record_id"]
    card = await answered(browser, "POST", f"{platform.url}/v1/records/arrival-card", {"address": "Snellmaninkatu 10, Helsinki"})
    assert card["warnings"][0]["kind"] == "armed" and card["warnings"][0]["record_id"] == record_id
    assert card["prior_calls"] and card["persons"]
    whole = await answered(browser, "GET", f"{platform.url}/v1/records/persons/{record_id}")
    assert whole["warrants"] and whole["arrests"] and whole["prior_calls"]
    jpeg = b"\xff\xd8\xff\xe0" + bytes(64)
    photo = f"{platform.url}/v1/records/persons/{record_id}/photo"
    await answered(browser, "POST", photo, {"jpeg": base64.b64encode(jpeg).decode()})
    async with browser.get(photo) as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (200, "image/jpeg", jpeg)
    await answered(browser, "DELETE", f"{platform.url}/v1/records/{record_id}?reason=expunged")
    async with browser.get(f"{platform.url}/v1/records/persons/{record_id}") as answer:
        assert answer.status == 404


async def answered(browser: aiohttp.ClientSession, method: str, url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    async with browser.request(method, url, json=body) as answer:
        content: dict[str, Any] = await answer.json(content_type=None)
        assert answer.status < 300, content
        return content
