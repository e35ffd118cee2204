"""Setting the demo up over REST, against a door that answers as docs/integrators/http.md says."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rtcc_demo.provision import RECORDINGS_KEPT_S, ProvisioningFailed, provision
from rtcc_demo.settings import load_settings
from rtcc_demo.world.city import AGENCIES, Corner


class Platform:
    """Keeps what was made; refuses requests without cookie or header, and answers 409 for what exists."""

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self.imports: list[tuple[str, dict[str, Any]]] = []
        self.records: list[dict[str, Any]] = []
        self.policies: list[dict[str, Any]] = []
        self.fail_at = ""
        self.url = ""

    async def sign_in(self, request: web.Request) -> web.StreamResponse:
        answer = web.Response(status=303, headers={"Location": "/admin"})
        answer.set_cookie("rtcc", request.match_info["login"], httponly=True, samesite="Strict")
        return answer

    async def command(self, request: web.Request) -> web.StreamResponse:
        if not request.cookies.get("rtcc") or request.headers.get("Rtcc-Request") != "1":
            return web.Response(status=401)
        if self.fail_at and self.fail_at in request.path:
            return web.json_response({"detail": "the disk is full"}, status=507)
        body = await request.json()
        if request.path == "/v1/records/imports":
            self.records.append(body)
            return web.json_response({"import": {"import_id": f"i{len(self.records)}", "state": "RECORD_IMPORT_STATE_WAITING"}})
        if request.path.endswith("/import"):
            self.imports.append((request.path, body))
            return web.json_response({"created": 24, "accepted": 62})
        record = next((value for value in body.values() if isinstance(value, dict)), body)
        name = next(
            (str(record[key]) for key in ("unit_id", "zone_id", "source_id", "hot_list_id") if key in record and "login" not in record), ""
        )
        key = f"{request.path} {record.get('login') or name or record.get('agreement_id')}"
        if key in self.made:
            return web.json_response({"type": "urn:rtcc:problem:conflict"}, status=409)
        self.made[key] = record
        return web.json_response({"device_key": f"key of {name}", "secret": f"secret of {name}"})

    async def policy(self, request: web.Request) -> web.StreamResponse:
        if not request.cookies.get("rtcc") or request.headers.get("Rtcc-Request") != "1":
            return web.Response(status=401)
        self.policies.append(await request.json())
        return web.json_response({})

    async def record_import(self, request: web.Request) -> web.StreamResponse:
        if not request.cookies.get("rtcc"):
            return web.Response(status=401)
        told = {"import_id": request.match_info["import_id"], "state": "RECORD_IMPORT_STATE_DONE", "rows_created": 3}
        return web.json_response({"import": told})

    async def create_agency(self, agency_id: str, name: str, time_zone: str, area: Sequence[Corner]) -> None:
        assert len(area) >= 4
        self.made.setdefault(f"agency {agency_id}", {"name": name})

    async def create_person(self, agency_id: str, login: str, display_name: str, roles: Sequence[str]) -> None:
        assert list(roles) == ["administrator"]
        self.made.setdefault(f"/v1/people {login}", {})

    async def sign_in_link(self, login: str, next_path: str) -> str:
        return f"{self.url}/auth/demo/{login}"


@pytest.fixture(autouse=True)
def drawn_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing is test_clips.py's business."""

    async def ensure_clips(folder: Path, told: Callable[[int, int], None], seed: int) -> dict[str, Path]:
        return {}

    monkeypatch.setattr("rtcc_demo.provision.ensure_clips", ensure_clips)


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    found = Platform()
    app = web.Application(client_max_size=8 << 20)
    app.router.add_get("/auth/demo/{login}", found.sign_in)
    app.router.add_get("/v1/records/imports/{import_id}", found.record_import)
    app.router.add_put("/v1/recording/policies", found.policy)
    app.router.add_post("/v1/{path:.*}", found.command)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


async def test_both_agencies_get_everything_and_the_feeders_their_keys(platform: Platform, tmp_path: Path) -> None:
    settings = await provision(platform.url, platform, tmp_path / "demo", camera_port=5554, mqtt_port=1883, bus_port=5556)
    feed = platform.made[f"/v1/sources/{AGENCIES[0]}-gtfs-realtime/feed None"]
    assert feed == {"url": "http://127.0.0.1:5556/vehicle-positions.pb", "every_s": 5}
    assert load_settings(tmp_path / "demo" / "feeders.json") == settings
    counts = {
        path: sum(key.startswith(f"/v1/{path} ") for key in platform.made)
        for path in ("units", "people", "zones", "sources", "agreements", "subscriptions")
    }
    assert counts == {"units": 24, "people": 12, "zones": 7, "sources": 14, "agreements": 2, "subscriptions": 2}
    plans = [record for key, record in platform.made.items() if key.startswith("/v1/floor-plans ")]
    assert [plan["address"] for plan in plans] == ["Snellmaninkatu 10"] and len(plans[0]["control_points"]) == 4
    assert [record["open"] for key, record in platform.made.items() if key.startswith("/v1/tip-line ")] == [True]
    assert [body["kind"] for body in platform.records] == ["person", "vehicle", "warrant", "arrest", "prior_call"] * 2
    assert len(settings.devices) == 24
    assert {source.secret for source in settings.sources} == {f"secret of {source.source_id}" for source in settings.sources}
    cameras = [body for path, body in platform.imports if path == "/v1/cameras/import"]
    assert len(cameras) == 2
    urls = [
        feature["properties"]["stream_url"] for body in cameras for feature in json.loads(base64.b64decode(body["content"]))["features"]
    ]
    assert len(set(urls)) == 48
    assert platform.policies == [{"policy": {"mode": "RECORDING_MODE_CONTINUOUS", "keep_s": RECORDINGS_KEPT_S}}] * 2
    assert all(url.startswith(f"rtsp://relay:{settings.camera_server.password}@127.0.0.1:5554/") for url in urls)


async def test_an_interrupted_setup_goes_on_with_the_secrets_it_saw(platform: Platform, tmp_path: Path) -> None:
    platform.fail_at = "/v1/hot-lists"
    with pytest.raises(ProvisioningFailed, match="hot list"):
        await provision(platform.url, platform, tmp_path, camera_port=5554)
    platform.fail_at = ""
    settings = await provision(platform.url, platform, tmp_path, camera_port=5554)
    assert len(settings.devices) == 24
    assert len({source.secret for source in settings.sources}) == 14
    assert (tmp_path / "provisioned.jsonl").stat().st_mode & 0o777 == 0o600


async def test_a_later_start_only_refreshes_the_hot_lists(platform: Platform, tmp_path: Path) -> None:
    first = await provision(platform.url, platform, tmp_path, camera_port=5554)
    platform.imports.clear()
    assert await provision(platform.url, platform, tmp_path, camera_port=5554) == first
    assert [path for path, _ in platform.imports] == [f"/v1/hot-lists/{agency_id}-vehicles/import" for agency_id in AGENCIES]


async def test_another_camera_port_moves_the_streams(platform: Platform, tmp_path: Path) -> None:
    await provision(platform.url, platform, tmp_path, camera_port=5554)
    platform.imports.clear()
    moved = await provision(platform.url, platform, tmp_path, camera_port=6554)
    assert moved.camera_server.port == 6554
    assert sum(path == "/v1/cameras/import" for path, _ in platform.imports) == 2
